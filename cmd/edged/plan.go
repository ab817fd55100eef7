package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// planMain tells what memory a model needs.
func planMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("plan", "FILE... [-scenes N] [-views K] [-type TYPE] [-config FILE] [-measure=false] [-json]",
		"Tells how many bytes a model needs to watch so many scenes: weights, states, working memory. And it runs\n"+
			"one block of each kind on this machine, to estimate how long a first caption will take. FILE is a model, or\n"+
			"what edged convert takes: with -type, or where there are towers in files of their own, the answer is about\n"+
			"the file that edged convert would make, without its vocabulary.")
	scenes := fs.Int("scenes", 1, "scenes, each with a memory of its own")
	views := fs.Int("views", 0, "views of a scene; 0 is what the model was made for, or 1")
	typ := fs.String("type", "", "`type` to which edged convert would convert, by default f16 where it has to")
	config := fs.String("config", "", "JSON `file` with what a checkpoint does not say, as for edged convert")
	measure := fs.Bool("measure", true, "measure on this machine, for a few seconds")
	asJSON := fs.Bool("json", false, "print one JSON object")
	files, code, ok := parseMixed(fs, args, stdout, stderr)
	if !ok {
		return code
	}
	if len(files) == 0 || *scenes < 1 || *scenes > 1<<10 || *views < 0 || *views > vlm.MaxViews {
		return wrongUse(fs, stderr, fmt.Sprintf("want a file, 1 to 1024 scenes, at most %d views", vlm.MaxViews))
	}
	if _, ok := convertType(*typ); !ok && *typ != "" {
		return wrongUse(fs, stderr, fmt.Sprintf("unknown type %q", *typ))
	}
	c, sizes, err := planned(files, *config, *typ)
	if err != nil {
		fmt.Fprintln(stderr, "edged plan:", err)
		return exitInput
	}
	if *views == 0 {
		*views = max(c.Views, 1)
	}
	if *views > c.MaxViews() {
		fmt.Fprintf(stderr, "edged plan: %s: frame sets of %d views: the model takes %d at most\n", files[0], *views, c.MaxViews())
		return exitInput
	}
	p := plan{Plan: c.Plan(sizes, *scenes, *views)}
	if *measure {
		if e, err := c.Estimate(sizes, *views); err != nil {
			p.Why = err.Error()
		} else {
			p.Estimate = &e
		}
	}
	return p.show(c, *asJSON, stdout, stderr)
}

// planned describes a model as it is or, with a type or where it cannot be used as it is, as
// it would be converted.
func planned(files []string, config, typ string) (c vlm.Config, sizes *vlm.Sizes, err error) {
	src, err := vlm.OpenSource(files...)
	if err != nil {
		return c, nil, err
	}
	defer src.Close()
	about, subject, err := readConfig(config, files[0], src.Format())
	if err != nil {
		return c, nil, err
	}
	if typ == "" && len(src.Foreign()) == 0 {
		f, err := weights.OpenAll(files...)
		if err != nil {
			return c, nil, err
		}
		defer f.Close()
		c, err = vlm.Describe(f, about, nil)
		return c, vlm.FileSizes(f), named(subject, err)
	}
	if c, err = src.Describe(about, nil); err == nil {
		to, _ := convertType(cmp.Or(typ, "f16"))
		sizes, err = src.Sizes(c, to)
	}
	return c, sizes, named(subject, err)
}

// quietShare is the part of the processors below which an estimate is called one of a busy
// machine.
const quietShare = 0.9

// plan is what a model needs.
type plan struct {
	vlm.Plan
	Estimate *vlm.Estimate `json:"estimate,omitempty"`
	Why      string        `json:"why,omitempty"` // there is no estimate
}

func (p plan) show(c vlm.Config, asJSON bool, stdout, stderr io.Writer) int {
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
	if e := p.Estimate; e != nil {
		line := func(ms float64, what string) { fmt.Fprintf(t, "%.3g\t  %s\n", ms/1e3, what) }
		fmt.Fprintln(t, "\t\nseconds\t  estimated from one block of each kind, run on this machine")
		line(e.Vision, "vision, a frame set")
		line(e.Encode, "state encoder")
		line(e.Prompt, "prompt")
		line(e.Token, "a token of text")
		line(e.Caption, fmt.Sprintf("until the first caption, of %d tokens", e.Tokens))
		if s := e.CPUShare; s > 0 && s < quietShare {
			fmt.Fprintf(t, "\t  the machine was busy: measuring got %.0f %% of the processor time it could use; an idle one is faster\n", 100*s)
		}
	} else if p.Why != "" {
		fmt.Fprintf(t, "\t\n\t  no estimate of time: %s\n", p.Why)
	}
	if err := t.Flush(); err != nil {
		return exitFailed
	}
	return exitOK
}
