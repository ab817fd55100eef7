package avx

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

func randoms(t testing.TB, r *rand.Rand, n int) []float32 {
	x := guard.Slice[float32](t, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// TestWKV6 wants the bits of package portable.
func TestWKV6(t *testing.T) {
	eachTier(t, func(t *testing.T, wide bool) {
		r := rand.New(rand.NewPCG(1, 2))
		wkv6 := WKV6
		if wide {
			wkv6 = WKV6x512
		}
		for _, size := range []int{32, 64, 96, 128} {
			for _, steps := range []int{1, 2, 5, 8} {
				heads, stride := 1+r.IntN(6), 7*size
				n := (steps-1)*stride + heads*size
				rr, k, v, w, u := randoms(t, r, n), randoms(t, r, n), randoms(t, r, n), randoms(t, r, n), randoms(t, r, heads*size)
				state, y, want := randoms(t, r, heads*size*size), guard.Slice[float32](t, n), make([]float32, n)
				twin := append([]float32(nil), state...)
				wkv6(y, state, rr, k, v, w, u, steps, stride, heads, size)
				portable.WKV6(want, twin, rr, k, v, w, u, steps, stride, heads, size)
				equalBits(t, "y", y, want)
				equalBits(t, "state", state, twin)
			}
		}
	})
}

func TestRows(t *testing.T) {
	eachTier(t, func(t *testing.T, wide bool) {
		r := rand.New(rand.NewPCG(1, 2))
		read := StateRead
		if wide {
			read = StateRead512
		}
		for _, size := range []int{8, 16, 40, 64, 72, 136} {
			heads := 1 + r.IntN(3)
			q, state, p, want := randoms(t, r, heads*size), randoms(t, r, heads*size*size), guard.Slice[float32](t, heads*size), make([]float32, heads*size)
			read(p, state, q, heads, size)
			portable.StateRead(want, state, q, heads, size)
			equalBits(t, "StateRead", p, want)
		}
	})
}

func TestLowRank(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, out := range []int{8, 16, 40, 160} {
		n, in := 1+r.IntN(4), 1+r.IntN(100)
		from := r.IntN(out/8) * 8
		to := from + 8 + r.IntN((out-from)/8)*8
		x, a, dst, want := randoms(t, r, n*in), randoms(t, r, in*out), guard.Slice[float32](t, n*out), make([]float32, n*out)
		LowRank(dst, x, a, n, in, out, from, to)
		portable.LowRank(want, x, a, n, in, out, from, to)
		equalBits(t, "LowRank", dst, want)
	}
}

// TestLowRankF16 covers every number of whole tiles of vectors and columns, and what is left.
func TestLowRankF16(t *testing.T) {
	for _, f := range []struct {
		name string
		have bool
		run  func(dst, x []float32, a []byte, n, in, out, from, to int)
	}{{"AVX2", hasAVX2, LowRankF16}, {"AVX512", hasVNNI, LowRankF16x512}} {
		if !f.have {
			continue
		}
		r := rand.New(rand.NewPCG(3, 4))
		for n := 1; n <= 9; n++ {
			for cols := 8; cols <= 168; cols += 8 {
				in, from := 1+r.IntN(40), r.IntN(3)*8
				out := from + cols + r.IntN(3)*8
				x, half := randoms(t, r, n*in), guard.Slice[byte](t, 2*in*out)
				for i, v := range randoms(t, r, in*out) {
					binary.LittleEndian.PutUint16(half[2*i:], portable.F32ToF16(v))
				}
				dst, want := guard.Slice[float32](t, n*out), make([]float32, n*out)
				f.run(dst, x, half, n, in, out, from, from+cols)
				portable.LowRankF16(want, x, half, n, in, out, from, from+cols)
				equalBits(t, f.name, dst, want)
			}
		}
	}
}
