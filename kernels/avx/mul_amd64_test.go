package avx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

// TestMulBlocks wants the bits of package portable, -128 and 0 among the weights.
func TestMulBlocks(t *testing.T) {
	if !hasAVX2 {
		t.Skip("this CPU lacks AVX2")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, m := range []struct {
		name     string
		f, plain func(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int)
		bytes    int
	}{{"MulQ8", MulQ8, portable.MulQ8, q8Bytes}, {"MulQ4", MulQ4, portable.MulQ4, q4Bytes}} {
		for range 40 {
			rows, blocks, n := 8*(1+r.IntN(3)), 1+r.IntN(3*span), 1+r.IntN(9)
			cols, stride := 32*blocks, rows+r.IntN(3)
			w, x := guard.Slice[byte](t, rows*blocks*m.bytes), make([]float32, n*cols)
			for i := range w {
				if w[i] = byte(r.Uint32()); r.IntN(4) == 0 {
					w[i] = 0x80
				}
			}
			for i := 1; i < len(w); i += m.bytes {
				w[i] &^= 0x44
			}
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			q, scale, sum := guard.Slice[int8](t, n*cols), guard.Slice[float32](t, n*blocks), guard.Slice[int32](t, n*blocks)
			portable.QuantizeActs(q, scale, sum, x)
			dst, want := guard.Slice[float32](t, (n-1)*stride+rows), make([]float32, (n-1)*stride+rows)
			m.f(dst, stride, w, q, scale, sum, rows, cols, n)
			m.plain(want, stride, w, q, scale, sum, rows, cols, n)
			equalBits(t, m.name, dst, want)
		}
	}
}

// TestMulFloatRows checks that a row has the same bits in every strip and tile, and that
// formats agree on weights that all of them hold.
func TestMulFloatRows(t *testing.T) {
	if !hasAVX2 {
		t.Skip("this CPU lacks AVX2")
	}
	type mul = func(dst []float32, stride int, w []byte, x []float32, rows, cols, n int)
	r := rand.New(rand.NewPCG(1, 2))
	const cols = 80
	for _, size := range [][2]int{{1, 5}, {2, 5}, {3, 5}, {4, 5}, {5, 5}, {9, 5}, {3, 6}, {4, 6}, {5, 7}, {8, 12}, {11, 16}} {
		rows, n := size[0], size[1]
		w32, w16, wb := guard.Slice[byte](t, 4*rows*cols), guard.Slice[byte](t, 2*rows*cols), guard.Slice[byte](t, 2*rows*cols)
		for i := range rows * cols {
			v := float32(r.IntN(255)-127) / 16
			b, h, f := portable.F32ToBF16(v), portable.F32ToF16(v), math.Float32bits(v)
			wb[2*i], wb[2*i+1] = byte(b), byte(b>>8)
			w16[2*i], w16[2*i+1] = byte(h), byte(h>>8)
			w32[4*i], w32[4*i+1], w32[4*i+2], w32[4*i+3] = byte(f), byte(f>>8), byte(f>>16), byte(f>>24)
		}
		x := guard.Slice[float32](t, n*cols)
		copy(x, randoms(t, r, n*cols))
		want := make([]float32, n*rows)
		for i := range want {
			v, row := i/rows, i%rows
			MulF32(want[i:i+1], 1, w32[4*row*cols:][:4*cols], x[v*cols:][:cols], 1, cols, 1)
		}
		check := func(name string, f mul, w []byte) {
			t.Helper()
			dst := guard.Slice[float32](t, n*rows)
			f(dst, rows, w, x, rows, cols, n)
			equalBits(t, fmt.Sprintf("%s, %d rows, %d vectors", name, rows, n), dst, want)
		}
		check("MulF32", MulF32, w32)
		check("MulF16", MulF16, w16)
		check("MulBF16", MulBF16, wb)
		if hasVNNI {
			check("MulF32x512", MulF32x512, w32)
			check("MulF16x512", MulF16x512, w16)
			check("MulBF16x512", MulBF16x512, wb)
		}
	}
}
