package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
)

// wkvInput is a sequence of steps tokens for heads*size channels.
type wkvInput struct{ r, k, v, w, u, state []float32 }

func newWKV(t testing.TB, r *rand.Rand, steps, heads, size int) wkvInput {
	c := heads * size
	in := wkvInput{
		r: randoms(t, r, steps*c), k: randoms(t, r, steps*c), v: randoms(t, r, steps*c),
		w: randoms(t, r, steps*c), u: randoms(t, r, c), state: randoms(t, r, c*size),
	}
	Decay(in.w, in.w)
	return in
}

var wkvShapes = [][3]int{{1, 1, 1}, {3, 2, 3}, {5, 1, 8}, {2, 3, 17}, {7, 2, 64}}

// TestWKV6Definition compares one step with the definition, bonus inside the sum, in float64.
func TestWKV6Definition(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range wkvShapes {
			heads, size := sh[1], sh[2]
			in := newWKV(t, r, 1, heads, size)
			before := append([]float32(nil), in.state...)
			y := guard.Slice[float32](t, heads*size)
			WKV6(y, in.state, in.r, in.k, in.v, in.w, in.u, 1, heads*size, heads, size)
			for h := range heads {
				for j := range size {
					var want, bound float64
					vj := float64(in.v[h*size+j])
					for i := range size {
						c := h*size + i
						s := float64(before[c*size+j])
						rk := float64(in.r[c]) * float64(in.u[c]) * float64(in.k[c]) * vj
						want += float64(in.r[c])*s + rk
						bound += math.Abs(float64(in.r[c])*s) + math.Abs(rk)
						next := float64(in.w[c])*s + float64(in.k[c])*vj
						near(t, "state", in.state[c*size+j], next, math.Abs(float64(in.w[c])*s)+math.Abs(float64(in.k[c])*vj), 2)
					}
					near(t, "y", y[h*size+j], want, bound, float64(size)+4)
				}
			}
		}
	})
}

// TestWKV6 checks that a sequence is one step repeated, bit for bit, whatever strips
// of heads and time it is cut into.
func TestWKV6(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range wkvShapes {
			steps, heads, size := sh[0], sh[1], sh[2]
			c := heads * size
			in := newWKV(t, r, steps, heads, size)
			state, want := append([]float32(nil), in.state...), make([]float32, steps*c)
			for i := range steps {
				a, b := i*c, (i+1)*c
				WKV6(want[a:b], state, in.r[a:b], in.k[a:b], in.v[a:b], in.w[a:b], in.u, 1, c, heads, size)
			}
			whole, y := guard.Copy(t, in.state), guard.Slice[float32](t, steps*c)
			WKV6(y, whole, in.r, in.k, in.v, in.w, in.u, steps, c, heads, size)
			equalBits(t, "y", y, want)
			equalBits(t, "state", whole, state)

			clear(y)
			first := (steps + 1) / 2
			for h := range heads {
				o, s := h*size, in.state[h*size*size:][:size*size]
				u := in.u[o:][:size]
				WKV6(y[o:], s, in.r[o:], in.k[o:], in.v[o:], in.w[o:], u, first, c, 1, size)
				if o += first * c; first < steps {
					WKV6(y[o:], s, in.r[o:], in.k[o:], in.v[o:], in.w[o:], u, steps-first, c, 1, size)
				}
			}
			equalBits(t, "y in strips", y, want)
			equalBits(t, "state in strips", in.state, state)
		}
		z := make([]float32, 8)
		panics(t, "WKV6", func() { WKV6(z, z[:4], z, z, z, z, z[:2], 5, 2, 1, 2) })
		panics(t, "WKV6", func() { WKV6(z, z[:4], z, z, z, z, z[:2], 4, 1, 1, 2) })
		panics(t, "WKV6", func() { WKV6(z, z[:3], z, z, z, z, z[:2], 1, 2, 1, 2) })
	})
}

