package portable

import "math"

// Activations, elementwise. All are evaluated in float64 and rounded once: the
// error is at most 0.51 ulp of the result unless said otherwise.

// Exp sets dst = e^x.
func Exp(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = float32(exp64(clamp(float64(v))))
	}
}

// Sigmoid sets dst = 1/(1+e^-x).
func Sigmoid(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = float32(1 / (1 + exp64(clamp(-float64(v)))))
	}
}

// SiLU sets dst = x/(1+e^-x).
func SiLU(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = float32(float64(v) / (1 + exp64(clamp(-float64(v)))))
	}
}

// QuickGELU sets dst = x/(1+e^(-1.702x)), the activation of CLIP.
func QuickGELU(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = float32(float64(v) / (1 + exp64(clamp(-1.702*float64(v)))))
	}
}

// Tanh sets dst = tanh x. The error is at most 0.52 ulp.
func Tanh(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		u := float64(v)
		if u > 0.16 || u < -0.16 {
			dst[i] = float32(1 - 2/(1+exp64(clamp(2*u))))
			continue
		}
		// The closed form would cancel; Taylor's series, cut at x^11.
		q := float64(u * u)
		p := float64(-1382.0/155925*q) + 62.0/2835
		p = float64(p*q) - 17.0/315
		p = float64(p*q) + 2.0/15
		p = float64(p*q) - 1.0/3
		dst[i] = float32(u + float64(float64(p*q)*u))
	}
}

// GELU sets dst = x/2*(1+erf(x/√2)), the exact form. The error is at most 0.53 ulp.
//
// The upper tail Q(t) of the normal distribution is e^(-t²/2) p(s)/(t+3) with
// s = (t-3)/(t+3); p is the Chebyshev fit of degree 10 for 0 <= t <= 14.5, with a
// relative error below 2^-29.6.
func GELU(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		u := float64(v)
		t := u
		if t < 0 {
			t = -t
		}
		if t > 14.5 {
			t = 14.5 // from there on the tail is below float32
		}
		inv := 1 / (t + 3)
		s := float64((t - 3) * inv)
		p := float64(5.5355966295438e-05*s) + 0.00013312590875052613
		p = float64(p*s) - 0.0002445826663503028
		p = float64(p*s) - 0.00103422205930406
		p = float64(p*s) + 0.0010241357110211651
		p = float64(p*s) + 0.006969813131301509
		p = float64(p*s) - 0.010462293756020216
		p = float64(p*s) - 0.047262745275900214
		p = float64(p*s) + 0.23001767766349004
		p = float64(p*s) - 0.5093319895402824
		p = float64(p*s) + 0.7290836906962499
		q := float64(p * inv * exp64(-0.5*float64(t*t)))
		if u > 0 {
			q = 1 - q
		} else if u < -14.5 {
			u = -14.5 // so that the tail wins, and -Inf gives 0
		}
		dst[i] = float32(u * q)
	}
}

// GELUTanh sets dst = x/2*(1+tanh(√(2/π)(x+0.044715x³))).
func GELUTanh(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		// (1+tanh a)/2 = 1/(1+e^-2a): no cancellation for negative x.
		u := float64(v)
		a := u * (1 + float64(0.044715*float64(u*u)))
		dst[i] = float32(u / (1 + exp64(clamp(-2*0.7978845608028654*a))))
	}
}

// ReLU sets dst = max(x, 0), exactly; NaN stays NaN.
func ReLU(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = max(v, 0)
	}
}

// SquaredReLU sets dst = max(x, 0)², rounded once; NaN stays NaN.
func SquaredReLU(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		v = max(v, 0)
		dst[i] = v * v
	}
}

// Decay sets dst = e^(-e^x), the decay of RWKV-6, in [0, 1].
func Decay(dst, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = float32(exp64(clamp(-exp64(clamp(float64(v))))))
	}
}

// Softmax replaces x by e^(x-max)/Σ. Each exponential is rounded to float32, the
// sum is taken in float64, in order.
func Softmax(x []float32) {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	var sum float64
	for i, v := range x {
		e := float32(exp64(clamp(float64(v - m))))
		x[i] = e
		sum += float64(e)
	}
	inv := float32(1 / sum)
	for i := range x {
		x[i] *= inv
	}
}
