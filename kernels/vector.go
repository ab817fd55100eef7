package kernels

import "fmt"

// each panics unless all lengths equal that of dst, and tells the race detector.
func each(op string, dst []float32, src ...[]float32) {
	for _, x := range src {
		if len(x) != len(dst) {
			panic(fmt.Sprintf("kernels: %s: length %d, want %d", op, len(x), len(dst)))
		}
	}
	if race {
		raceWrite(dst)
		raceReads(src...)
	}
}

// Exp sets dst = e^x, within 0.51 ulp.
//
//go:noinline
func Exp(dst, x []float32) {
	each("Exp", dst, x)
	exp(dst, x)
}

// Sigmoid sets dst = 1/(1+e^-x), within 0.51 ulp.
//
//go:noinline
func Sigmoid(dst, x []float32) {
	each("Sigmoid", dst, x)
	sigmoid(dst, x)
}

// Tanh sets dst = tanh x, within 0.52 ulp.
//
//go:noinline
func Tanh(dst, x []float32) {
	each("Tanh", dst, x)
	tanh(dst, x)
}

// SiLU sets dst = x*sigmoid(x), within 0.51 ulp.
//
//go:noinline
func SiLU(dst, x []float32) {
	each("SiLU", dst, x)
	silu(dst, x)
}

// GELU sets dst = x/2*(1+erf(x/√2)).
//
//go:noinline
func GELU(dst, x []float32) {
	each("GELU", dst, x)
	gelu(dst, x)
}

// GELUTanh sets dst = x/2*(1+tanh(√(2/π)(x+0.044715x³))).
//
//go:noinline
func GELUTanh(dst, x []float32) {
	each("GELUTanh", dst, x)
	geluTanh(dst, x)
}

// QuickGELU sets dst = x*sigmoid(1.702x).
//
//go:noinline
func QuickGELU(dst, x []float32) {
	each("QuickGELU", dst, x)
	quickGELU(dst, x)
}

// ReLU sets dst = max(x, 0).
//
//go:noinline
func ReLU(dst, x []float32) {
	each("ReLU", dst, x)
	relu(dst, x)
}

// SquaredReLU sets dst = max(x, 0)².
//
//go:noinline
func SquaredReLU(dst, x []float32) {
	each("SquaredReLU", dst, x)
	squaredReLU(dst, x)
}

// Decay sets dst = e^(-e^x), the decay of RWKV-6 from its raw value.
//
//go:noinline
func Decay(dst, x []float32) {
	each("Decay", dst, x)
	decay(dst, x)
}

// Softmax replaces x by e^(x-max)/Σ. An empty x is left alone.
//
//go:noinline
func Softmax(x []float32) {
	if race {
		raceWrite(x)
	}
	softmax(x)
}

// Add sets dst = a + b.
//
//go:noinline
func Add(dst, a, b []float32) {
	each("Add", dst, a, b)
	add(dst, a, b)
}

// Mul sets dst = a * b, elementwise.
//
//go:noinline
func Mul(dst, a, b []float32) {
	each("Mul", dst, a, b)
	mul(dst, a, b)
}

// AddMul sets dst = dst + a*b, elementwise.
//
//go:noinline
func AddMul(dst, a, b []float32) {
	each("AddMul", dst, a, b)
	addMul(dst, a, b)
}

// Lerp sets dst = x + (prev-x)*mu, the token shift.
//
//go:noinline
func Lerp(dst, x, prev, mu []float32) {
	each("Lerp", dst, x, prev, mu)
	lerp(dst, x, prev, mu)
}

// LerpAdd sets dst = x + (prev-x)*(mu+eps), the data-dependent token shift.
//
//go:noinline
func LerpAdd(dst, x, prev, mu, eps []float32) {
	each("LerpAdd", dst, x, prev, mu, eps)
	lerpAdd(dst, x, prev, mu, eps)
}

// Blend sets dst = y*max(1-gate, 0) + p*gate, the mixing of the hybrid block.
//
//go:noinline
func Blend(dst, y, p, gate []float32) {
	each("Blend", dst, y, p, gate)
	blend(dst, y, p, gate)
}

// LayerNorm sets dst = (x-mean)/√(var+eps)*weight + bias over one row, with the
// biased variance.
//
//go:noinline
func LayerNorm(dst, x, weight, bias []float32, eps float32) {
	each("LayerNorm", dst, x, weight, bias)
	layerNorm(dst, x, weight, bias, eps)
}

// GroupNorm is LayerNorm of each of groups consecutive parts of one row by itself;
// weight and bias are per channel.
//
//go:noinline
func GroupNorm(dst, x, weight, bias []float32, groups int, eps float32) {
	each("GroupNorm", dst, x, weight, bias)
	if groups < 1 || len(x)%groups != 0 {
		panic(fmt.Sprintf("kernels: GroupNorm: %d groups of %d values", groups, len(x)))
	}
	groupNorm(dst, x, weight, bias, groups, eps)
}
