package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

var unary = []struct {
	name     string
	f, plain func(dst, x []float32)
	exact    bool
}{
	{"Exp", Exp, portable.Exp, false},
	{"Sigmoid", Sigmoid, portable.Sigmoid, false},
	{"Tanh", Tanh, portable.Tanh, false},
	{"SiLU", SiLU, portable.SiLU, false},
	{"GELU", GELU, portable.GELU, false},
	{"GELUTanh", GELUTanh, portable.GELUTanh, false},
	{"QuickGELU", QuickGELU, portable.QuickGELU, false},
	{"Decay", Decay, portable.Decay, false},
	{"ReLU", ReLU, portable.ReLU, true},
	{"SquaredReLU", SquaredReLU, portable.SquaredReLU, true},
}

// elementwise lists the functions of several inputs with their definitions in single
// rounded operations.
var elementwise = []struct {
	name   string
	inputs int
	f      func(dst []float32, in [][]float32)
	ref    func(v []float32) float32
}{
	{"Add", 2, func(d []float32, in [][]float32) { Add(d, in[0], in[1]) }, func(v []float32) float32 { return v[0] + v[1] }},
	{"Mul", 2, func(d []float32, in [][]float32) { Mul(d, in[0], in[1]) }, func(v []float32) float32 { return v[0] * v[1] }},
	{"Lerp", 3, func(d []float32, in [][]float32) { Lerp(d, in[0], in[1], in[2]) },
		func(v []float32) float32 { return v[0] + float32((v[1]-v[0])*v[2]) }},
	{"LerpAdd", 4, func(d []float32, in [][]float32) { LerpAdd(d, in[0], in[1], in[2], in[3]) },
		func(v []float32) float32 { return v[0] + float32((v[1]-v[0])*(v[2]+v[3])) }},
	{"Blend", 3, func(d []float32, in [][]float32) { Blend(d, in[0], in[1], in[2]) },
		func(v []float32) float32 { return float32(v[0]*max(1-v[2], 0)) + float32(v[1]*v[2]) }},
}

func TestUnary(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, u := range unary {
			for _, n := range sizes {
				x, dst, want := randoms(t, r, n), guard.Slice[float32](t, n), make([]float32, n)
				for i := range x {
					x[i] *= 4
				}
				u.plain(want, x)
				u.f(dst, x)
				for i, v := range dst {
					bound := 2 * ulp(want[i])
					if u.exact {
						bound = 0
					}
					if !(math.Abs(float64(v)-float64(want[i])) <= bound) {
						t.Fatalf("%s(%v) = %v, portable %v", u.name, x[i], v, want[i])
					}
				}
				u.f(x, x)
				equalBits(t, u.name+" in place", x, dst)
			}
			panics(t, u.name, func() { u.f(make([]float32, 3), make([]float32, 4)) })
		}
	})
}

func ulp(v float32) float64 {
	return float64(math.Nextafter32(v, float32(math.Inf(1)))) - float64(v)
}

func TestElementwise(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, e := range elementwise {
			for _, n := range sizes {
				in := make([][]float32, e.inputs)
				for i := range in {
					in[i] = randoms(t, r, n)
				}
				want := make([]float32, n)
				for i := range want {
					v := make([]float32, e.inputs)
					for j := range v {
						v[j] = in[j][i]
					}
					want[i] = e.ref(v)
				}
				dst := guard.Slice[float32](t, n)
				e.f(dst, in)
				equalBits(t, e.name, dst, want)
				for i := range in { // over each input in turn
					over := append([][]float32(nil), in...)
					over[i] = guard.Copy(t, in[i])
					e.f(over[i], over)
					equalBits(t, e.name+" in place", over[i], want)
				}
			}
			bad := make([][]float32, e.inputs)
			for i := range bad {
				bad[i] = make([]float32, 4)
			}
			panics(t, e.name, func() { e.f(make([]float32, 3), bad) })
		}
		for _, n := range sizes {
			dst, a, b := randoms(t, r, n), randoms(t, r, n), randoms(t, r, n)
			want := make([]float32, n)
			for i := range want {
				want[i] = dst[i] + float32(a[i]*b[i])
			}
			AddMul(dst, a, b)
			equalBits(t, "AddMul", dst, want)
		}
	})
}

