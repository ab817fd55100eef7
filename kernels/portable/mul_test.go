package portable

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// extremes returns bytes that are often at the ends of their range, where packed
// sums would overflow first.
func extremes(r *rand.Rand, n int, ends ...byte) []byte {
	b := make([]byte, n)
	for i := range b {
		if b[i] = byte(r.Uint32()); r.IntN(2) == 0 {
			b[i] = ends[r.IntN(len(ends))]
		}
	}
	return b
}

// acts makes n vectors of activations that QuantizeActs could have written.
func acts(r *rand.Rand, cols, n int) (q []int8, scale []float32, sum []int32) {
	q, scale, sum = make([]int8, n*cols), make([]float32, n*cols/Block), make([]int32, n*cols/Block)
	uniform := r.IntN(3) // a block of nothing but ends is the worst case
	for i := range q {
		q[i] = []int8{127, -127, int8(r.IntN(255) - 127)}[r.IntN(3)]
		if uniform < 2 {
			q[i] = []int8{127, -127}[uniform]
		}
		sum[i/Block] += int32(q[i])
	}
	for i := range scale {
		scale[i] = r.Float32()
	}
	return q, scale, sum
}

// TestMulQ compares with the definition, bit for bit, on weights of every kind and
// for every grouping of vectors.
func TestMulQ(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, f := range []struct {
		name string
		mul  func(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int)
		size int
		ends []byte
		at   func(b []byte, i int) int32 // weight i of a block
	}{
		{"Q8", MulQ8, Q8Bytes, []byte{0x80, 0x7f, 0x81}, func(b []byte, i int) int32 { return int32(int8(b[2+i])) }},
		{"Q4", MulQ4, Q4Bytes, []byte{0x00, 0xff, 0x0f, 0xf0}, func(b []byte, i int) int32 { return int32(b[2+i%16]>>(i/16*4)&15) - 8 }},
	} {
		for try := range 300 {
			rows, blocks, n := r.IntN(6), 1+r.IntN(40), 1+r.IntN(10)
			cols := blocks * Block
			w := extremes(r, rows*blocks*f.size, f.ends...)
			for i := 0; i < len(w); i += f.size {
				binary.LittleEndian.PutUint16(w[i:], F32ToF16(r.Float32()))
				if r.IntN(8) == 0 {
					for j := range f.size - 2 {
						w[i+2+j] = f.ends[0]
					}
				}
			}
			q, scale, sum := acts(r, cols, n)
			stride := rows + r.IntN(3)
			dst := make([]float32, n*stride)
			f.mul(dst, stride, w, q, scale, sum, rows, cols, n)
			for i := range n {
				for j := range rows {
					var want float32
					for b := range blocks {
						wb := w[(j*blocks+b)*f.size:]
						var s int32
						for k := range Block {
							s += f.at(wb, k) * int32(q[i*cols+b*Block+k])
						}
						d := float32(F16ToF32(binary.LittleEndian.Uint16(wb)) * scale[i*blocks+b])
						want += float32(float32(s) * d)
					}
					if got := dst[i*stride+j]; math.Float32bits(got) != math.Float32bits(want) {
						t.Fatalf("%s try %d: %dx%d, n=%d: dst[%d,%d] = %v, want %v", f.name, try, rows, cols, n, i, j, got, want)
					}
				}
			}
		}
	}
}

// TestMulF checks the documented order of summation, bit for bit, and that formats,
// alignment and n make no difference.
func TestMulF(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for try := range 200 {
		rows, cols, n := r.IntN(10), r.IntN(700), 1+r.IntN(6)
		half := make([]byte, 2*rows*cols)
		single := make([]byte, 4*rows*cols+1)[1:] // one of the two is not aligned
		aligned := make([]byte, 4*rows*cols)
		w := make([]float32, rows*cols)
		for i := range w {
			w[i] = BF16ToF32(F32ToBF16(float32(r.NormFloat64())))
			binary.LittleEndian.PutUint16(half[2*i:], F32ToBF16(w[i]))
			binary.LittleEndian.PutUint32(single[4*i:], math.Float32bits(w[i]))
			binary.LittleEndian.PutUint32(aligned[4*i:], math.Float32bits(w[i]))
		}
		x := make([]float32, n*cols)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		stride := rows + r.IntN(3)
		for name, mul := range map[string]func(dst []float32){
			"bf16":      func(dst []float32) { MulBF16(dst, stride, half, x, rows, cols, n) },
			"unaligned": func(dst []float32) { MulF32(dst, stride, single, x, rows, cols, n) },
			"f32":       func(dst []float32) { MulF32(dst, stride, aligned, x, rows, cols, n) },
		} {
			dst := make([]float32, n*stride)
			for i := range dst {
				dst[i] = -1
			}
			mul(dst)
			for i := range n {
				for j := range rows {
					var want float32
					for k := 0; k < cols; k += chunk {
						var s float32
						for l := k; l < min(k+chunk, cols); l++ {
							s += float32(w[j*cols+l] * x[i*cols+l])
						}
						if k == 0 {
							want = s
						} else {
							want += s
						}
					}
					if got := dst[i*stride+j]; got != want {
						t.Fatalf("%s try %d: %dx%d, n=%d: dst[%d,%d] = %v, want %v", name, try, rows, cols, n, i, j, got, want)
					}
				}
				for j := rows; j < stride; j++ {
					if dst[i*stride+j] != -1 {
						t.Fatalf("%s try %d: wrote between rows", name, try)
					}
				}
			}
		}
	}
}

func TestQuantizeActs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	x, q := make([]float32, Block), make([]int8, Block)
	scale, sum := make([]float32, 1), make([]int32, 1)
	for range 20000 {
		// From below the threshold to the top of the range.
		size := math.Ldexp(1, r.IntN(235)-112)
		for i := range x {
			x[i] = float32(r.NormFloat64() * size)
		}
		QuantizeActs(q, scale, sum, x)
		var amax float32
		for _, v := range x {
			amax = max(amax, v, -v)
		}
		if amax < 0x1p-100 {
			amax = 0
		}
		if want := amax / 127; scale[0] != want {
			t.Fatalf("scale %v, want %v", scale[0], want)
		}
		var s int32
		for i, v := range x {
			want := int8(0)
			if amax > 0 {
				want = int8(math.RoundToEven(float64(v * (127 / amax))))
			}
			if q[i] != want || q[i] == -128 {
				t.Fatalf("%v of %v: got %d, want %d", v, amax, q[i], want)
			}
			s += int32(q[i])
		}
		if sum[0] != s {
			t.Fatalf("sum %d, want %d", sum[0], s)
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		x[13] = float32(bad)
		QuantizeActs(q, scale, sum, x)
		if scale[0] == scale[0] || sum[0] != 0 || q[13] != 0 || q[0] != 0 {
			t.Errorf("%v: scale %v, sum %d, q %v", bad, scale[0], sum[0], q)
		}
	}
}
