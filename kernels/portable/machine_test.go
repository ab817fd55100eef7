package portable

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
)

// sameEverywhere is the hash of what TestSameOnEveryMachine computes.
const sameEverywhere = 0xc4c573249ca0e5d0

// TestSameOnEveryMachine runs the kernels on fixed inputs and compares one hash of
// all results: a product that some compiler fuses with a sum, or a library function
// with an implementation of its own on some machine, changes it.
func TestSameOnEveryMachine(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	// Uniform values of few operations; the generator's normal ones are not exact.
	randoms := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(int32(r.Uint32()))*0x1p-30 + float32(int32(r.Uint32()))*0x1p-31
		}
		return x
	}
	h := fnv.New64a()
	add := func(x []float32) {
		for _, v := range x {
			b := math.Float32bits(v)
			h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
		}
	}
	const n = 1024
	dst := make([]float32, n)
	for _, a := range activations {
		x := randoms(n)
		for i := range x {
			x[i] *= 8
		}
		a.f(dst, x)
		add(dst)
		Softmax(x)
		add(x)
	}
	a, b, c, d := randoms(n), randoms(n), randoms(n), randoms(n)
	AddMul(a, b, c)
	add(a)
	Lerp(dst, a, b, c)
	add(dst)
	LerpAdd(dst, a, b, c, d)
	add(dst)
	Blend(dst, a, b, c)
	add(dst)
	LayerNorm(dst, a, b, c, 1e-5)
	add(dst)
	GroupNorm(dst, a, b, c, 16, 6.4e-4)
	add(dst)

	const heads, size = 2, 16
	state, y := randoms(heads*size*size), make([]float32, 4*heads*size)
	w := randoms(len(y))
	Decay(w, w)
	WKV6(y, state, randoms(len(y)), randoms(len(y)), randoms(len(y)), w, randoms(heads*size), 4, heads*size, heads, size)
	add(y)
	add(state)
	WKV7(y, state, randoms(len(y)), randoms(len(y)), randoms(len(y)), w, randoms(len(y)), w, 4, heads*size, heads, size)
	add(y)
	add(state)
	StateRead(y[:heads*size], state, y[heads*size:], heads, size)
	add(y)
	LowRank(dst[:3*40], randoms(3*50), randoms(50*40), 3, 50, 40, 0, 40)
	add(dst)
	Attention(dst, 64, randoms(4*64), 64, randoms(9*64), randoms(9*64), 64, 4, 9, 64, 0.125, make([]float32, 36))
	add(dst)

	const rows, cols = 6, 320
	weights := make([]byte, 4*rows*cols)
	for i := range weights {
		if weights[i] = byte(r.Uint32()); i%2 == 1 {
			weights[i] &^= 0x44 // finite in every format
		}
	}
	x := randoms(3 * cols)
	MulF32(dst, rows, weights, x, rows, cols, 3)
	add(dst)
	MulF16(dst, rows, weights, x, rows, cols, 3)
	add(dst)
	q, scale, sum := make([]int8, 3*cols), make([]float32, 3*cols/Block), make([]int32, 3*cols/Block)
	QuantizeActs(q, scale, sum, x)
	add(scale)
	MulQ8(dst, rows, weights, q, scale, sum, rows, cols, 3)
	add(dst)
	MulQ4(dst, rows, weights, q, scale, sum, rows, cols, 3)
	add(dst)
	if got := h.Sum64(); got != sameEverywhere {
		t.Errorf("hash %#x, want %#x", got, uint64(sameEverywhere))
	}
}
