package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
)

// What is one kind of measurement.
type What string

// The kinds of measurement.
const (
	Decode  What = "decode"  // one token after the other
	Prefill What = "prefill" // a prompt
	Vision  What = "vision"  // pictures through a tower
	Batch   What = "batch"   // several sequences in each pass over the weights
	Context What = "context" // decode after more and more tokens have been read
	Startup What = "startup" // from opening a file to the first token
)

// Whats are all kinds, in the order in which they are measured.
var Whats = []What{Decode, Prefill, Vision, Batch, Context, Startup}

// ParseWhat reads a list with commas; "all" is all.
func ParseWhat(list string) ([]What, error) {
	if list == "all" {
		return Whats, nil
	}
	var ws []What
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(Whats, What(name)) {
			return nil, fmt.Errorf("unknown measurement %q: %s or all", name, names(Whats, func(w What) string { return string(w) }))
		}
		ws = append(ws, What(name))
	}
	return ws, nil
}

// Limits on what may be asked for.
const (
	MaxBatch   = 64      // sequences in one pass: what the decoder takes
	MaxTokens  = 1 << 24 // of a run, and of a context
	MaxThreads = 1 << 10
)

// Options say what to measure on which model. Zero values are the defaults.
type Options struct {
	What []What // decode

	Model string     // a model file; else a random one of the shape and type
	Shape string     // 0b1
	Type  quant.Type // of random models; one of Types
	Pure  bool       // embedding and head of random models have no more bits than the rest
	Tower []string   // random towers; siglip-b

	Threads int   // goroutines that compute; one per CPU
	Batch   []int // sequences in a pass, for [Batch] 1, 2, 4 and 8, for [Decode] 1
	Tokens  int   // decoded or read in a run: 64, for [Prefill] 512
	Context int   // how far [Context] goes, 4096; without that, tokens read before [Decode] and [Batch]
	Runs    int   // of which the median is taken: 5

	Cache string // folder of random models; [CacheDir]
	Peer  string // a llama-bench binary to run in alternation, with random models only; for [Vision] llama-mtmd-cli beside it

	Tell func(string) // told about progress, often

	buffer int // bytes to measure the read bandwidth with; sized by the machine
}

// Row is a result. Values that a measurement does not have are 0.
type Row struct {
	What    What   `json:"what"`
	Shape   string `json:"shape"` // of the language model or the tower; the file's name for a file
	Type    string `json:"type"`
	Threads int    `json:"threads"`
	Batch   int    `json:"batch"`   // sequences in a pass
	Context int    `json:"context"` // tokens read before
	Tokens  int    `json:"tokens"`  // of each sequence in a run
	Runs    int    `json:"runs"`

	TokS  float64 `json:"tok_s"`  // tokens per second, all sequences together: of the median run
	MS    float64 `json:"ms"`     // milliseconds, median: per pass (decode, batch, context), prompt, picture or start
	MSMin float64 `json:"ms_min"` // of the fastest run
	MSMax float64 `json:"ms_max"` // of the slowest

	WeightGBs  float64 `json:"weight_gb_s"` // 10^9 bytes of weights read per second
	ReadGBs    float64 `json:"read_gb_s"`   // what so many threads can read here; 0 if there is one run only
	RSS        int64   `json:"rss_bytes"`   // resident memory of this process, the mapped file included
	ModelBytes int64   `json:"model_bytes"` // size of the file
	Backend    string  `json:"backend"`     // kernels in use
	Note       string  `json:"note,omitempty"`

	Peer *PeerRow `json:"peer,omitempty"`
}

// PeerRow is what another program reached in the same minutes.
type PeerRow struct {
	TokS       float64 `json:"tok_s"`     // of the median run
	MS         float64 `json:"ms"`        // of the median run, as in [Row]
	Ratio      float64 `json:"ratio"`     // ours to theirs, median over the pairs of runs
	RSS        int64   `json:"rss_bytes"` // the most that was resident
	ModelBytes int64   `json:"model_bytes"`
	Model      string  `json:"model"` // its file's name
}

