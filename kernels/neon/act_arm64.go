package neon

import "math"

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

// Softmax replaces x by e^(x-max)/Σ. x may have any length but zero.
func Softmax(x []float32) {
	n := len(x) &^ 3
	whole, rest := x[:n], x[n:]
	inf := float32(math.Inf(-1)) // counts for nothing
	last := [4]float32{inf, inf, inf, inf}
	copy(last[:], rest)
	top, sum := maximum(&last[0], 4), 0.0
	if n > 0 {
		if m := maximum(&whole[0], n); m > top {
			top = m
		}
		sum = expSum(&whole[0], &whole[0], n, top, sum)
	}
	sum = expSum(&last[0], &last[0], 4, top, sum)
	by := float32(1 / sum)
	if n > 0 {
		scaleBy(&whole[0], n, by)
	}
	scaleBy(&last[0], 4, by)
	copy(rest, last[:])
}

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

// maximum returns the largest value, or -Inf if all are NaN.
//
//go:noescape
func maximum(x *float32, n int) float32

// expSum sets dst = e^(x-max) and returns sum with all of it added in order.
//
//go:noescape
func expSum(dst, x *float32, n int, max float32, sum float64) float64

//go:noescape
func scaleBy(x *float32, n int, by float32)
