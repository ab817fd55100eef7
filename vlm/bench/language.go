package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

const (
	decoderPrefix = decoder.Prefix
	embedding     = decoderPrefix + "emb.weight"
)

// language is an open language model and one goroutine's means to run it.
type language struct {
	file  *weights.File
	dec   *decoder.Decoder
	pool  *quant.Pool
	work  *rwkv.Work
	image []float32 // an image state, where the model reads one
	bytes int64     // of weights, read in a pass
	typ   string

	ids    *noise
	seqs   []decoder.Seq
	out    []float32 // logits of a pass
	logits []float32 // after a prompt

	touched byte // keeps touch from being left out
}

func openLanguage(path string, threads int) (*language, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	dec, err := decoder.New(tensors.New(f), nil)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m := &language{file: f, dec: dec, pool: quant.NewPool(threads), bytes: decoderBytes(f), typ: mainType(f)}
	m.work = rwkv.NewWork(quant.NewScratch(m.pool), nil)
	m.logits = make([]float32, dec.Vocab())
	m.ids = newNoise("tokens")
	if dec.Variant().ReadsImage() {
		// Speed does not depend on what it holds.
		m.image = make([]float32, dec.Dims().StateLen())
		for i := range m.image {
			m.image[i] = float32(m.ids.unit())
		}
	}
	return m, nil
}

func (m *language) close() {
	m.pool.Close()
	m.file.Close()
}

// token returns some id. Like llama-bench, a run feeds tokens that were not chosen
// from the logits: choosing is no part of the model.
func (m *language) token() int { return int(m.ids.next() % uint64(m.dec.Vocab())) }

// sequences makes room for n sequences.
func (m *language) sequences(n int) {
	for len(m.seqs) < n {
		m.seqs = append(m.seqs, decoder.Seq{State: m.dec.NewState(), Image: m.image, Logits: make([]float32, m.dec.Vocab())})
	}
	if n > 1 && len(m.out) < n*m.dec.Vocab() {
		m.out = make([]float32, n*m.dec.Vocab())
	}
}

