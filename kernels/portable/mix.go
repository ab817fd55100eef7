package portable

// Elementwise combinations, each operation rounded to float32.

// Add sets dst = a + b.
func Add(dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for i, v := range a {
		dst[i] = v + b[i]
	}
}

// Mul sets dst = a * b.
func Mul(dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for i, v := range a {
		dst[i] = v * b[i]
	}
}

// AddMul sets dst = dst + a*b.
func AddMul(dst, a, b []float32) {
	dst, b = dst[:len(a)], b[:len(a)]
	for i, v := range a {
		dst[i] += float32(v * b[i])
	}
}

// Lerp sets dst = x + (prev-x)*mu, the token shift.
func Lerp(dst, x, prev, mu []float32) {
	dst, prev, mu = dst[:len(x)], prev[:len(x)], mu[:len(x)]
	for i, v := range x {
		dst[i] = v + float32((prev[i]-v)*mu[i])
	}
}

// LerpAdd sets dst = x + (prev-x)*(mu+eps), the data-dependent token shift.
func LerpAdd(dst, x, prev, mu, eps []float32) {
	dst, prev, mu, eps = dst[:len(x)], prev[:len(x)], mu[:len(x)], eps[:len(x)]
	for i, v := range x {
		dst[i] = v + float32((prev[i]-v)*(mu[i]+eps[i]))
	}
}

// Blend sets dst = y*max(1-gate, 0) + p*gate, the mixing of the hybrid block.
func Blend(dst, y, p, gate []float32) {
	dst, p, gate = dst[:len(y)], p[:len(y)], gate[:len(y)]
	for i, v := range y {
		g := gate[i]
		dst[i] = float32(v*max(1-g, 0)) + float32(p[i]*g)
	}
}
