package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/visualrwkv/edged/vlm"
)

const evalAbout = `Measures a model.

  edged eval -sim             on short clips of simulated rooms it has never seen:
                              captions, questions, hidden objects, memory
  edged eval -sim -stream N   on streams of N frame sets with the memory carried:
                              the same by position in the stream
  edged eval -sim -captions N on streams of N frame sets as edged run watches them:
                              which changes get a caption, and what repeats
  edged eval -sim -memory     on what left and what entered, so many frame sets later:
                              how long a memory keeps it, and what else would know
  edged eval -ref F32 -model Q  how far the quantised file Q is from F32

The same -seed gives the same rooms and questions on every machine.`

type evalFlags struct {
	seed      uint64
	clips     int
	views     int
	stream    int
	published int
	memory    bool
	longest   int
	svg       string
	gate      float64
	model     string
	json      bool
	threads   int
}

// evalMain is "edged eval".
func evalMain(args []string, stdout, stderr io.Writer) int {
	var o evalFlags
	fs := newFlags("eval", "-sim [flags] | -ref FILE -model FILE [flags]", evalAbout)
	inRooms := fs.Bool("sim", false, "in simulated rooms")
	ref := fs.String("ref", "", "against this `file` of the same model")
	source := fs.String("source", "", "with -ref: on the pictures of this `folder`, or in simulated rooms (sim); by default on patterns")
	fs.Uint64Var(&o.seed, "seed", 1, "which rooms")
	fs.IntVar(&o.clips, "clips", 0, "how many clips of each sort (default 400; with -stream or -captions 16, with -memory 100)")
	fs.IntVar(&o.views, "views", 2, "cameras in the room, 1 or 2")
	fs.IntVar(&o.stream, "stream", 0, "frame sets of a stream")
	fs.IntVar(&o.published, "captions", 0, "frame sets of a stream of which captions are judged")
	fs.BoolVar(&o.memory, "memory", false, "how long events are remembered")
	fs.IntVar(&o.longest, "longest", 1000, "with -memory: frame sets after the event, at most")
	fs.StringVar(&o.svg, "svg", "", "with -memory: draw the result into this `file`")
	fs.Float64Var(&o.gate, "gate", -1, "with -captions: the change of the image state that counts, as gate.state of the\nconfiguration; -1: what edged run takes for the model")
	fs.StringVar(&o.model, "model", "", modelHelp)
	fs.BoolVar(&o.json, "json", false, "print one JSON object")
	fs.IntVar(&o.threads, "threads", 0, "clips at a time; 0 is one per CPU")
	if code, ok := parseFlags(fs, args, stdout, stderr); !ok {
		return code
	}
	zero, stray := "", ""
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "clips", "stream", "captions", "longest":
			if f.Value.String() == "0" {
				zero = f.Name
			}
		}
		if (f.Name == "longest" || f.Name == "svg") && !o.memory {
			stray = "-" + f.Name + " goes with -memory"
		}
		if f.Name == "gate" && o.published == 0 {
			stray = "-gate goes with -captions"
		}
	})
	switch {
	case fs.NArg() > 0:
		return wrongUse(fs, stderr, fmt.Sprintf("unexpected argument %q", fs.Arg(0)))
	case zero != "":
		return wrongUse(fs, stderr, "-"+zero+" 0: at least 1")
	case *inRooms == (*ref != ""):
		return wrongUse(fs, stderr, "want either -sim or -ref")
	case *source != "" && *ref == "":
		return wrongUse(fs, stderr, "-source goes with -ref")
	case *ref != "" && (o.stream+o.published > 0 || o.memory):
		return wrongUse(fs, stderr, "-stream, -captions and -memory go with -sim")
	case o.stream > 0 && o.published > 0 || o.memory && o.stream+o.published > 0:
		return wrongUse(fs, stderr, "want one of -stream, -captions and -memory")
	case stray != "":
		return wrongUse(fs, stderr, stray)
	case o.clips < 0 || o.stream < 0 || o.published < 0 || o.longest < 0 || o.threads < 0:
		return wrongUse(fs, stderr, "numbers must not be negative")
	case o.views < 1 || o.views > 2:
		return wrongUse(fs, stderr, "-views: 1 or 2")
	}
	if o.gate < 0 {
		o.gate = gateState(o.model)
	}
	if o.threads == 0 {
		o.threads = runtime.GOMAXPROCS(0)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if *ref != "" {
		return evalRef(ctx, *ref, o.model, *source, o.json, stdout, stderr)
	}
	return runEval(ctx, o, stdout, stderr)
}

