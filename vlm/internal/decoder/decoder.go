// Package decoder is the language model: blocks of RWKV-6 or RWKV-7 over the
// prompt and the image tokens, in models with a state encoder every block
// reading the same image state, and a sampler.
//
// Every position, the text before the images included, reads the final image
// state. A decoder state computed against one image state is therefore stale
// when the next frame arrives, and is never carried over; in models that read
// none, it may be.
package decoder

import (
	"fmt"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// Prefix stands before the decoder's tensor names.
const Prefix = "rwkv."

// Options change how a decoder is built. The zero value is the runtime's.
type Options struct {
	LNEps, GNEps float32 // norm epsilons; 0 is the published models'

	// Bidirectional lets every second block see the picture backwards, as the models of
	// v6.0 do (section 8.2), which are plain RWKV-6 otherwise. No tensor's name tells.
	Bidirectional bool
}

// Decoder holds the weights. It is safe for concurrent use.
type Decoder struct {
	*rwkv.Stack
	variant       rwkv.Variant
	bidirectional bool
	vocab         int
	emb           *quant.Matrix // [V, C]
	head          *quant.Matrix // [V, C]
	out           *rwkv.Norm
}

// New binds the decoder's weights. The variant is found from tensor names; the
// error wraps [rwkv.ErrUnsupported] for a variant that is known but not run.
func New(l quant.Loader, o *Options) (*Decoder, error) {
	if o == nil {
		o = &Options{}
	}
	v, err := rwkv.Detect(l, Prefix)
	if err != nil {
		return nil, err
	}
	if o.Bidirectional && v != rwkv.Vanilla {
		return nil, fmt.Errorf("bidirectional blocks of variant %v: %w", v, rwkv.ErrUnsupported)
	}
	blocks, err := rwkv.BindStack(l, Prefix, v, rwkv.StackOptions{LNEps: o.LNEps, GNEps: o.GNEps})
	if err != nil {
		return nil, err
	}
	m := &Decoder{Stack: blocks, variant: v, bidirectional: o.Bidirectional}
	d := m.Dims()
	if m.emb, err = l.Matrix(Prefix+"emb.weight", -1, d.C); err != nil {
		return nil, err
	}
	m.vocab = m.emb.Rows()
	if m.head, err = l.Matrix(Prefix+"head.weight", m.vocab, d.C); err != nil {
		return nil, err
	}
	if m.out, err = rwkv.BindNorm(l, Prefix+"ln_out", d); err != nil {
		return nil, err
	}
	return m, nil
}

// Variant returns the kind of the blocks.
func (m *Decoder) Variant() rwkv.Variant { return m.variant }

// Bidirectional reports whether every second block sees the picture backwards.
func (m *Decoder) Bidirectional() bool { return m.bidirectional }

// Vocab returns the number of token ids, the length of a row of logits.
func (m *Decoder) Vocab() int { return m.vocab }

// Logits computes dst [n, Vocab] from rows x [n, C] that Forward left, which it
// overwrites with their final norm.
func (m *Decoder) Logits(w *rwkv.Work, dst, x []float32, n int) {
	x = x[:n*m.Dims().C]
	m.out.Apply(x)
	m.head.Mul(w.Scratch(), dst[:n*m.vocab], x, n)
}

// Embed writes the embedding of token id to dst [C].
func (m *Decoder) Embed(dst []float32, id int) error {
	if id < 0 || id >= m.vocab {
		return fmt.Errorf("token id %d is not in the vocabulary of %d", id, m.vocab)
	}
	m.emb.Row(dst, id)
	return nil
}
