package avx

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

// TestAttention holds scores and rows to the bits of package portable but for the sum of
// a softmax, whose other order shows in the last place at most.
func TestAttention(t *testing.T) {
	eachTier(t, func(t *testing.T, wide bool) {
		r := rand.New(rand.NewPCG(1, 2))
		attention := Attention
		if wide {
			attention = Attention512
		}
		for _, queries := range []int{1, 3, 4, 7, 8, 16, 23, 36} {
			for _, keys := range []int{1 + r.IntN(7), 8, 9 + r.IntN(70)} {
				dim := 8 * (1 + r.IntN(16))
				qs, kvs, ds := dim+r.IntN(9), dim+r.IntN(9), dim+r.IntN(9)
				q, k, v := randoms(t, r, (queries-1)*qs+dim), randoms(t, r, (keys-1)*kvs+dim), randoms(t, r, (keys-1)*kvs+dim)
				dst, want := guard.Slice[float32](t, (queries-1)*ds+dim), make([]float32, (queries-1)*ds+dim)
				scores := guard.Slice[float32](t, queries*keys)
				attention(dst, ds, q, qs, k, v, kvs, queries, keys, dim, 0.125, scores)
				portable.Attention(want, ds, q, qs, k, v, kvs, queries, keys, dim, 0.125, make([]float32, queries*keys))
				equalBits(t, fmt.Sprintf("%d queries, %d keys of %d", queries, keys, dim), dst, want)
			}
		}
	})
}
