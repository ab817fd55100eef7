package neon

// Activations, with the bits of package portable. Lengths are multiples of 4; dst may be
// x.

// Exp sets dst = e^x.
func Exp(dst, x []float32) {
	if len(x) > 0 {
		expTo(&dst[0], &x[0], len(x))
	}
}

// Sigmoid sets dst = 1/(1+e^-x).
func Sigmoid(dst, x []float32) {
	if len(x) > 0 {
		sigmoid(&dst[0], &x[0], len(x))
	}
}

// Tanh sets dst = tanh x.
func Tanh(dst, x []float32) {
	if len(x) > 0 {
		tanh(&dst[0], &x[0], len(x))
	}
}

// SiLU sets dst = x/(1+e^-x).
func SiLU(dst, x []float32) {
	if len(x) > 0 {
		silu(&dst[0], &x[0], len(x))
	}
}

// GELU sets dst = x/2*(1+erf(x/√2)).
func GELU(dst, x []float32) {
	if len(x) > 0 {
		gelu(&dst[0], &x[0], len(x))
	}
}

// GELUTanh sets dst = x/2*(1+tanh(√(2/π)(x+0.044715x³))).
func GELUTanh(dst, x []float32) {
	if len(x) > 0 {
		geluTanh(&dst[0], &x[0], len(x))
	}
}

// QuickGELU sets dst = x/(1+e^(-1.702x)).
func QuickGELU(dst, x []float32) {
	if len(x) > 0 {
		quickGELU(&dst[0], &x[0], len(x))
	}
}

// Decay sets dst = e^(-e^x).
func Decay(dst, x []float32) {
	if len(x) > 0 {
		decay(&dst[0], &x[0], len(x))
	}
}

// Max returns the largest of x, not empty, or -Inf if all are NaN.
func Max(x []float32) float32 { return maximum(&x[0], len(x)) }

// ExpSum replaces x, not empty, by e^(x-max) and returns the sum, taken in order.
func ExpSum(x []float32, max float32) float64 { return expSum(&x[0], &x[0], len(x), max) }

// Scale multiplies x, not empty.
func Scale(x []float32, by float32) { scaleBy(&x[0], len(x), by) }

//go:noescape
func expTo(dst, x *float32, n int)

//go:noescape
func sigmoid(dst, x *float32, n int)

//go:noescape
func tanh(dst, x *float32, n int)

//go:noescape
func silu(dst, x *float32, n int)

//go:noescape
func gelu(dst, x *float32, n int)

//go:noescape
func geluTanh(dst, x *float32, n int)

//go:noescape
func quickGELU(dst, x *float32, n int)

//go:noescape
func decay(dst, x *float32, n int)

//go:noescape
func maximum(x *float32, n int) float32

//go:noescape
func expSum(dst, x *float32, n int, max float32) float64

//go:noescape
func scaleBy(x *float32, n int, by float32)
