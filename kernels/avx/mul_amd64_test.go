package avx

import (
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

// TestMulFloatRows checks that a row has the same bits in every strip, and that formats
// agree on weights that all of them hold.
func TestMulFloatRows(t *testing.T) {
	if !hasAVX2 {
		t.Skip("this CPU lacks AVX2")
	}
	r := rand.New(rand.NewPCG(1, 2))
	const cols, n = 80, 5
	for rows := 1; rows < 10; rows++ {
		w32, w16, wb := guard.Slice[byte](t, 4*rows*cols), guard.Slice[byte](t, 2*rows*cols), guard.Slice[byte](t, 2*rows*cols)
		for i := range rows * cols {
			v := float32(r.IntN(255)-127) / 16
			b, h, f := portable.F32ToBF16(v), portable.F32ToF16(v), math.Float32bits(v)
			wb[2*i], wb[2*i+1] = byte(b), byte(b>>8)
			w16[2*i], w16[2*i+1] = byte(h), byte(h>>8)
			w32[4*i], w32[4*i+1], w32[4*i+2], w32[4*i+3] = byte(f), byte(f>>8), byte(f>>16), byte(f>>24)
		}
		x := randoms(t, r, n*cols)
		dst, half, brain := guard.Slice[float32](t, n*rows), guard.Slice[float32](t, n*rows), guard.Slice[float32](t, n*rows)
		MulF32(dst, rows, w32, x, rows, cols, n)
		MulF16(half, rows, w16, x, rows, cols, n)
		MulBF16(brain, rows, wb, x, rows, cols, n)
		equalBits(t, "MulF16", half, dst)
		equalBits(t, "MulBF16", brain, dst)
		for i := range dst {
			v, row := i/rows, i%rows
			var alone [1]float32
			MulF32(alone[:], 1, w32[4*row*cols:][:4*cols], x[v*cols:][:cols], 1, cols, 1)
			equalBits(t, "row and vector alone", alone[:], dst[i:i+1])
		}
	}
}
