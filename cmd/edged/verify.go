package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/visualrwkv/edged/vlm/verify"
)

// verifyMain checks a set of reference vectors: a board's self-test.
func verifyMain(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("verify", "INDEX.json [-json] [-threads N]",
		"Checks this program, on this machine, against reference vectors made by the authors' code:\n"+
			"a line per tensor with the largest error and its bound. Exit code 1 if any is out of bounds.")
	asJSON := fs.Bool("json", false, "print one JSON object")
	threads := fs.Int("threads", 0, "workers; 0 is one per CPU")
	files, code, ok := parseMixed(fs, args, stdout, stderr)
	if !ok {
		return code
	}
	if len(files) != 1 {
		return wrongUse(fs, stderr, "want one index file")
	}
	rep, err := verify.Run(context.Background(), files[0], &verify.Options{Threads: *threads})
	if err != nil {
		fmt.Fprintln(stderr, "edged verify:", err)
		return exitInput
	}
	if *asJSON {
		if err := json.NewEncoder(stdout).Encode(rep); err != nil {
			fmt.Fprintln(stderr, "edged verify:", err)
			return exitFailed
		}
	} else {
		printReport(stdout, rep)
	}
	if !rep.OK {
		return exitFailed
	}
	return exitOK
}

func printReport(w io.Writer, rep *verify.Report) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tconfig\ttensor\terror\tbound")
	bad, worst := 0, 0.0
	for _, r := range rep.Rows {
		mark := "ok"
		if !r.OK {
			mark = "FAIL"
			bad++
		}
		if r.Bound > 0 {
			worst = math.Max(worst, r.Error/r.Bound)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2g\t%.2g\n", mark, r.Config, r.Tensor, r.Error, r.Bound)
	}
	t.Flush()
	for _, s := range rep.Skipped {
		fmt.Fprintf(w, "skipped %s: %s\n", s.Config, s.Why)
	}
	for _, s := range rep.Unchecked {
		fmt.Fprintf(w, "not checked %s %s: %s\n", s.Config, s.Tensor, s.Why)
	}
	for _, s := range rep.GivenUp {
		fmt.Fprintln(w, s)
	}
	fmt.Fprintf(w, "%d tensors, %d out of bounds, largest error %.2g of its bound, backend %s\n", len(rep.Rows), bad, worst, rep.Backend)
}
