package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/visualrwkv/edged/vlm/bench"
)

const benchAbout = `Measures how fast a model runs on this machine: one given with -model, or one with random weights of
the named shape and type, made once and kept. Each result is the median of several runs.

  decode   one token after the other       prefill  reading a prompt
  batch    several sequences at once       context  decoding after more and more tokens
  vision   a picture through a tower       startup  from opening the file to the first token

-what, -shape, -type, -tower, -threads and -batch take lists with commas.`

// benchFlags are the flags, and the lists that some of them spell.
type benchFlags struct {
	bench.Options
	what, shape, typ, tower string
	threads, batch          string
	cpus                    cpuList
	json, quiet             bool
	rows, svg               string

	runs []bench.Options // one for each shape, type and number of threads
}

// benchMain is "edged bench".
func benchMain(args []string, stdout, stderr io.Writer) int {
	var b benchFlags
	flags := newFlags("bench", "[flags]", benchAbout)
	flags.StringVar(&b.what, "what", "decode", "what to measure, a `list`, or all")
	flags.StringVar(&b.Model, "model", "", "model `file`; otherwise weights are random")
	flags.StringVar(&b.shape, "shape", "0b1", "`shape` of a random model: "+bench.Shapes())
	flags.StringVar(&b.typ, "type", "int8", "`type` of a random model: int8, int4, q8_0, q4_0 or f16")
	flags.StringVar(&b.tower, "tower", "siglip-b", "`tower` for vision: "+bench.Towers())
	flags.BoolVar(&b.Pure, "pure", false, "embedding and head of a random model get no more bits than the rest")
	flags.StringVar(&b.threads, "threads", "0", threadsHelp)
	flags.Var(&b.cpus, "cpus", cpusHelp)
	flags.StringVar(&b.batch, "batch", "", "`sequences` in a pass (default 1,2,4,8 for batch, 1 for decode)")
	flags.IntVar(&b.Tokens, "tokens", 0, "tokens in a run, exactly (default 64, for prefill 512)")
	flags.IntVar(&b.Context, "context", 0, "where the series of context ends (default 4096); without that, tokens read before decode and batch")
	flags.IntVar(&b.Runs, "runs", 5, "runs; with one the machine's read bandwidth is not measured")
	flags.StringVar(&b.Cache, "cache", "", "`folder` for random models (default $EDGED_BENCH_CACHE, or edged/bench in the user's cache)")
	flags.StringVar(&b.Peer, "peer", "", "llama-bench `binary` to run on a model of the same shape in alternation (decode, prefill; for vision llama-mtmd-cli beside it)")
	flags.StringVar(&b.rows, "rows", "", "measure nothing: take the rows from this JSON `file`")
	flags.StringVar(&b.svg, "svg", "", "draw into this `folder`: speed and memory against context, speed against sequences")
	flags.BoolVar(&b.json, "json", false, "print one JSON object")
	flags.BoolVar(&b.quiet, "quiet", false, "no progress")
	if code, ok := parseFlags(flags, args, stdout, stderr); !ok {
		return code
	}
	if err := b.parse(flags); err != nil {
		return wrongUse(flags, stderr, err.Error())
	}
	if err := b.cpus.bind(); err != nil {
		return wrongUse(flags, stderr, err.Error())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	return b.run(ctx, stdout, stderr)
}

// parse turns the texts of flags into lists, and those into runs.
func (b *benchFlags) parse(flags *flag.FlagSet) (err error) {
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if b.What, err = bench.ParseWhat(b.what); err != nil {
		return fmt.Errorf("-what: %w", err)
	}
	if b.Batch, err = numbers(b.batch); err != nil {
		return fmt.Errorf("-batch: %w", err)
	}
	threads, err := numbers(b.threads)
	if err != nil {
		return fmt.Errorf("-threads: %w", err)
	}
	if b.Runs == 0 {
		return errors.New("-runs 0: at least 1")
	}
	if b.Model != "" {
		flags.Visit(func(f *flag.Flag) {
			if f.Name == "shape" || f.Name == "type" || f.Name == "tower" || f.Name == "pure" {
				err = fmt.Errorf("-%s is for random models, with -model the file says", f.Name)
			}
		})
		if err != nil {
			return err
		}
	}
	b.Tower = strings.Split(b.tower, ",")
	for shape := range strings.SplitSeq(b.shape, ",") {
		for typ := range strings.SplitSeq(b.typ, ",") {
			for _, n := range threads {
				o := b.Options
				o.Shape, o.Threads = shape, n
				if o.Type, err = bench.ParseType(typ); err != nil {
					return err
				}
				if err := o.Check(); err != nil {
					return err
				}
				b.runs = append(b.runs, o)
			}
		}
	}
	return nil
}

// numbers reads a list of numbers with commas; empty is none.
func numbers(list string) (ns []int, err error) {
	if list == "" {
		return nil, nil
	}
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", text)
		}
		ns = append(ns, n)
	}
	return ns, nil
}

// benchReport is what -json prints and -rows reads.
type benchReport struct {
	Rows []bench.Row `json:"rows"`
}

// run measures, or reads what was measured, and shows it. What is known when ctx
// ends is shown too.
func (b *benchFlags) run(ctx context.Context, stdout, stderr io.Writer) int {
	report := benchReport{Rows: []bench.Row{}}
	code := exitOK
	if b.rows != "" {
		data, err := os.ReadFile(b.rows)
		if err == nil {
			err = json.Unmarshal(data, &report)
		}
		if err != nil {
			fmt.Fprintf(stderr, "edged bench: %s: %v\n", b.rows, err)
			return exitInput
		}
	} else if err := b.measure(ctx, &report, stderr); err != nil {
		code = exitFailed
		switch {
		case ctx.Err() != nil:
			err = errors.New("interrupted")
		case b.Model != "":
			code = exitInput
		}
		fmt.Fprintln(stderr, "edged bench:", err)
	}
	if err := b.show(report, stdout); err != nil {
		fmt.Fprintln(stderr, "edged bench:", err)
		return exitFailed
	}
	return code
}

func (b *benchFlags) measure(ctx context.Context, report *benchReport, stderr io.Writer) error {
	tell := benchProgress(stderr, b.quiet)
	for _, o := range b.runs {
		o.Tell = tell
		if err := bench.Run(ctx, o, func(r bench.Row) { report.Rows = append(report.Rows, r) }); err != nil {
			return err
		}
	}
	return nil
}

func (b *benchFlags) show(report benchReport, stdout io.Writer) error {
	if b.svg != "" {
		if err := drawBench(b.svg, report.Rows); err != nil {
			return err
		}
	}
	if b.json {
		return json.NewEncoder(stdout).Encode(report)
	}
	return benchTable(stdout, report.Rows)
}

// benchProgress writes a line now and then, less often the longer it takes.
func benchProgress(w io.Writer, quiet bool) func(string) {
	if quiet {
		return nil
	}
	const longest = 30 * time.Second
	wait := 2 * time.Second
	next := time.Now().Add(wait)
	return func(text string) {
		if now := time.Now(); now.After(next) {
			fmt.Fprintln(w, text)
			wait = min(wait*3/2, longest)
			next = now.Add(wait)
		}
	}
}
