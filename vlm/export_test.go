package vlm

import (
	"context"
	"runtime"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/weights"
)

// Metadata returns r as it stands in a file.
func (r *Quantization) Metadata() weights.Meta { return r.metadata() }

// Passes returns how many passes over the decoder's weights were made for
// answers, and how many tokens they fed.
func (m *Model) Passes() (passes, tokens uint64) {
	m.batcher.mu.Lock()
	defer m.batcher.mu.Unlock()
	return m.batcher.passes, m.batcher.tokens
}

// HoldPasses keeps sequences from being decoded; release lets them, once n of
// them wait.
func (m *Model) HoldPasses() (release func(n int)) {
	b := m.batcher
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	return func(n int) {
		m.AwaitWaiting(n)
		b.mu.Lock()
		b.rest()
		b.mu.Unlock()
	}
}

// AwaitWaiting returns when n sequences wait to be decoded.
func (m *Model) AwaitWaiting(n int) {
	b := m.batcher
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.waiting) < n {
		b.mu.Unlock()
		runtime.Gosched()
		b.mu.Lock()
	}
}

// Read does what Convert does before it writes: it checks the tensors, and reads them all.
func (s *Source) Read(c Config) error {
	w := &converter{ctx: context.Background()}
	err := w.scan(s.weights(c, &w.problems), s.Notes(c))
	if w.problems.N == 0 {
		return nil
	}
	return err
}

// Multiplied makes a model tell f the name of each matrix before it is multiplied with that
// many rows.
func (o *Options) Multiplied(f func(matrix string, rows int)) {
	o.wrap = func(l quant.Loader) quant.Loader { return multiplied{l, f} }
}

type multiplied struct {
	quant.Loader
	f func(matrix string, rows int)
}

func (l multiplied) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	m, err := l.Loader.Matrix(name, rows, cols)
	if err != nil {
		return nil, err
	}
	return m.Observed(func(_ []float32, rows int) { l.f(name, rows) }), nil
}

// NewLooked returns what models with one tower may share.
func NewLooked() looked { return looked{} }

// Options are those of a model that shares l.
func (l looked) Options() *Options { return &Options{looked: l} }

// Looked makes s add to n, by tower, the pictures that go through it.
func (s *Stream) Looked(n map[string]int) {
	for i, e := range s.sight.eyes {
		s.sight.eyes[i].Tower = counted{e.Tower, n}
	}
}

type counted struct {
	vision.Tower
	pictures map[string]int
}

func (c counted) Forward(w *vision.Work, dst []float32, stride int, pixels []float32, n int) {
	c.pictures[c.Name()] += n
	c.Tower.Forward(w, dst, stride, pixels, n)
}
