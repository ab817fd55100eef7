// Package encoder is the state encoder: RWKV-6 blocks that read image tokens
// and of which only the last block's wkv state, the image state, is kept.
//
// It is causal and starts from zero, so feeding the tokens in any grouping
// while carrying the state equals one pass over all of them, bit for bit: a
// stream of frames needs no more memory than one frame.
package encoder

import (
	"context"
	"fmt"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv6"
)

// Prefix stands before the encoder's tensor names.
const Prefix = "state_encoder."

// Options change how an encoder is built. The zero value is the runtime's.
type Options struct {
	// Full keeps the work of the last block that the image state does not
	// depend on: its read of the state, output, channel mixing. Only a
	// comparison with intermediate values needs it.
	Full bool

	LNEps, GNEps float32 // norm epsilons; 0 is the published models'
}

// Encoder holds the weights. It is safe for concurrent use.
type Encoder struct {
	blocks []*rwkv6.Block
	dims   rwkv6.Dims
}

// New binds the encoder's weights. It fails if there are none; [Count] tells
// before.
func New(l quant.Loader, o *Options) (*Encoder, error) {
	if o == nil {
		o = &Options{}
	}
	n := Count(l)
	if n == 0 {
		return nil, fmt.Errorf("no state encoder: tensor %sblocks.0.ln1.weight is missing", Prefix)
	}
	d, err := rwkv6.DimsOf(l, Prefix)
	if err != nil {
		return nil, err
	}
	if o.LNEps != 0 {
		d.LNEps = o.LNEps
	}
	if o.GNEps != 0 {
		d.GNEps = o.GNEps
	}
	e := &Encoder{dims: d}
	for i := range n {
		b, err := rwkv6.Bind(l, Prefix, i, d, rwkv6.Vanilla, i == n-1 && !o.Full)
		if err != nil {
			return nil, err
		}
		e.blocks = append(e.blocks, b)
	}
	return e, nil
}

// Count returns the number of encoder blocks in a model, 0 for models without.
func Count(l quant.Loader) int { return rwkv6.CountBlocks(l, Prefix) }

// Dims returns the sizes of the blocks.
func (e *Encoder) Dims() rwkv6.Dims { return e.dims }

// Blocks returns how many blocks there are.
func (e *Encoder) Blocks() int { return len(e.blocks) }

// NewState returns the memory of an encoder that has seen nothing.
func (e *Encoder) NewState() *rwkv6.State { return rwkv6.NewState(e.blocks) }

// Image returns the image state S_img [H,N,N] in s, borrowed.
func (e *Encoder) Image(s *rwkv6.State) []float32 { return s.WKV(len(e.blocks) - 1) }

// Feed advances s by the image tokens [n, C], which it overwrites. When ctx
// ends it stops between two blocks with ctx's error; s is then somewhere
// between and of no more use.
func (e *Encoder) Feed(ctx context.Context, w *rwkv6.Work, s *rwkv6.State, tokens []float32) error {
	c := e.dims.C
	if len(tokens)%c != 0 {
		return fmt.Errorf("%d values are not rows of %d", len(tokens), c)
	}
	segs := w.Segs(1)
	for len(tokens) > 0 {
		n := min(len(tokens)/c, rwkv6.MaxRows)
		segs[0] = rwkv6.Seg{N: n, State: s}
		for _, b := range e.blocks {
			if err := ctx.Err(); err != nil {
				return err
			}
			b.Forward(w, tokens[:n*c], segs)
		}
		tokens = tokens[n*c:]
	}
	return nil
}
