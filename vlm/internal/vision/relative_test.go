package vision

import (
	"math"
	"testing"
)

// TestWindowAttention compares with the formula of section 7 in float64: windows that reach
// beyond the grid, and one with more queries than a band.
func TestWindowAttention(t *testing.T) {
	for _, sh := range []struct{ n, grid, side, heads, size int }{{2, 5, 3, 2, 8}, {1, 6, 3, 1, 5}, {1, 34, 34, 1, 4}, {1, 2, 3, 1, 8}} {
		dim, rel := sh.heads*sh.size, (2*sh.side-1)*sh.size
		qkv, bias := randoms(sh.n*sh.grid*sh.grid*3*dim), randoms(3*dim)
		h, w := randoms(rel), randoms(rel + 1)[1:]
		want := make([]float32, sh.n*sh.grid*sh.grid*dim)
		at := func(picture, y, x int) []float32 {
			if y >= sh.grid || x >= sh.grid {
				return bias
			}
			return qkv[((picture*sh.grid+y)*sh.grid+x)*3*dim:][:3*dim]
		}
		dot := func(a, b []float32) (s float64) {
			for i, v := range a[:sh.size] {
				s += float64(v) * float64(b[i])
			}
			return s
		}
		for i := range sh.n * sh.grid * sh.grid * sh.heads {
			head, token := i%sh.heads*sh.size, i/sh.heads
			x, y, picture := token%sh.grid, token/sh.grid%sh.grid, token/sh.grid/sh.grid
			x0, y0 := x-x%sh.side, y-y%sh.side
			q := at(picture, y, x)[head:]
			sum, out := 0.0, make([]float64, sh.size)
			for ky := y0; ky < y0+sh.side; ky++ {
				for kx := x0; kx < x0+sh.side; kx++ {
					key := at(picture, ky, kx)
					p := math.Exp(dot(q, key[dim+head:])/math.Sqrt(float64(sh.size)) +
						dot(q, h[(y-ky+sh.side-1)*sh.size:]) + dot(q, w[(x-kx+sh.side-1)*sh.size:]))
					sum += p
					for d := range out {
						out[d] += p * float64(key[2*dim+head+d])
					}
				}
			}
			for d, v := range out {
				want[token*dim+head+d] = float32(v / sum)
			}
		}
		got := make([]float32, len(want))
		work(t, 2).windowAttention(got, qkv, bias, sh.n, sh.grid, sh.heads, newRelative(h, w, sh.size))
		near(t, "attention", got, want)
	}
}