// decode runs exactly tokens tokens of n sequences, all from the state start.
func (m *language) decode(ctx context.Context, start *rwkv.State, n, tokens int) (time.Duration, error) {
	seqs := m.seqs[:n]
	for i := range seqs {
		seqs[i].State.CopyFrom(start)
	}
	begin := time.Now()
	for range tokens {
		for i := range seqs {
			seqs[i].Token = m.token()
		}
		if err := m.dec.Step(ctx, m.work, seqs, m.out); err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

// prefill reads tokens tokens and computes what follows the last.
func (m *language) prefill(ctx context.Context, s *rwkv.State, tokens int) error {
	ids := make([]int, tokens)
	for i := range ids {
		ids[i] = m.token()
	}
	return m.dec.Prefill(ctx, m.work, s, m.image, decoder.Prompt{IDs: ids, ImageID: -1}, m.logits)
}

// language measures on the language model.
func (b *bencher) language(ctx context.Context, w What) error {
	path, err := b.languageFile(ctx)
	if err != nil {
		return err
	}
	p, err := b.peerFor(ctx, w)
	if err != nil {
		return err
	}
	m, err := openLanguage(path, b.Threads)
	if err != nil {
		return err
	}
	defer m.close()
	var subjects []*subject
	switch w {
	case Prefill:
		subjects = b.prefills(m)
	case Context:
		subjects, err = b.contexts(ctx, m)
	case Batch:
		subjects, err = b.decodes(ctx, m, w, orElse(b.Batch, 1, 2, 4, 8))
	default:
		subjects, err = b.decodes(ctx, m, w, orElse(b.Batch, 1))
	}
	if err != nil {
		return err
	}
	for _, s := range subjects {
		if s.row.Batch == 1 && s.row.Context == 0 {
			s.peer = p
		}
	}
	return b.measure(ctx, subjects)
}

func orElse(list []int, fallback ...int) []int {
	if len(list) == 0 {
		return fallback
	}
	return list
}

// subject starts a measurement on m.
func (b *bencher) subject(m *language, w What, tokens int) *subject {
	typ := b.Type.String()
	if b.Model != "" {
		typ = m.typ
	}
	s := &subject{row: b.row(w, b.Shape, typ)}
	s.row.ModelBytes = m.file.Size()
	if b.Pure && b.Model == "" {
		s.row.Note = "pure"
	}
	s.row.Tokens = b.Tokens
	if s.row.Tokens == 0 {
		s.row.Tokens = tokens
	}
	return s
}

// decodeTokens and prefillTokens are the lengths of a run unless told otherwise.
const (
	decodeTokens  = 64
	prefillTokens = 512
)

// decoding is a subject that decodes n sequences from the state start.
func (b *bencher) decoding(m *language, w What, start *rwkv.State, n int) *subject {
	s := b.subject(m, w, decodeTokens)
	s.row.Batch = n
	s.tokens, s.passes, s.bytes = n*s.row.Tokens, s.row.Tokens, m.bytes
	s.warm = func(ctx context.Context) error {
		m.sequences(n)
		_, err := m.decode(ctx, start, n, 1)
		return err
	}
	s.run = func(ctx context.Context) (time.Duration, error) {
		return m.decode(ctx, start, n, s.row.Tokens)
	}
	return s
}

// decodes makes a subject for each number of sequences.
func (b *bencher) decodes(ctx context.Context, m *language, w What, batches []int) ([]*subject, error) {
	start, read := m.dec.NewState(), b.Context
	if slices.Contains(b.What, Context) {
		read = 0 // it is for that series
	}
	if err := b.readTo(ctx, m, start, 0, read); err != nil {
		return nil, err
	}
	var subjects []*subject
	for _, n := range batches {
		s := b.decoding(m, w, start, n)
		s.row.Context = read
		subjects = append(subjects, s)
	}
	return subjects, nil
}

func (b *bencher) prefills(m *language) []*subject {
	s := b.subject(m, Prefill, prefillTokens)
	state := m.dec.NewState()
	s.tokens, s.passes = s.row.Tokens, 1
	s.warm = func(ctx context.Context) error { return m.prefill(ctx, state, min(rwkv.MaxRows, s.row.Tokens)) }
	s.run = func(ctx context.Context) (time.Duration, error) {
		state.Reset()
		begin := time.Now()
		err := m.prefill(ctx, state, s.row.Tokens)
		return time.Since(begin), err
	}
	return []*subject{s}
}

// firstContext is where the series of contexts begins; it doubles from there.
const firstContext = 1024

// contextPoints are the numbers of tokens after which a series up to n measures.
func contextPoints(n int) (points []int) {
	for p := firstContext; p < n; p *= 2 {
		points = append(points, p)
	}
	return append(points, n)
}

// contexts reads up to the longest context, and makes a subject at each point on
// the way, with the memory that was resident there.
func (b *bencher) contexts(ctx context.Context, m *language) ([]*subject, error) {
	end := b.Context
	if end == 0 {
		end = 4096
	}
	var subjects []*subject
	points := contextPoints(end)
	states := make([]*rwkv.State, len(points))
	at := m.dec.NewState()
	if err := m.prefill(ctx, at, rwkv.MaxRows); err != nil {
		return nil, err
	}
	// All memory that the series needs is taken before it begins, the states
	// written so that they are resident.
	for i := range states {
		states[i] = at.Clone()
		subjects = append(subjects, b.decoding(m, Context, states[i], 1))
	}
	if err := subjects[0].warm(ctx); err != nil {
		return nil, err
	}
	m.touch()
	at.Reset()
	read := 0
	for i, p := range points {
		if err := b.readTo(ctx, m, at, read, p); err != nil {
			return nil, err
		}
		read = p
		states[i].CopyFrom(at)
		subjects[i].row.Context = p
		subjects[i].row.RSS = resident()
	}
	return subjects, nil
}

// touch reads a byte of every page of the file. Each token reads one row of the embedding,
// so that a long text makes more and more of that resident; what is to be seen here is
// whether anything else grows.
func (m *language) touch() {
	for _, t := range m.file.Tensors() {
		b := t.Bytes()
		for i := 0; i < len(b); i += os.Getpagesize() {
			m.touched += b[i]
		}
	}
}

// readPiece is how many tokens are read between two reports.
const readPiece = 4 * rwkv.MaxRows

// readTo reads tokens from number from up to number to.
func (b *bencher) readTo(ctx context.Context, m *language, s *rwkv.State, from, to int) error {
	for ; from < to; from += readPiece {
		b.Tell(fmt.Sprintf("reading: %d of %d tokens", from, to))
		if err := m.prefill(ctx, s, min(readPiece, to-from)); err != nil {
			return err
		}
	}
	return nil
}

// peerFor returns the peer with a model of the same shape and bits, nil where there
// is none or the measurement is not one of its own.
func (b *bencher) peerFor(ctx context.Context, w What) (*peer, error) {
	if b.Peer == "" || w != Decode && w != Prefill {
		return nil, nil
	}
	shape, err := ParseShape(b.Shape)
	if err != nil {
		return nil, err
	}
	path, err := obtain(ctx, b.Cache, peerFile(shape, b.Type, b.Pure), b.Tell)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return llamaBench(b.Peer, path, info.Size()), nil
}

// decoderBytes returns how many bytes of weights one pass of the decoder reads: all
// of its tensors as they are stored, of the embedding one row.
func decoderBytes(f *weights.File) (total int64) {
	for _, t := range f.Tensors() {
		switch {
		case t.Name == embedding && len(t.Shape) > 0:
			total += int64(t.Size() / max(t.Shape[0], 1))
		case strings.HasPrefix(t.Name, decoderPrefix):
			total += int64(t.Size())
		}
	}
	return total
}

// mainType is the type of most bytes of the matrices in f, by the names of the
// command line.
func mainType(f *weights.File) string {
	sizes := map[string]int{}
	for _, t := range f.Tensors() {
		name := quant.Type(t.Type).String()
		switch {
		case t.Type == weights.I8 && f.Lookup(t.Name+".group") != nil:
			name = quant.P4.String()
		case t.Type == weights.I8:
			name = quant.P8.String()
		case len(t.Shape) != 2:
			continue
		}
		sizes[name] += t.Size()
	}
	best := ""
	for name, n := range sizes {
		if best == "" || n > sizes[best] || n == sizes[best] && name < best {
			best = name
		}
	}
	return best
}
