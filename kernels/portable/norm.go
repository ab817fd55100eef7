package portable

import "math"

// LayerNorm sets dst = (x-mean)/√(var+eps)*weight + bias. Mean and biased variance
// are summed in float64, in two passes, so that a large mean costs no digits.
func LayerNorm(dst, x, weight, bias []float32, eps float32) {
	mean, inv := moments(x, eps)
	dst, weight, bias = dst[:len(x)], weight[:len(x)], bias[:len(x)]
	for i, v := range x {
		n := float32((float64(v) - mean) * inv)
		dst[i] = float32(n*weight[i]) + bias[i]
	}
}

// GroupNorm normalises each of groups consecutive parts of x by its own mean and
// variance, then applies weight and bias per channel.
func GroupNorm(dst, x, weight, bias []float32, groups int, eps float32) {
	n := len(x) / groups
	for i := 0; i < len(x); i += n {
		LayerNorm(dst[i:i+n], x[i:i+n], weight[i:i+n], bias[i:i+n], eps)
	}
}

// moments returns the mean and 1/√(var+eps) of x.
func moments(x []float32, eps float32) (mean, inv float64) {
	var s0, s1, s2, s3 float64
	y := x
	for ; len(y) >= 4; y = y[4:] {
		s0 += float64(y[0])
		s1 += float64(y[1])
		s2 += float64(y[2])
		s3 += float64(y[3])
	}
	for _, v := range y {
		s0 += float64(v)
	}
	n := float64(len(x))
	mean = (s0 + s1 + s2 + s3) / n

	s0, s1, s2, s3 = 0, 0, 0, 0
	y = x
	for ; len(y) >= 4; y = y[4:] {
		a, b, c, d := float64(y[0])-mean, float64(y[1])-mean, float64(y[2])-mean, float64(y[3])-mean
		s0 += float64(a * a)
		s1 += float64(b * b)
		s2 += float64(c * c)
		s3 += float64(d * d)
	}
	for _, v := range y {
		a := float64(v) - mean
		s0 += float64(a * a)
	}
	return mean, 1 / math.Sqrt((s0+s1+s2+s3)/n+float64(eps))
}
