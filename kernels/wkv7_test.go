package kernels

import (
	"math"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
)

// TestWKV7Definition compares one step with the definition, in float64.
func TestWKV7Definition(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range append(slices.Clone(wkvShapes), [3]int{1, 1, 70}) {
			heads, size := sh[1], sh[2]
			in := newWKV(t, r, 1, heads, size)
			kappa, a := randoms(t, r, heads*size), randoms(t, r, heads*size)
			before := slices.Clone(in.state)
			y := guard.Slice[float32](t, heads*size)
			WKV7(y, in.state, in.r, in.k, in.v, in.w, kappa, a, 1, heads*size, heads, size)
			for h := range heads {
				for j := range size {
					var q, qs, want, bound float64
					for i := range size {
						c := h*size + i
						q += float64(kappa[c]) * float64(before[c*size+j])
						qs += math.Abs(float64(kappa[c]) * float64(before[c*size+j]))
					}
					for i := range size {
						c := h*size + i
						keep, add := float64(in.w[c])*float64(before[c*size+j]), float64(in.k[c])*float64(in.v[h*size+j])
						drop := float64(kappa[c]) * float64(a[c])
						next := keep - drop*q + add
						scale := math.Abs(keep) + math.Abs(drop)*qs + math.Abs(add)
						near(t, "state", in.state[c*size+j], next, scale, float64(size)+8)
						want += float64(in.r[c]) * next
						bound += math.Abs(float64(in.r[c])) * scale
					}
					near(t, "y", y[h*size+j], want, bound, 2*float64(size)+8)
				}
			}
		}
	})
}

// TestWKV7 checks that a sequence is one step repeated, bit for bit, whatever strips
// of heads it is cut into.
func TestWKV7(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range wkvShapes {
			steps, heads, size := sh[0], sh[1], sh[2]
			c := heads * size
			in := newWKV(t, r, steps, heads, size)
			kappa, a := randoms(t, r, steps*c), randoms(t, r, steps*c)
			state, want := slices.Clone(in.state), make([]float32, steps*c)
			for i := range steps {
				p, q := i*c, (i+1)*c
				WKV7(want[p:q], state, in.r[p:q], in.k[p:q], in.v[p:q], in.w[p:q], kappa[p:q], a[p:q], 1, c, heads, size)
			}
			whole, y := guard.Copy(t, in.state), guard.Slice[float32](t, steps*c)
			WKV7(y, whole, in.r, in.k, in.v, in.w, kappa, a, steps, c, heads, size)
			equalBits(t, "y", y, want)
			equalBits(t, "state", whole, state)

			clear(y)
			for h := range heads {
				o := h * size
				WKV7(y[o:], in.state[o*size:][:size*size], in.r[o:], in.k[o:], in.v[o:], in.w[o:], kappa[o:], a[o:], steps, c, 1, size)
			}
			equalBits(t, "y in strips", y, want)
			equalBits(t, "state in strips", in.state, state)
		}
		z := make([]float32, 8)
		panics(t, "WKV7", func() { WKV7(z, z[:4], z, z, z, z, z, z, 5, 2, 1, 2) })
		panics(t, "WKV7", func() { WKV7(z, z[:4], z, z, z, z, z, z, 4, 1, 1, 2) })
		panics(t, "WKV7", func() { WKV7(z, z[:3], z, z, z, z, z, z, 1, 2, 1, 2) })
		panics(t, "WKV7", func() { WKV7(z, z[:4], z, z, z, z, z, z[:1], 1, 2, 1, 2) })
	})
}

func BenchmarkWKV7(b *testing.B) {
	const heads, size = 1, 64
	r := newRand()
	in := newWKV(b, r, 1, heads, size)
	kappa, a := make([]float32, size), make([]float32, size)
	y := make([]float32, size)
	b.SetBytes(2 * 4 * size * size)
	for b.Loop() {
		WKV7(y, in.state, in.r, in.k, in.v, in.w, kappa, a, 1, size, heads, size)
	}
}
