package decoder

import (
	"context"
	"slices"

	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// PrefillBidirectional is Prefill for the models of v6.0, in which every second block sees
// the picture backwards: rows x [n, C] are the prompt with the image tokens in it, in place
// of which it leaves the output of the last block, and rows from to to-1 are the patches
// that blocks of odd index take in reverse order. The class token, which follows them, is
// not one.
//
// Since the patches of one block come from all of those of the block before, the prompt
// cannot be cut: every block takes all rows at once. From the state it leaves, [Decoder.Step]
// goes on as usual. A ctx that ends is treated as in Prefill.
func (m *Decoder) PrefillBidirectional(ctx context.Context, w *rwkv.Work, s *rwkv.State, x []float32, from, to int) error {
	c := m.Dims().C
	segs := w.Segs(1)
	segs[0] = rwkv.Seg{N: len(x) / c, State: s}
	w.Scratch().Until(ctx.Done())
	defer w.Scratch().Until(nil)
	for i, b := range m.Blocks() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i%2 == 1 {
			reverseRows(x[from*c:to*c], c)
		}
		b.Forward(w, x, segs)
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