func TestSoftmax(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, n := range sizes {
			x := randoms(t, r, n)
			for i := range x {
				x[i] = x[i]*20 - 500 // a common offset must not matter
			}
			want := make([]float64, n)
			var sum float64
			for i, v := range x {
				want[i] = math.Exp(float64(v) + 500)
				sum += want[i]
			}
			Softmax(x)
			for i, v := range x {
				// x-max is exact to 2^-24 of 500.
				near(t, "Softmax", v, want[i]/sum, want[i]/sum+0x1p-126, 4)
			}
		}
		x := []float32{float32(math.Inf(-1)), 1, 1}
		if Softmax(x); x[0] != 0 || x[1] != 0.5 || x[2] != 0.5 {
			t.Errorf("a masked value gave %v", x)
		}
	})
}

func TestNorm(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, n := range sizes[1:] {
			for _, offset := range []float32{0, 1000} {
				x, w, b := randoms(t, r, n), randoms(t, r, n), randoms(t, r, n)
				for i := range x {
					x[i] += offset
				}
				dst := guard.Slice[float32](t, n)
				LayerNorm(dst, x, w, b, 1e-5)
				checkNorm(t, dst, x, w, b, 1e-5)

				groups := 3
				gx, gw, gb := randoms(t, r, groups*n), randoms(t, r, groups*n), randoms(t, r, groups*n)
				gd := guard.Slice[float32](t, groups*n)
				GroupNorm(gd, gx, gw, gb, groups, 6.4e-4)
				for g := range groups {
					a, e := g*n, (g+1)*n
					checkNorm(t, gd[a:e], gx[a:e], gw[a:e], gb[a:e], 6.4e-4)
				}
				GroupNorm(gx, gx, gw, gb, groups, 6.4e-4)
				equalBits(t, "GroupNorm in place", gx, gd)
			}
		}
		panics(t, "GroupNorm", func() {
			GroupNorm(make([]float32, 4), make([]float32, 4), make([]float32, 4), make([]float32, 4), 3, 1e-5)
		})
		panics(t, "LayerNorm", func() {
			LayerNorm(make([]float32, 4), make([]float32, 4), make([]float32, 4), make([]float32, 3), 1e-5)
		})
	})
}

func checkNorm(t *testing.T, dst, x, w, b []float32, eps float32) {
	t.Helper()
	var mean, v float64
	for _, a := range x {
		mean += float64(a) / float64(len(x))
	}
	for _, a := range x {
		v += (float64(a) - mean) * (float64(a) - mean) / float64(len(x))
	}
	for i, a := range x {
		n := (float64(a) - mean) / math.Sqrt(v+float64(eps))
		want := n*float64(w[i]) + float64(b[i])
		near(t, "norm", dst[i], want, math.Abs(n*float64(w[i]))+math.Abs(float64(b[i]))+math.Abs(want), 4)
	}
}

func BenchmarkVector(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	x, dst := make([]float32, 2048), make([]float32, 2048)
	for i := range x {
		x[i] = float32(r.NormFloat64()) * 3
	}
	for _, u := range unary {
		b.Run(u.name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				u.f(dst, x)
			}
		})
	}
	b.Run("Softmax", func(b *testing.B) {
		b.SetBytes(int64(4 * len(x)))
		for b.Loop() {
			copy(dst, x)
			Softmax(dst)
		}
	})
	b.Run("LayerNorm", func(b *testing.B) {
		b.SetBytes(int64(4 * len(x)))
		for b.Loop() {
			LayerNorm(dst, x, x, x, 1e-5)
		}
	})
	b.Run("Lerp", func(b *testing.B) {
		b.SetBytes(int64(4 * len(x)))
		for b.Loop() {
			Lerp(dst, x, x, x)
		}
	})
}