func TestStateRead(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range wkvShapes {
			heads, size := sh[1], sh[2]
			q, state := randoms(t, r, heads*size), randoms(t, r, heads*size*size)
			p := guard.Slice[float32](t, heads*size)
			StateRead(p, state, q, heads, size)
			for h := range heads {
				for j := range size {
					var want, bound float64
					for i := range size {
						m := float64(q[h*size+i]) * float64(state[(h*size+i)*size+j])
						want += m
						bound += math.Abs(m)
					}
					near(t, "p", p[h*size+j], want, bound, float64(size)+2)
				}
			}
		}
		z := make([]float32, 8)
		panics(t, "StateRead", func() { StateRead(z[:2], z[:5], z[:2], 1, 2) })
	})
}

func TestLowRank(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range [][3]int{{1, 1, 1}, {2, 5, 3}, {1, 64, 160}, {3, 33, 17}, {2, 0, 4}} {
			n, in, out := sh[0], sh[1], sh[2]
			x, a := randoms(t, r, n*in), randoms(t, r, in*out)
			dst, alone := guard.Slice[float32](t, n*out), make([]float32, out)
			LowRank(dst, x, a, n, in, out, 0, out)
			for i := range n {
				for j := range out {
					var want, bound float64
					for k := range in {
						m := float64(x[i*in+k]) * float64(a[k*out+j])
						want += m
						bound += math.Abs(m)
					}
					near(t, "dst", dst[i*out+j], want, bound, float64(in)+2)
				}
				from := r.IntN(out)
				to := from + r.IntN(out-from) + 1
				LowRank(alone, x[i*in:][:in], a, 1, in, out, 0, from)
				LowRank(alone, x[i*in:][:in], a, 1, in, out, from, to)
				LowRank(alone, x[i*in:][:in], a, 1, in, out, to, out)
				equalBits(t, "in parts", dst[i*out:][:out], alone)
			}
		}
		panics(t, "LowRank", func() { LowRank(make([]float32, 2), make([]float32, 2), make([]float32, 3), 1, 2, 2, 0, 2) })
	})
}

// Half-precision weights give the bits of the same weights in float32.
func TestLowRankF16(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range [][3]int{{1, 1, 1}, {2, 5, 8}, {1, 64, 160}, {3, 33, 24}, {2, 7, 300}, {1, 3, 17}, {2, 0, 8}} {
			n, in, out := sh[0], sh[1], sh[2]
			x := randoms(t, r, n*in)
			half, wide := guard.Slice[byte](t, 2*in*out), make([]float32, in*out)
			for i := range wide {
				h := F32ToF16(float32(r.NormFloat64()))
				half[2*i], half[2*i+1] = byte(h), byte(h>>8)
				wide[i] = F16ToF32(h)
			}
			dst, want := guard.Slice[float32](t, n*out), make([]float32, n*out)
			mid := r.IntN(out+1) &^ 7
			LowRankF16(dst, x, half, n, in, out, 0, mid)
			LowRankF16(dst, x, half, n, in, out, mid, out)
			LowRank(want, x, wide, n, in, out, 0, out)
			equalBits(t, "dst", dst, want)
		}
		panics(t, "LowRankF16", func() { LowRankF16(make([]float32, 2), make([]float32, 2), make([]byte, 7), 1, 2, 2, 0, 2) })
	})
}

