package neon

// Elementwise combinations, each operation rounded: the bits of package portable. Lengths
// are multiples of 4; dst may be any of the inputs.

// Add sets dst = a + b.
func Add(dst, a, b []float32) {
	if len(dst) > 0 {
		add(&dst[0], &a[0], &b[0], len(dst))
	}
}

// Mul sets dst = a * b, elementwise.
func Mul(dst, a, b []float32) {
	if len(dst) > 0 {
		mul(&dst[0], &a[0], &b[0], len(dst))
	}
}

// AddMul sets dst = dst + a*b, elementwise.
func AddMul(dst, a, b []float32) {
	if len(dst) > 0 {
		addMul(&dst[0], &a[0], &b[0], len(dst))
	}
}

// Lerp sets dst = x + (prev-x)*mu.
func Lerp(dst, x, prev, mu []float32) {
	if len(dst) > 0 {
		lerp(&dst[0], &x[0], &prev[0], &mu[0], len(dst))
	}
}

// LerpAdd sets dst = x + (prev-x)*(mu+eps).
func LerpAdd(dst, x, prev, mu, eps []float32) {
	if len(dst) > 0 {
		lerpAdd(&dst[0], &x[0], &prev[0], &mu[0], &eps[0], len(dst))
	}
}

// Blend sets dst = y*max(1-gate, 0) + p*gate.
func Blend(dst, y, p, gate []float32) {
	if len(dst) > 0 {
		blend(&dst[0], &y[0], &p[0], &gate[0], len(dst))
	}
}

// ReLU sets dst = max(x, 0).
func ReLU(dst, x []float32) {
	if len(dst) > 0 {
		relu(&dst[0], &x[0], len(dst))
	}
}

// SquaredReLU sets dst = max(x, 0)².
func SquaredReLU(dst, x []float32) {
	if len(dst) > 0 {
		squaredReLU(&dst[0], &x[0], len(dst))
	}
}

//go:noescape
func add(dst, a, b *float32, n int)

//go:noescape
func mul(dst, a, b *float32, n int)

//go:noescape
func addMul(dst, a, b *float32, n int)

//go:noescape
func lerp(dst, x, prev, mu *float32, n int)

//go:noescape
func lerpAdd(dst, x, prev, mu, eps *float32, n int)

//go:noescape
func blend(dst, y, p, gate *float32, n int)

//go:noescape
func relu(dst, x *float32, n int)

//go:noescape
func squaredReLU(dst, x *float32, n int)
