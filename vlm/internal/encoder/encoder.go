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
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
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

// Encoder holds the weights; [rwkv.Stack.NewState] is the memory of one that
// has seen nothing. It is safe for concurrent use.
type Encoder struct {
	*rwkv.Stack
}

// New binds the encoder's weights. It fails if there are none; [Count] tells
// before.
func New(l quant.Loader, o *Options) (*Encoder, error) {
	if o == nil {
		o = &Options{}
	}
	if Count(l) == 0 {
		return nil, fmt.Errorf("no state encoder: tensor %sblocks.0.ln1.weight is missing", Prefix)
	}
	s, err := rwkv.BindStack(l, Prefix, rwkv.Vanilla, rwkv.StackOptions{LNEps: o.LNEps, GNEps: o.GNEps, StateOnly: !o.Full})
	if err != nil {
		return nil, err
	}
	return &Encoder{s}, nil
}

// Count returns the number of encoder blocks in a model, 0 for models without.
func Count(l quant.Loader) int { return rwkv.CountBlocks(l, Prefix) }

// Image returns the image state S_img [H,N,N] in s, borrowed.
func (e *Encoder) Image(s *rwkv.State) []float32 { return s.WKV(len(e.Blocks()) - 1) }

// Feed advances s by the image tokens [n, C], which it overwrites. When ctx
// ends it stops with ctx's error; s is then of no more use.
func (e *Encoder) Feed(ctx context.Context, w *rwkv.Work, s *rwkv.State, tokens []float32) error {
	c := e.Dims().C
	if len(tokens)%c != 0 {
		return fmt.Errorf("%d values are not rows of %d", len(tokens), c)
	}
	segs := w.Segs(1)
	for len(tokens) > 0 {
		n := min(len(tokens)/c, rwkv.MaxRows)
		segs[0] = rwkv.Seg{N: n, State: s}
		if err := e.Forward(ctx, w, tokens[:n*c], segs); err != nil {
			return err
		}
		tokens = tokens[n*c:]
	}
	return nil
}
