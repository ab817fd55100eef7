package vlm

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/visualrwkv/edged/internal/fault"
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/tokenizer"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/encoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/weights"
)

// MaxViews is the largest number of pictures in a frame set of any model ([Config.MaxViews]).
const MaxViews = 64

// ErrUnsupported is wrapped by errors about models that are recognised but
// that this version does not run: RWKV-5 and older, CLIP's tower before other blocks
// than those of v6.0.
var ErrUnsupported = rwkv.ErrUnsupported

// Options change how a model is opened. Nil and the zero value are good for
// GGUF files made by `edged convert`.
type Options struct {
	// Threads is the number of goroutines that compute, all streams together;
	// 0 means one per CPU.
	Threads int

	// Exact keeps the decoder image tokens of every frame set and puts them
	// all into the prompt, as the authors do. Time and memory then grow with
	// every frame set; it is for verification and short sequences.
	Exact bool

	// Config is a JSON object with the keys of docs/model-file.md that the
	// file itself lacks or that should be overridden: see [ParseMetadata].
	Config []byte

	// Files are further files of the same model, such as the other half of a
	// split export.
	Files []string

	// Vocab is the vocabulary in the text format of RWKV, for files that do
	// not hold one.
	Vocab []byte

	wrap   func(quant.Loader) quant.Loader // of [Source.Quantize]: changes what weights are bound
	looked looked                          // of [Source.Quantize]
}

// Model is an open model: weights, and what goes with them. It is safe for
// concurrent use; Close must come after all use of its streams.
type Model struct {
	config Config
	hash   [sha256.Size]byte
	exact  bool
	file   *weights.File
	format string
	pool   *quant.Pool

	vocab  *tokenizer.Vocabulary // nil where there is none
	towers []vision.Tower        // in the order of their features; none in blind models
	proj   *vision.Projector
	enc    *encoder.Encoder // nil in models without one
	dec    *decoder.Decoder
	params int64

	batcher *batcher
	looked  looked // nil usually
}

// Open opens a model file of any format that package weights reads: GGUF,
// .pth, safetensors.
//
// Beside a file "x.pth" or "x.safetensors", a file "x.json" is read as
// [Options].Config unless that is given.
func Open(path string, o *Options) (*Model, error) {
	o = o.withDefaults()
	f, err := weights.OpenAll(append([]string{path}, o.Files...)...)
	if err != nil {
		return nil, err
	}
	if o.Config == nil && f.Format() != "gguf" {
		side := strings.TrimSuffix(path, filepath.Ext(path)) + ".json"
		if o.Config, err = os.ReadFile(side); err != nil && !errors.Is(err, os.ErrNotExist) {
			f.Close()
			return nil, err
		}
	}
	return finish(path, f, o)
}

// OpenBytes opens a model file held in memory, such as an embedded one. The
// model borrows b. name is for messages only.
func OpenBytes(name string, b []byte, o *Options) (*Model, error) {
	f, err := weights.OpenBytes(name, b)
	if err != nil {
		return nil, err
	}
	return finish(name, f, o.withDefaults())
}

func (o *Options) withDefaults() *Options {
	if o == nil {
		return &Options{}
	}
	c := *o
	return &c
}

