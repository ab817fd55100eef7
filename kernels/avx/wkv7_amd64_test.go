package avx

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

// TestWKV7 wants the bits of package portable.
func TestWKV7(t *testing.T) {
	eachTier(t, func(t *testing.T, wide bool) {
		r := rand.New(rand.NewPCG(5, 6))
		wkv7 := WKV7
		if wide {
			wkv7 = WKV7x512
		}
		for _, size := range []int{32, 64, 96, 128} {
			for _, steps := range []int{1, 2, 5} {
				heads, stride := 1+r.IntN(6), 7*size
				n := (steps-1)*stride + heads*size
				in := func() []float32 { return randoms(t, r, n) }
				rr, k, v, w, kappa, a := in(), in(), in(), in(), in(), in()
				state, y, want := randoms(t, r, heads*size*size), guard.Slice[float32](t, n), make([]float32, n)
				twin := slices.Clone(state)
				wkv7(y, state, rr, k, v, w, kappa, a, steps, stride, heads, size)
				portable.WKV7(want, twin, rr, k, v, w, kappa, a, steps, stride, heads, size)
				equalBits(t, "y", y, want)
				equalBits(t, "state", state, twin)
			}
		}
	})
}
