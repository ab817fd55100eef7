package avx

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

var unary = []struct {
	name              string
	f, wide, portable func(dst, x []float32)
}{
	{"Exp", Exp, Exp512, portable.Exp},
	{"Sigmoid", Sigmoid, Sigmoid512, portable.Sigmoid},
	{"SiLU", SiLU, SiLU512, portable.SiLU},
	{"QuickGELU", QuickGELU, QuickGELU512, portable.QuickGELU},
	{"GELUTanh", GELUTanh, GELUTanh512, portable.GELUTanh},
	{"Tanh", Tanh, Tanh512, portable.Tanh},
	{"GELU", GELU, GELU512, portable.GELU},
	{"Decay", Decay, Decay512, portable.Decay},
}

// anyFloats are all kinds of numbers: of a few units, of any exponent, and the special
// ones.
func anyFloats(t testing.TB, r *rand.Rand, n int) []float32 {
	x := guard.Slice[float32](t, n)
	special := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0.16, -0.16, 14.5, -14.5, 1e-45, -1e-45, 88.8, -104,
		math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	for i := range x {
		switch r.IntN(8) {
		case 0:
			x[i] = special[r.IntN(len(special))]
		case 1:
			x[i] = math.Float32frombits(r.Uint32())
		default:
			x[i] = float32(r.NormFloat64() * math.Exp(3*r.NormFloat64()))
		}
	}
	return x
}

// sameValues is equalBits, but any NaN equals any other.
func sameValues(t *testing.T, what string, x, got, want []float32) {
	t.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) && (v == v || want[i] == want[i]) {
			t.Fatalf("%s of %v: got %v, want %v", what, x[i], v, want[i])
		}
	}
}

// TestUnary wants the bits of package portable.
func TestUnary(t *testing.T) {
	eachTier(t, func(t *testing.T, wide bool) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, u := range unary {
			f := u.f
			if wide {
				f = u.wide
			}
			for _, n := range []int{0, 8, 16, 24, 4096} {
				for range 10 {
					x, dst, want := anyFloats(t, r, n), guard.Slice[float32](t, n), make([]float32, n)
					u.portable(want, x)
					f(dst, x)
					sameValues(t, u.name, x, dst, want)
					before := append([]float32(nil), x...)
					f(x, x)
					sameValues(t, u.name+" in place", before, x, want)
				}
			}
		}
	})
}
