package avx

import "math"

// LayerNorm sets dst = (x-mean)/√(var+eps)*weight + bias. The length is a multiple of 8.
func LayerNorm(dst, x, weight, bias []float32, eps float32) {
	if len(x) > 0 {
		layerNorm(&dst[0], &x[0], &weight[0], &bias[0], len(x), eps)
	}
}

// GroupNorm is LayerNorm of each of groups consecutive parts, their length a multiple of
// 8.
func GroupNorm(dst, x, weight, bias []float32, groups int, eps float32) {
	n := len(x) / groups
	for i := 0; i < len(x); i += n {
		layerNorm(&dst[i], &x[i], &weight[i], &bias[i], n, eps)
	}
}

// Softmax replaces x by e^(x-max)/Σ. Exponentials have the bits of package portable;
// their sum is taken in float64, in another order.
func Softmax(x []float32) {
	tail, n := softmaxTail(x)
	m := largest(x[:n], &tail)
	sum := expSum(&tail[0], len(tail), m)
	if n > 0 {
		sum += expSum(&x[0], n, m)
	}
	divide(x, &tail, n, sum)
}

// Softmax512 is Softmax.
func Softmax512(x []float32) {
	tail, n := softmaxTail(x)
	m := largest(x[:n], &tail)
	sum := expSum512(&tail[0], len(tail), m)
	if n > 0 {
		sum += expSum512(&x[0], n, m)
	}
	divide(x, &tail, n, sum)
}

// softmaxTail copies what exceeds a multiple of 8, n, to a block of its own, filled up
// with values whose exponential is 0.
func softmaxTail(x []float32) (tail [8]float32, n int) {
	n = len(x) &^ 7
	for i := copy(tail[:], x[n:]); i < len(tail); i++ {
		tail[i] = float32(math.Inf(-1))
	}
	return tail, n
}

func largest(x []float32, tail *[8]float32) float32 {
	m := maxOf(&tail[0], len(tail))
	if len(x) > 0 {
		m = max(m, maxOf(&x[0], len(x)))
	}
	return m
}

// divide scales the exponentials, n in x and the others in tail, and puts them together.
func divide(x []float32, tail *[8]float32, n int, sum float64) {
	inv := float32(1 / sum)
	if n > 0 {
		multiply(&x[0], n, inv)
	}
	for i := range x[n:] {
		x[n+i] = tail[i] * inv
	}
}