func finish(name string, f *weights.File, o *Options) (*Model, error) {
	m, err := start(f, o)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if m.config.Name == "" {
		base := filepath.Base(name)
		m.config.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	return m, nil
}

// start makes a model of an open file, which it does not close when it fails.
func start(f *weights.File, o *Options) (*Model, error) {
	kernels.SelfCheck()
	m := &Model{file: f, format: f.Format(), looked: o.looked}
	if err := m.bind(o); err != nil {
		return nil, err
	}
	m.pool = quant.NewPool(o.Threads)
	m.batcher = newBatcher(m.dec, m.pool)
	return m, nil
}

// Describe works out the configuration of an open weights file, with JSON
// config as in [Options] and vocab in RWKV's text format; both may be nil. It
// does not need a variant or towers that this version can run.
//
// The error is a [*Problems] that lists all that is wrong with the configuration, unless it is
// the tensors that tell nothing.
func Describe(f *weights.File, config, vocab []byte) (Config, error) {
	var p Problems
	c, err := describe(tensors.New(f), f.Meta(), config, vocab, &p)
	return c, p.with(err)
}

// describe is [Describe]: it adds what is wrong with the configuration to p, as derive does.
func describe(l quant.Loader, md weights.Meta, config, vocab []byte, p *Problems) (Config, error) {
	if config != nil {
		given := parseMetadata(config, p)
		for _, kv := range md {
			if !given.Has(kv.Key) {
				given = append(given, kv)
			}
		}
		md = given
	}
	return derive(l, md, vocab, p)
}

func (m *Model) bind(o *Options) error {
	defer fault.Explain(debug.SetPanicOnFault(true))
	c, err := Describe(m.file, o.Config, o.Vocab)
	if err != nil {
		return err
	}
	m.config = c
	if err := c.Runnable(); err != nil {
		return err
	}
	var l quant.Loader = tensors.New(m.file)
	if o.wrap != nil {
		l = o.wrap(l)
	}
	if m.dec, err = decoder.New(l, &decoder.Options{Bidirectional: c.Variant == bidirectional}); err != nil {
		return err
	}
	if m.dec.Variant().ReadsImage() {
		if m.enc, err = encoder.New(l, nil); err != nil {
			return err
		}
		if e, d := m.enc.Dims(), m.dec.Dims(); e.H != d.H || e.N != d.N {
			return fmt.Errorf("state encoder of %d heads of %d, decoder of %d of %d: %w", e.H, e.N, d.H, d.N, ErrConfig)
		}
	}
	// Without an encoder all pictures are in the memory anyway, or only one is kept.
	m.exact = o.Exact && m.enc != nil
	if len(c.Towers) > 0 {
		if err := m.bindTowers(l); err != nil {
			return err
		}
	}
	if len(c.Tokens) > 0 {
		if m.vocab, err = tokenizer.FromTokens(c.Tokens); err != nil {
			return err
		}
	}
	for _, t := range tensors.List(m.file) {
		m.params += int64(t.Len())
	}
	m.hash = fingerprint(c, m.file)
	return nil
}

// bindTowers opens the towers and the projector of their features.
func (m *Model) bindTowers(l quant.Loader) error {
	features := 0
	for _, t := range m.config.Towers {
		act, err := vision.ParseActivation(t.Activation)
		if err != nil {
			return err
		}
		tower, err := vision.Open(t.Kind, l, vision.Config{
			ImageSize: t.ImageSize, Heads: t.Heads, FeatureBlock: t.FeatureBlock, Activation: act,
		})
		if err != nil {
			return err
		}
		m.towers = append(m.towers, tower)
		features += tower.Dim()
		if first := m.towers[0]; tower.Tokens() != first.Tokens() {
			return fmt.Errorf("towers %s and %s give %d and %d tokens of a picture, which cannot stand side by side: %w",
				first.Name(), tower.Name(), first.Tokens(), tower.Tokens(), ErrConfig)
		}
	}
	var err error
	m.proj, err = vision.OpenProjector(l, features, m.dec.Dims().C)
	return err
}

// Runnable says what keeps this version from running a model of c, wrapping
// [ErrUnsupported] where it is a matter of this version and [ErrConfig] where
// something must be given.
func (c Config) Runnable() error {
	switch reads := c.readsImage(); {
	case !reads && c.EncoderBlocks > 0:
		return fmt.Errorf("a state encoder, but decoder blocks that read no image state: tensors are missing: %w", ErrConfig)
	case reads && c.EncoderBlocks == 0:
		return fmt.Errorf("decoder blocks that read an image state, but no state encoder: is the other half of a split export missing? %w", ErrConfig)
	}
	for _, t := range c.Towers {
		if t.Kind == "clip" && (c.Variant != bidirectional || len(c.Towers) > 1) {
			return fmt.Errorf("CLIP's tower, one of %d, before %s blocks: only v6.0 is known to have it, alone before RWKV-6: %w", len(c.Towers), c.Variant, ErrUnsupported)
		}
		if t.Heads == 0 {
			return fmt.Errorf("key %q cannot be told from the tensors and must be given: %w", keyVision+t.Kind+".head_count", ErrConfig)
		}
	}
	return nil
}

// fingerprint identifies a model for the states that belong to it: what of its
// configuration a memory depends on, the list of tensors, and samples of their
// values. Reading
// gigabytes at every start would buy little over that.
func fingerprint(c Config, f *weights.File) (sum [sha256.Size]byte) {
	h := sha256.New()
	// What only words a question or ends an answer leaves a memory valid.
	c.Name, c.License, c.Tokens, c.Caption, c.Lowercase, c.Context, c.Stop, c.Views = "", "", nil, "", false, 0, 0, 0
	type plain Config // without its String
	fmt.Fprintf(h, "%+v\n", plain(c))
	const sample = 64
	for _, t := range f.Tensors() {
		fmt.Fprintf(h, "%s %d %v\n", t.Name, t.Type, t.Shape)
		if !t.Borrowed() {
			continue
		}
		b := t.Bytes()
		if len(b) > 3*sample {
			mid := len(b) / 2
			h.Write(b[:sample])
			h.Write(b[mid : mid+sample])
			b = b[len(b)-sample:]
		}
		h.Write(b)
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
	}
	h.Sum(sum[:0])
	return sum
}

// Close ends the model's workers and unmaps its file. Streams must not be used
// after it.
func (m *Model) Close() error {
	m.pool.Close()
	return m.file.Close()
}

// Config returns the model's configuration.
func (m *Model) Config() Config { return m.config }

// Fingerprint identifies the model in saved states; [Stream.SetState] refuses those
// of others.
func (m *Model) Fingerprint() [sha256.Size]byte { return m.hash }

// Backend names the kernels in use on this machine.
func Backend() string { return kernels.Backend() }

// BackendsGivenUp says, a sentence each, which faster kernels failed the check that
// is made of them before the first model is opened; usually none.
func BackendsGivenUp() []string {
	var all []string
	for _, d := range kernels.SelfCheck() {
		all = append(all, fmt.Sprintf("the %s kernels compute %s wrongly on this CPU, so %s is used", d.Backend, d.Kernel, kernels.Backend()))
	}
	return all
}

// Info are facts about an open model, for people and logs.
type Info struct {
	Name       string
	Format     string // gguf, pth, safetensors
	Variant    string
	Type       string // of the weights: what they were quantised to, else the one that most bytes have
	Parameters int64
	FileBytes  int64
	Hash       string // identifies the model in saved states, hexadecimal
	Backend    string // the kernels in use
	Views      int    // typical number of views, 0 for any
	Vision     bool   // has a tower, so that streams can see
	Text       bool   // has a vocabulary, so that streams can read and write
}

// weightType is [Info].Type of a file.
func weightType(f *weights.File) (most string) {
	if q, err := ReadQuantization(f.Meta()); err == nil && q != nil {
		return q.Type
	}
	bytes := map[string]int64{}
	for _, t := range Weights(f) {
		if bytes[t.Type] += t.Bytes; bytes[t.Type] > bytes[most] {
			most = t.Type
		}
	}
	return most
}

// Info returns facts about the model.
func (m *Model) Info() Info {
	return Info{
		Name: m.config.Name, Format: m.format, Variant: m.config.Variant, Type: weightType(m.file), Parameters: m.params,
		FileBytes: m.file.Size(), Backend: Backend(), Hash: fmt.Sprintf("%x", m.hash), Views: m.config.Views,
		Vision: len(m.towers) > 0, Text: m.vocab != nil,
	}
}
