package decoder

import (
	"context"
	"fmt"
	"slices"

	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// MaxBidirectional is the longest prompt of a bidirectional model in tokens: all of it is
// held at once. The published ones were trained with 2048.
const MaxBidirectional = 4096

// prefillBidirectional is Prefill for a prompt with one picture, whose last image token is
// the class token.
func (m *Decoder) prefillBidirectional(ctx context.Context, w *rwkv.Work, s *rwkv.State, p Prompt, logits []float32) error {
	n, c := len(p.IDs), m.Dims().C
	if n > MaxBidirectional {
		return fmt.Errorf("prompt of %d tokens, at most %d", n, MaxBidirectional)
	}
	x := w.Rows(n, c)
	if _, err := m.fill(x, p.IDs, p, p.Rows); err != nil {
		return err
	}
	from, to := 0, 0
	if at := slices.Index(p.IDs, p.ImageID); at >= 0 {
		from, to = at, at+1
		for to < n && p.IDs[to] == p.ImageID {
			to++
		}
		if slices.Contains(p.IDs[to:], p.ImageID) {
			return fmt.Errorf("prompt with more than one picture, the second at token %d", to+slices.Index(p.IDs[to:], p.ImageID))
		}
		to-- // the class token
	}
	if err := m.ForwardBidirectional(ctx, w, s, x, from, to); err != nil {
		return err
	}
	if n > 0 && logits != nil {
		m.Logits(w, logits, x[(n-1)*c:], 1)
	}
	return nil
}

// ForwardBidirectional runs rows x [n, C] through all blocks in place and advances s, as
// the models of v6.0 do, in which every second block sees the picture backwards: rows from
// to to-1 are its patches, which blocks of odd index take in reverse order.
//
// Since the patches of one block come from all of those of the block before, every block
// takes all rows before the next begins. From the state it leaves, [Decoder.Step] goes on as
// usual. When ctx ends it stops with ctx's error; x and s are then of no more use.
func (m *Decoder) ForwardBidirectional(ctx context.Context, w *rwkv.Work, s *rwkv.State, x []float32, from, to int) error {
	c := m.Dims().C
	segs := w.Segs(1)
	w.Scratch().Until(ctx.Done())
	defer w.Scratch().Until(nil)
	for i, b := range m.Blocks() {
		if i%2 == 1 {
			reverseRows(x[from*c:to*c], c)
		}
		for rest := x; len(rest) > 0; rest = rest[segs[0].N*c:] {
			if err := ctx.Err(); err != nil {
				return err
			}
			segs[0] = rwkv.Seg{N: min(len(rest)/c, rwkv.MaxRows), State: s}
			b.Forward(w, rest, segs)
		}
		if i%2 == 1 {
			reverseRows(x[from*c:to*c], c)
		}
	}
	return ctx.Err()
}

// reverseRows turns the order of the rows of c values around.
func reverseRows(x []float32, c int) {
	slices.Reverse(x)
	for ; len(x) > 0; x = x[c:] {
		slices.Reverse(x[:c])
	}
}
