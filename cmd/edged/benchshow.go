package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/visualrwkv/edged/vlm/bench"
	"github.com/visualrwkv/edged/vlm/bench/plot"
	"github.com/visualrwkv/edged/weights"
)

// benchTable prints rows for people. A dash stands for what a measurement does not
// have.
func benchTable(w io.Writer, rows []bench.Row) error {
	peer := slices.ContainsFunc(rows, func(r bench.Row) bool { return r.Peer != nil })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "what\tshape\ttype\tthreads\tbatch\tcontext\ttok/s\tms\tweights GB/s\tof read\tresident MB\tfile MB\t")
	if peer {
		fmt.Fprint(t, "peer tok/s\tpeer ms\tours/peer\tpeer MB\t")
	}
	fmt.Fprintln(t, " backend")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%d\t%d\t", r.What, r.Shape, r.Type, r.Threads, r.Batch, r.Context,
			figure(r.TokS), figure(r.MS), figure(r.WeightGBs), readShare(r), r.RSS/1e6, r.ModelBytes/1e6)
		switch {
		case r.Peer != nil:
			fmt.Fprintf(t, "%s\t%s\t%.2f\t%d\t", figure(r.Peer.TokS), figure(r.Peer.MS), r.Peer.Ratio, r.Peer.RSS/1e6)
		case peer:
			fmt.Fprint(t, "-\t-\t-\t-\t")
		}
		fmt.Fprint(t, " ", r.Backend)
		if r.Note != "" {
			fmt.Fprint(t, ", ", r.Note)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// figure prints three digits or the whole part.
func figure(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// readShare is how much of the machine's read bandwidth the weights take.
func readShare(r bench.Row) string {
	if r.WeightGBs == 0 || r.ReadGBs == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*r.WeightGBs/r.ReadGBs)
}

// drawBench writes the plots that there are rows for.
func drawBench(dir string, rows []bench.Row) error {
	context := func(r bench.Row) float64 { return float64(r.Context) }
	batch := func(r bench.Row) float64 { return float64(r.Batch) }
	speed := func(r bench.Row) float64 { return r.TokS }
	memory := func(r bench.Row) float64 { return float64(r.RSS) / 1e6 }
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, d := range []struct {
		file  string
		what  bench.What
		x, y  func(bench.Row) float64
		chart plot.Chart
	}{
		{"context-speed.svg", bench.Context, context, speed,
			plot.Chart{Title: "Decoding after a long context", X: "tokens read before", Y: "tokens per second"}},
		{"context-memory.svg", bench.Context, context, memory,
			plot.Chart{Title: "Memory after a long context", X: "tokens read before", Y: "resident memory, MB"}},
		{"batch-speed.svg", bench.Batch, batch, speed,
			plot.Chart{Title: "Sequences decoded in one pass over the weights", X: "sequences", Y: "tokens per second, all together", Diagonal: true}},
	} {
		d.chart.Series = benchSeries(rows, d.what, d.x, d.y)
		if len(d.chart.Series) == 0 {
			continue
		}
		d.chart.Log = true
		if err := weights.WriteFile(filepath.Join(dir, d.file), d.chart.WriteSVG); err != nil {
			return err
		}
	}
	return nil
}

// benchSeries makes a line of the rows that differ in x only.
func benchSeries(rows []bench.Row, what bench.What, x, y func(bench.Row) float64) (all []plot.Series) {
	for _, r := range rows {
		if r.What != what || x(r) <= 0 {
			continue
		}
		name := fmt.Sprintf("%s %s, %d threads, %s", r.Shape, r.Type, r.Threads, r.Backend)
		if r.Threads == 1 {
			name = fmt.Sprintf("%s %s, 1 thread, %s", r.Shape, r.Type, r.Backend)
		}
		i := slices.IndexFunc(all, func(s plot.Series) bool { return s.Name == name })
		if i < 0 {
			i = len(all)
			all = append(all, plot.Series{Name: name})
		}
		all[i].X, all[i].Y = append(all[i].X, x(r)), append(all[i].Y, y(r))
	}
	return all
}