func TestAttention(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range [][3]int{{1, 1, 1}, {3, 5, 8}, {5, 7, 64}, {2, 33, 17}, {4, 6, 300}} {
			queries, keys, dim := sh[0], sh[1], sh[2]
			qs, kvs, ds := dim+3, dim+2, dim+1
			q := randoms(t, r, (queries-1)*qs+dim)
			k, v := randoms(t, r, (keys-1)*kvs+dim), randoms(t, r, (keys-1)*kvs+dim)
			dst := guard.Slice[float32](t, (queries-1)*ds+dim)
			scale := float32(1 / math.Sqrt(float64(dim)))
			Attention(dst, ds, q, qs, k, v, kvs, queries, keys, dim, scale, guard.Slice[float32](t, queries*keys))
			alone, scores := make([]float32, dim), make([]float32, keys)
			for i := range queries {
				p := make([]float64, keys)
				var sum float64
				for j := range p {
					for d := range dim {
						p[j] += float64(q[i*qs+d]) * float64(k[j*kvs+d])
					}
					p[j] = math.Exp(p[j] * float64(scale))
					sum += p[j]
				}
				for d := range dim {
					var want, bound float64
					for j := range p {
						want += p[j] / sum * float64(v[j*kvs+d])
						bound += p[j] / sum * math.Abs(float64(v[j*kvs+d]))
					}
					near(t, "dst", dst[i*ds+d], want, bound, 64)
				}
				Attention(alone, dim, q[i*qs:], qs, k, v, kvs, 1, keys, dim, scale, scores)
				equalBits(t, "in parts", dst[i*ds:][:dim], alone)
				if i+1 < queries && dst[i*ds+dim] != 0 {
					t.Fatal("wrote between rows")
				}
			}
			steps, p := guard.Slice[float32](t, len(dst)), guard.Slice[float32](t, queries*keys)
			AttentionScores(p, q, qs, k, kvs, queries, keys, dim, scale)
			for i := range queries {
				Softmax(p[i*keys:][:keys])
			}
			AttentionValues(steps, ds, p, v, kvs, queries, keys, dim)
			equalBits(t, "in steps", steps, dst)
		}
		z := make([]float32, 8)
		panics(t, "Attention", func() { Attention(z, 2, z, 2, z, z, 2, 2, 3, 2, 1, z[:5]) })
		panics(t, "Attention", func() { Attention(z, 1, z, 2, z, z, 2, 2, 2, 2, 1, z) })
		panics(t, "AttentionScores", func() { AttentionScores(z[:5], z, 2, z, 2, 2, 3, 2, 1) })
		panics(t, "AttentionScores", func() { AttentionScores(z, z, 2, z, 1, 2, 2, 2, 1) })
		panics(t, "AttentionValues", func() { AttentionValues(z, 2, z[:5], z, 2, 2, 3, 2) })
		panics(t, "AttentionValues", func() { AttentionValues(z, 1, z, z, 2, 2, 2, 2) })
	})
}

func BenchmarkWKV6(b *testing.B) {
	for _, steps := range []int{1, 64} {
		b.Run(fmt.Sprintf("steps=%d", steps), func(b *testing.B) {
			const heads, size = 12, 64
			in := newWKV(b, newRand(), steps, heads, size)
			y := make([]float32, steps*heads*size)
			b.SetBytes(int64(4 * steps * len(in.state)))
			for b.Loop() {
				WKV6(y, in.state, in.r, in.k, in.v, in.w, in.u, steps, heads*size, heads, size)
			}
		})
	}
}

func BenchmarkAttention(b *testing.B) {
	const queries, keys, dim = 16, 256, 64
	r := newRand()
	q, k, v := randoms(b, r, queries*dim), randoms(b, r, keys*dim), randoms(b, r, keys*dim)
	dst, scores := make([]float32, queries*dim), make([]float32, queries*keys)
	for b.Loop() {
		Attention(dst, dim, q, dim, k, v, dim, queries, keys, dim, 0.125, scores)
	}
	b.ReportMetric(4*queries*keys*dim*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}

func BenchmarkLowRank(b *testing.B) {
	const in, out = 768, 160
	r := newRand()
	x, a, dst := randoms(b, r, in), randoms(b, r, in*out), make([]float32, out)
	for b.Loop() {
		LowRank(dst, x, a, 1, in, out, 0, out)
	}
	b.ReportMetric(2*in*out*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}
