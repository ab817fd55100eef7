package avx

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

// TestMix wants the bits of package portable.
func TestMix(t *testing.T) {
	if !hasAVX2 {
		t.Skip("this CPU lacks AVX2")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 8, 24, 512} {
		for range 20 {
			a, b, c, d := anyFloats(t, r, n), anyFloats(t, r, n), anyFloats(t, r, n), anyFloats(t, r, n)
			for _, f := range []struct {
				name  string
				f, pf func(dst []float32)
			}{
				{"Add", func(y []float32) { Add(y, a, b) }, func(y []float32) { portable.Add(y, a, b) }},
				{"Mul", func(y []float32) { Mul(y, a, b) }, func(y []float32) { portable.Mul(y, a, b) }},
				{"AddMul", func(y []float32) { AddMul(y, a, b) }, func(y []float32) { portable.AddMul(y, a, b) }},
				{"Lerp", func(y []float32) { Lerp(y, a, b, c) }, func(y []float32) { portable.Lerp(y, a, b, c) }},
				{"LerpAdd", func(y []float32) { LerpAdd(y, a, b, c, d) }, func(y []float32) { portable.LerpAdd(y, a, b, c, d) }},
				{"Blend", func(y []float32) { Blend(y, a, b, c) }, func(y []float32) { portable.Blend(y, a, b, c) }},
				{"ReLU", func(y []float32) { ReLU(y, a) }, func(y []float32) { portable.ReLU(y, a) }},
				{"SquaredReLU", func(y []float32) { SquaredReLU(y, a) }, func(y []float32) { portable.SquaredReLU(y, a) }},
			} {
				dst, want := guard.Copy(t, d), append([]float32(nil), d...)
				f.f(dst)
				f.pf(want)
				sameValues(t, f.name, a, dst, want)
			}
		}
	}
}

// TestSums holds normalisation and softmax against package portable: sums in float64 of
// another order round to the same float32, all but for a few in a hundred million.
func TestSums(t *testing.T) {
	eachTier(t, func(t *testing.T, wide bool) {
		r := rand.New(rand.NewPCG(1, 2))
		softmax := Softmax
		if wide {
			softmax = Softmax512
		}
		near := func(what string, got, want []float32) {
			t.Helper()
			for i, v := range got {
				if math.Abs(float64(v)-float64(want[i])) > 0x1p-23*math.Abs(float64(want[i])) {
					t.Fatalf("%s: value %d of %d is %v, want %v", what, i, len(got), v, want[i])
				}
			}
		}
		for _, n := range []int{8, 16, 64, 72, 768} {
			x, w, b := randoms(t, r, 3*n), randoms(t, r, 3*n), randoms(t, r, 3*n)
			dst, want := guard.Slice[float32](t, 3*n), make([]float32, 3*n)
			GroupNorm(dst, x, w, b, 3, 1e-5)
			portable.GroupNorm(want, x, w, b, 3, 1e-5)
			near("GroupNorm", dst, want)
			LayerNorm(dst, x, w, b, 1e-5)
			portable.LayerNorm(want, x, w, b, 1e-5)
			near("LayerNorm", dst, want)
		}
		for n := range 300 {
			x := randoms(t, r, n)
			want := append([]float32(nil), x...)
			softmax(x)
			portable.Softmax(want)
			near("Softmax", x, want)
		}
		inf := float32(math.Inf(-1))
		x := []float32{inf, 1, inf, 1}
		if softmax(x); x[0] != 0 || x[1] != 0.5 || x[2] != 0 || x[3] != 0.5 {
			t.Errorf("masked values gave %v", x)
		}
	})
}
