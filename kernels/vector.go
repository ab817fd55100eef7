package kernels

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels/portable"
)

// same panics unless all lengths equal n.
func same(op string, n int, lens ...int) {
	for _, l := range lens {
		if l != n {
			panic(fmt.Sprintf("kernels: %s: length %d, want %d", op, l, n))
		}
	}
}

// Exp sets dst = e^x, within 0.51 ulp.
func Exp(dst, x []float32) {
	same("Exp", len(dst), len(x))
	portable.Exp(dst, x)
}

// Sigmoid sets dst = 1/(1+e^-x), within 0.51 ulp.
func Sigmoid(dst, x []float32) {
	same("Sigmoid", len(dst), len(x))
	portable.Sigmoid(dst, x)
}

// Tanh sets dst = tanh x, within 0.52 ulp.
func Tanh(dst, x []float32) {
	same("Tanh", len(dst), len(x))
	portable.Tanh(dst, x)
}

// SiLU sets dst = x*sigmoid(x), within 0.51 ulp.
func SiLU(dst, x []float32) {
	same("SiLU", len(dst), len(x))
	portable.SiLU(dst, x)
}

// GELU sets dst = x/2*(1+erf(x/√2)).
func GELU(dst, x []float32) {
	same("GELU", len(dst), len(x))
	portable.GELU(dst, x)
}

// GELUTanh sets dst = x/2*(1+tanh(√(2/π)(x+0.044715x³))).
func GELUTanh(dst, x []float32) {
	same("GELUTanh", len(dst), len(x))
	portable.GELUTanh(dst, x)
}

// QuickGELU sets dst = x*sigmoid(1.702x).
func QuickGELU(dst, x []float32) {
	same("QuickGELU", len(dst), len(x))
	portable.QuickGELU(dst, x)
}

// ReLU sets dst = max(x, 0).
func ReLU(dst, x []float32) {
	same("ReLU", len(dst), len(x))
	portable.ReLU(dst, x)
}

// SquaredReLU sets dst = max(x, 0)².
func SquaredReLU(dst, x []float32) {
	same("SquaredReLU", len(dst), len(x))
	portable.SquaredReLU(dst, x)
}

// Decay sets dst = e^(-e^x), the decay of RWKV-6 from its raw value.
func Decay(dst, x []float32) {
	same("Decay", len(dst), len(x))
	portable.Decay(dst, x)
}

// Softmax replaces x by e^(x-max)/Σ. An empty x is left alone.
func Softmax(x []float32) { portable.Softmax(x) }

// Add sets dst = a + b.
func Add(dst, a, b []float32) {
	same("Add", len(dst), len(a), len(b))
	portable.Add(dst, a, b)
}

// Mul sets dst = a * b, elementwise.
func Mul(dst, a, b []float32) {
	same("Mul", len(dst), len(a), len(b))
	portable.Mul(dst, a, b)
}

// AddMul sets dst = dst + a*b, elementwise.
func AddMul(dst, a, b []float32) {
	same("AddMul", len(dst), len(a), len(b))
	portable.AddMul(dst, a, b)
}

// Lerp sets dst = x + (prev-x)*mu, the token shift.
func Lerp(dst, x, prev, mu []float32) {
	same("Lerp", len(dst), len(x), len(prev), len(mu))
	portable.Lerp(dst, x, prev, mu)
}

// LerpAdd sets dst = x + (prev-x)*(mu+eps), the data-dependent token shift.
func LerpAdd(dst, x, prev, mu, eps []float32) {
	same("LerpAdd", len(dst), len(x), len(prev), len(mu), len(eps))
	portable.LerpAdd(dst, x, prev, mu, eps)
}

// Blend sets dst = y*max(1-gate, 0) + p*gate, the mixing of the hybrid block.
func Blend(dst, y, p, gate []float32) {
	same("Blend", len(dst), len(y), len(p), len(gate))
	portable.Blend(dst, y, p, gate)
}

// LayerNorm sets dst = (x-mean)/√(var+eps)*weight + bias over one row, with the
// biased variance.
func LayerNorm(dst, x, weight, bias []float32, eps float32) {
	same("LayerNorm", len(dst), len(x), len(weight), len(bias))
	portable.LayerNorm(dst, x, weight, bias, eps)
}

// GroupNorm is LayerNorm of each of groups consecutive parts of one row by itself;
// weight and bias are per channel.
func GroupNorm(dst, x, weight, bias []float32, groups int, eps float32) {
	same("GroupNorm", len(dst), len(x), len(weight), len(bias))
	if groups < 1 || len(x)%groups != 0 {
		panic(fmt.Sprintf("kernels: GroupNorm: %d groups of %d values", groups, len(x)))
	}
	portable.GroupNorm(dst, x, weight, bias, groups, eps)
}
