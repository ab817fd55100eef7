package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// planMain tells what memory a model needs.
func planMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("plan", "FILE... [-scenes N] [-views K] [-json]",
		"Tells how many bytes a model needs to watch so many scenes: weights, states, working memory.")
	scenes := fs.Int("scenes", 1, "scenes, each with a memory of its own")
	views := fs.Int("views", 0, "views of a scene; 0 is what the model was made for, or 1")
	asJSON := fs.Bool("json", false, "print one JSON object")
	files, code, ok := parseMixed(fs, args, stdout, stderr)
	if !ok {
		return code
	}
	if len(files) == 0 || *scenes < 1 || *scenes > 1<<10 || *views < 0 || *views > vlm.MaxViews {
		return wrongUse(fs, stderr, fmt.Sprintf("want a file, 1 to 1024 scenes, at most %d views", vlm.MaxViews))
	}
	f, err := weights.OpenAll(files...)
	if err != nil {
		fmt.Fprintln(stderr, "edged plan:", err)
		return exitInput
	}
	defer f.Close()
	about, err := readConfig("", files[0], f.Format())
	if err == nil {
		var c vlm.Config
		if c, err = vlm.Describe(f, about, nil); err == nil {
			if *views == 0 {
				*views = max(c.Views, 1)
			}
			return printPlan(c, c.Plan(f, *scenes, *views), *asJSON, stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "edged plan: %s: %v\n", files[0], err)
	return exitInput
}

func printPlan(c vlm.Config, p vlm.Plan, asJSON bool, stdout, stderr io.Writer) int {
	if asJSON {
		if err := json.NewEncoder(stdout).Encode(p); err != nil {
			fmt.Fprintln(stderr, "edged plan:", err)
			return exitFailed
		}
		return exitOK
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(bytes int64, what string) { fmt.Fprintf(t, "%d\t  %s\n", bytes, what) }
	fmt.Fprintln(stdout, c)
	row(p.File, "model file, mapped and shared")
	row(p.Weights, "small weights, copied as float32")
	row(p.Memory, "memory of a scene")
	if p.ImageState > 0 {
		row(p.ImageState, "of that, the image state: what the decoder reads")
	}
	row(p.Tokens, "image tokens of a frame set")
	row(p.Snapshot, "a saved state")
	row(p.Stream, "a scene: memory and tokens, each twice")
	row(p.Decoder, "a text in the making")
	row(p.Scratch, "working memory of a scene")
	row(p.Total, fmt.Sprintf("in all, for %d scenes of %d views", p.Scenes, p.Views))
	if err := t.Flush(); err != nil {
		return exitFailed
	}
	return exitOK
}