// Run measures. It calls emit for each row as soon as that is known. When ctx ends
// it stops within a layer of a pass and returns ctx's error.
func Run(ctx context.Context, o Options, emit func(Row)) error {
	if err := o.complete(); err != nil {
		return err
	}
	b := &bencher{Options: o, emit: emit}
	if b.Runs > 1 {
		b.Tell(fmt.Sprintf("measuring the read bandwidth of %d threads", b.Threads))
		if b.buffer == 0 {
			b.buffer = bufferSize()
		}
		b.read = readBandwidth(ctx, b.Threads, b.buffer)
	}
	for _, w := range b.What {
		err := b.one(ctx, w)
		if errors.Is(err, errNoTower) && len(b.What) > 1 {
			b.Tell(fmt.Sprintf("%s left out: %v", w, err))
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w, err)
		}
	}
	return nil
}

func (b *bencher) one(ctx context.Context, w What) error {
	switch w {
	case Vision:
		for _, t := range b.towers() {
			if err := b.vision(ctx, t); err != nil {
				return err
			}
		}
		return nil
	case Startup:
		return b.startup(ctx)
	}
	return b.language(ctx, w)
}

// towers are the towers to measure; a model file has one of its own.
func (b *bencher) towers() []string {
	if b.Model != "" {
		return []string{""}
	}
	return b.Tower
}

// Check tells what is wrong with o, so that nothing is measured before it is known.
func (o Options) Check() error { return o.complete() }

// complete fills in defaults and refuses what makes no sense.
func (o *Options) complete() error {
	def := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	if len(o.What) == 0 {
		o.What = []What{Decode}
	}
	if o.Shape == "" {
		o.Shape = shapes[0].Name
	}
	if len(o.Tower) == 0 {
		o.Tower = []string{towers[0].Name}
	}
	def(&o.Threads, threads())
	def(&o.Runs, 5)
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	switch {
	case o.Threads < 1 || o.Threads > MaxThreads:
		return fmt.Errorf("%d threads: 1 to %d", o.Threads, MaxThreads)
	case o.Runs < 1 || o.Runs > 1000:
		return fmt.Errorf("%d runs: 1 to 1000", o.Runs)
	case o.Tokens < 0 || o.Tokens > MaxTokens:
		return fmt.Errorf("%d tokens: 1 to %d", o.Tokens, MaxTokens)
	case o.Context < 0 || o.Context > MaxTokens:
		return fmt.Errorf("context of %d tokens: 1 to %d", o.Context, MaxTokens)
	case o.Peer != "" && o.Model != "":
		return fmt.Errorf("a peer runs on random models only: it cannot read a model of this program")
	}
	for _, n := range o.Batch {
		if n < 1 || n > MaxBatch {
			return fmt.Errorf("%d sequences in a pass: 1 to %d", n, MaxBatch)
		}
	}
	if o.Model != "" {
		return nil
	}
	if _, err := ParseShape(o.Shape); err != nil {
		return err
	}
	for _, t := range o.Tower {
		if _, err := ParseTower(t); err != nil {
			return err
		}
	}
	if !slices.Contains(Types, o.Type) {
		return fmt.Errorf("no random models of type %v: %s", o.Type, names(Types, quant.Type.String))
	}
	if o.Cache == "" {
		dir, err := CacheDir()
		o.Cache = dir
		return err
	}
	return nil
}

// bencher is one call of Run.
type bencher struct {
	Options
	read float64 // bytes per second that the machine can read
	emit func(Row)
}

// file returns the path of the model to measure: the user's, or a random one.
func (b *bencher) file(ctx context.Context, random func() (modelFile, error)) (string, error) {
	if b.Model != "" {
		return b.Model, nil
	}
	m, err := random()
	if err != nil {
		return "", err
	}
	return obtain(ctx, b.Cache, m, b.Tell)
}

// languageFile returns the path of the language model.
func (b *bencher) languageFile(ctx context.Context) (string, error) {
	return b.file(ctx, func() (modelFile, error) {
		s, err := ParseShape(b.Shape)
		if err != nil {
			return modelFile{}, err
		}
		return languageFile(s, b.Type, b.Pure), nil
	})
}

// row starts a row; shape and typ are of random models.
func (b *bencher) row(w What, shape, typ string) Row {
	if b.Model != "" {
		shape = filepath.Base(b.Model)
	}
	return Row{What: w, Shape: shape, Type: typ, Threads: b.Threads, Batch: 1, Runs: b.Runs,
		ReadGBs: b.read / 1e9, Backend: vlm.Backend()}
}
