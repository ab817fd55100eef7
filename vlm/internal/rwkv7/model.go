package rwkv7

import (
	"context"
	"fmt"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// Model holds the weights of a language model. It is safe for concurrent use.
type Model struct {
	dims   rwkv.Dims
	emb    *quant.Matrix // [V, C]
	blocks []*block
	out    *rwkv.Norm
	head   *quant.Matrix // [V, C]
}

// New binds the tensors under prefix, "rwkv." in a whole checkpoint.
func New(l quant.Loader, prefix string) (*Model, error) {
	d, err := DimsOf(l, prefix)
	if err != nil {
		return nil, err
	}
	m := &Model{dims: d, blocks: make([]*block, rwkv.CountBlocks(l, prefix))}
	for i := range m.blocks {
		if m.blocks[i], err = bindBlock(l, prefix, i, d); err != nil {
			return nil, err
		}
	}
	if m.emb, err = l.Matrix(prefix+"emb.weight", -1, d.C); err != nil {
		return nil, err
	}
	if m.head, err = l.Matrix(prefix+"head.weight", m.emb.Rows(), d.C); err != nil {
		return nil, err
	}
	m.out, err = rwkv.BindNorm(l, prefix+"ln_out", d)
	return m, err
}

// Dims returns the sizes of the blocks.
func (m *Model) Dims() rwkv.Dims { return m.dims }

// Vocab returns the number of token ids, the length of a row of logits.
func (m *Model) Vocab() int { return m.emb.Rows() }

// NewState returns the state before the first token.
func (m *Model) NewState() *rwkv.State { return rwkv.NewStateOf(m.dims, len(m.blocks)) }

// Embed writes the embedding of token id to dst [C].
func (m *Model) Embed(dst []float32, id int) error {
	if id < 0 || id >= m.Vocab() {
		return fmt.Errorf("token id %d is not in the vocabulary of %d", id, m.Vocab())
	}
	m.emb.Row(dst, id)
	return nil
}

// Forward runs rows x [n, C] of segs, at most [rwkv.MaxRows] for the buffers to stay
// small, through all blocks in place and advances the states; image states are not read.
// When ctx ends it stops within a block, between two strips of a product, with ctx's error;
// x and the states are then of no more use.
func (m *Model) Forward(ctx context.Context, w *Work, x []float32, segs []rwkv.Seg) error {
	n := 0
	for i := range segs {
		n += segs[i].N
	}
	w.need(n, m)
	w.scratch.Until(ctx.Done())
	defer w.scratch.Until(nil)
	for i, b := range m.blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.forward(w, m.dims, i, x[:n*m.dims.C], segs)
	}
	return ctx.Err()
}

// Logits computes dst [n, Vocab] from rows x [n, C] that Forward left, which it
// overwrites with their final norm.
func (m *Model) Logits(w *Work, dst, x []float32, n int) {
	x = x[:n*m.dims.C]
	m.out.Apply(x)
	m.head.Mul(w.scratch, dst[:n*m.Vocab()], x, n)
}
