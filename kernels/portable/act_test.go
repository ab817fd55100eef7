package portable

import (
	"math"
	"testing"
)

// activations lists each function with a float64 reference and the error it may
// have, in units of the result's last place.
var activations = []struct {
	name string
	f    func(dst, x []float32)
	ref  func(float64) float64
	ulps float64
}{
	{"Exp", Exp, math.Exp, 0.51},
	{"Sigmoid", Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 0.51},
	{"Tanh", Tanh, math.Tanh, 0.52},
	{"SiLU", SiLU, func(x float64) float64 { return x / (1 + math.Exp(-x)) }, 0.51},
	{"QuickGELU", QuickGELU, func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) }, 0.51},
	{"GELU", GELU, func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }, 0.53},
	{"GELUTanh", GELUTanh, func(x float64) float64 {
		return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}, 0.51},
	{"Decay", Decay, func(x float64) float64 { return math.Exp(-math.Exp(x)) }, 0.51},
	{"SquaredReLU", SquaredReLU, func(x float64) float64 { return math.Max(x, 0) * math.Max(x, 0) }, 0.5},
	{"ReLU", ReLU, func(x float64) float64 { return math.Max(x, 0) }, 0},
}

// ulpError returns |got-want| in units of the last place of want as a float32,
// which below the normal range is 2^-149.
func ulpError(got float32, want float64) float64 {
	if float64(got) == want || got == float32(want) && math.IsInf(float64(got), 0) {
		return 0
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

// TestActivations walks over the float32 numbers of both signs, in order of their
// bits, with a stride that leaves half a million of each: two in every
// thousandth of an octave.
func TestActivations(t *testing.T) {
	const step = 4001 // prime: the low bits differ from octave to octave
	var x, y [1]float32
	for _, a := range activations {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			var x, y [256]float32
			var worst float64
			var at float32
			n := 0
			check := func() {
				a.f(y[:n], x[:n])
				for i, v := range x[:n] {
					if e := ulpError(y[i], a.ref(float64(v))); !(e <= worst) {
						worst, at = e, v
					}
				}
				n = 0
			}
			for b := uint32(0); b < 0x7f800000; b += step {
				x[n], x[n+1] = math.Float32frombits(b), -math.Float32frombits(b)
				if n += 2; n == len(x) {
					check()
				}
			}
			check()
			t.Logf("worst error %.4f ulp at %v", worst, at)
			if !(worst <= a.ulps) {
				t.Errorf("error %v ulp at %v, want at most %v", worst, at, a.ulps)
			}
		})
		x[0] = float32(math.NaN())
		if a.f(y[:], x[:]); y[0] == y[0] {
			t.Errorf("%s(NaN) = %v", a.name, y[0])
		}
	}
}

func TestActivationLimits(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		name    string
		f       func(dst, x []float32)
		low, hi float32
		zero    float32
	}{
		{"Exp", Exp, 0, inf, 1},
		{"Sigmoid", Sigmoid, 0, 1, 0.5},
		{"Tanh", Tanh, -1, 1, 0},
		{"Decay", Decay, 1, 0, float32(1 / math.E)},
		{"GELU", GELU, 0, inf, 0},
		{"SquaredReLU", SquaredReLU, 0, inf, 0},
	} {
		y := []float32{-inf, inf, 0}
		c.f(y, y)
		if y[0] != c.low || y[1] != c.hi || y[2] != c.zero {
			t.Errorf("%s(-inf, inf, 0) = %v, want %v, %v, %v", c.name, y, c.low, c.hi, c.zero)
		}
	}
}