func runEval(ctx context.Context, o evalFlags, stdout, stderr io.Writer) int {
	fail := func(code int, err error) int {
		fmt.Fprintln(stderr, "edged eval:", err)
		return code
	}
	// Clips run side by side, so each needs no more than one thread.
	m, err := openModel(o.model, &vlm.Options{Threads: 1})
	if err != nil {
		return fail(exitInput, err)
	}
	defer m.Close()
	views := roomViews // in which an object is hidden from one
	if o.stream > 0 || o.published > 0 || o.memory {
		views = o.views
	}
	if err := watches(m.Config(), views); err != nil {
		return fail(exitInput, err)
	}
	e := &evaluation{evalFlags: o, model: m, progress: clipProgress(stderr)}
	var report fmt.Stringer
	switch {
	case o.memory:
		report, err = e.remembers(ctx)
	case o.published > 0:
		report, err = e.publish(ctx)
	case o.stream > 0:
		report, err = e.streams(ctx)
	default:
		report, err = e.short(ctx)
	}
	if err == nil && o.json {
		err = printJSON(stdout, report)
	} else if err == nil {
		_, err = io.WriteString(stdout, report.String())
	}
	if err != nil {
		return fail(exitFailed, err)
	}
	return exitOK
}

// evaluation is one run over many clips.
type evaluation struct {
	evalFlags
	model    *vlm.Model
	progress func(what string, done, of int)
}

// each calls f for clips 0 to n-1, several at a time, each caller with a viewer
// of its own. The first error ends it.
func (e *evaluation) each(ctx context.Context, what string, n int, f func(ctx context.Context, v *viewer, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var workers sync.WaitGroup
	for range min(e.threads, n) {
		workers.Go(func() {
			v, err := newViewer(e.model)
			for err == nil {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				if err = f(ctx, v, i); err != nil {
					err = fmt.Errorf("%s %d: %w", what, i, err)
				} else {
					e.progress(what, int(done.Add(1)), n)
				}
			}
			cancel(err)
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// clipProgress tells people at a terminal how far it is, and nobody else.
func clipProgress(w io.Writer) func(what string, done, of int) {
	f, ok := w.(*os.File)
	if !ok || !inForeground(f) {
		return func(string, int, int) {}
	}
	var mu sync.Mutex
	return func(what string, done, of int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(f, "\r%s %d of %d\x1b[K", what, done, of)
		if done == of {
			fmt.Fprint(f, "\r\x1b[K")
		}
	}
}

// share counts what was right.
type share struct{ right, total int }

func (s *share) add(ok bool) {
	s.total++
	if ok {
		s.right++
	}
}

func (s *share) plus(o share) {
	s.right += o.right
	s.total += o.total
}

// fraction is 0 of nothing.
func (s share) fraction() float64 {
	if s.total == 0 {
		return 0
	}
	return float64(s.right) / float64(s.total)
}

// interval is the 95 % confidence interval of a fraction (Wilson's), which is honest about
// few tries and about none or all of them right.
func (s share) interval() (low, high float64) {
	if s.total == 0 {
		return 0, 1
	}
	const z = 1.96
	n, p := float64(s.total), s.fraction()
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(middle-half, 0), min(middle+half, 1)
}
