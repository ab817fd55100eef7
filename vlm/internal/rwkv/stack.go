package rwkv

import (
	"context"

	"github.com/visualrwkv/edged/quant"
)

// Stack is blocks that run one after another: weights only, safe for
// concurrent use.
type Stack struct {
	dims   Dims
	blocks []*Block
}

// StackOptions change how a stack is bound.
type StackOptions struct {
	LNEps, GNEps float32 // norm epsilons; 0 is the published models'
	StateOnly    bool    // of the last block only what advances its wkv state
}

// BindStack reads all blocks under prefix ("rwkv.", "state_encoder.").
func BindStack(l quant.Loader, prefix string, v Variant, o StackOptions) (*Stack, error) {
	d, err := DimsOf(l, prefix)
	if err != nil {
		return nil, err
	}
	d.LNEps, d.GNEps = o.LNEps, o.GNEps
	s := &Stack{dims: d.withDefaults(), blocks: make([]*Block, CountBlocks(l, prefix))}
	for i := range s.blocks {
		last := i == len(s.blocks)-1
		if s.blocks[i], err = Bind(l, prefix, i, s.dims, v, last && o.StateOnly); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Dims returns the sizes of the blocks.
func (s *Stack) Dims() Dims { return s.dims }

// Blocks returns the blocks, for callers that drive them one by one.
func (s *Stack) Blocks() []*Block { return s.blocks }

// NewState returns the state before the first token.
func (s *Stack) NewState() *State { return NewState(s.blocks) }

// Forward runs rows x [n, C] of segs through all blocks in place and advances
// the states. When ctx ends it stops within a block, between two strips of a product,
// with ctx's error; x and the states are then of no more use.
func (s *Stack) Forward(ctx context.Context, w *Work, x []float32, segs []Seg) error {
	w.scratch.Until(ctx.Done())
	defer w.scratch.Until(nil)
	for _, b := range s.blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		b.Forward(w, x, segs)
	}
	return ctx.Err()
}
