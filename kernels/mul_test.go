package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

var floatMuls = []struct {
	name     string
	f, plain func(dst []float32, stride int, w []byte, x []float32, rows, cols, n int)
	size     int
	decode   func(dst []float32, src []byte)
}{
	{"MulF32", MulF32, portable.MulF32, 4, DecodeF32},
	{"MulF16", MulF16, portable.MulF16, 2, DecodeF16},
	{"MulBF16", MulBF16, portable.MulBF16, 2, DecodeBF16},
}

var quantMuls = []struct {
	name     string
	f, plain func(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int)
	size     int
}{
	{"MulQ8", MulQ8, portable.MulQ8, Q8Bytes},
	{"MulQ4", MulQ4, portable.MulQ4, Q4Bytes},
}

// weightBytes returns guarded random bytes that are finite numbers in every format.
func weightBytes(t testing.TB, r *rand.Rand, n int) []byte {
	w := guard.Slice[byte](t, n)
	for i := range w {
		w[i] = byte(r.Uint32())
	}
	for i := 1; i < n; i += 2 {
		w[i] &^= 0x44 // no exponent is full, in float32, float16 and bfloat16
	}
	return w
}

// TestMulFloat compares with sums in float64, and vectors among others with the
// same vectors alone.
func TestMulFloat(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, m := range floatMuls {
			for range 60 {
				rows, cols, n := r.IntN(10), r.IntN(600), 1+r.IntN(14)
				w, x := weightBytes(t, r, rows*cols*m.size), randoms(t, r, n*cols)
				stride := rows + r.IntN(4)
				dst := guard.Slice[float32](t, (n-1)*stride+rows)
				m.f(dst, stride, w, x, rows, cols, n)
				row, alone := make([]float32, cols), make([]float32, rows)
				for i := range n {
					for j := range rows {
						m.decode(row, w[j*cols*m.size:][:cols*m.size])
						var want, bound float64
						for k, v := range row {
							p := float64(v) * float64(x[i*cols+k])
							want += p
							bound += math.Abs(p)
						}
						near(t, m.name, dst[i*stride+j], want, bound+0x1p-126, float64(cols)+2)
					}
					m.f(alone, rows, w, x[i*cols:][:cols], rows, cols, 1)
					equalBits(t, m.name+" alone", alone, dst[i*stride:][:rows])
				}
			}
			z := make([]float32, 8)
			panics(t, m.name, func() { m.f(z[:3], 2, make([]byte, 4*m.size), z[:4], 2, 2, 2) })
			panics(t, m.name, func() { m.f(z[:4], 1, make([]byte, 4*m.size), z[:4], 2, 2, 2) })
			panics(t, m.name, func() { m.f(z[:4], 2, make([]byte, 4*m.size-1), z[:4], 2, 2, 2) })
			panics(t, m.name, func() { m.f(z[:4], 2, make([]byte, 4*m.size), z[:5], 2, 2, 2) })
		}
	})
}

// TestMulQuant compares with portable bit for bit: the integer part is exact and the
// float part has one order.
func TestMulQuant(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, m := range quantMuls {
			for range 100 {
				rows, blocks, n := r.IntN(10), r.IntN(40), 1+r.IntN(9)
				cols := blocks * Block
				w := weightBytes(t, r, rows*blocks*m.size)
				x := randoms(t, r, n*cols)
				q, scale, sum := guard.Slice[int8](t, n*cols), guard.Slice[float32](t, n*blocks), guard.Slice[int32](t, n*blocks)
				QuantizeActs(q, scale, sum, x)
				stride := rows + r.IntN(4)
				dst, want := guard.Slice[float32](t, (n-1)*stride+rows), make([]float32, (n-1)*stride+rows)
				m.f(dst, stride, w, q, scale, sum, rows, cols, n)
				m.plain(want, stride, w, q, scale, sum, rows, cols, n)
				equalBits(t, m.name, dst, want)
				for i := range n {
					b := i * blocks
					alone := guard.Slice[float32](t, rows)
					m.f(alone, rows, w, q[i*cols:][:cols], scale[b:][:blocks], sum[b:][:blocks], rows, cols, 1)
					equalBits(t, m.name+" alone", alone, want[i*stride:][:rows])
				}
			}
			q, s, u, dst := make([]int8, 64), make([]float32, 2), make([]int32, 2), make([]float32, 2)
			panics(t, m.name, func() { m.f(dst, 1, make([]byte, m.size+1), q, s, u, 1, 32, 2) })
			panics(t, m.name, func() { m.f(dst, 1, make([]byte, m.size), q, s[:1], u, 1, 32, 2) })
			panics(t, m.name, func() { m.f(dst, 1, make([]byte, m.size), q, s, u[:1], 1, 32, 2) })
			panics(t, m.name, func() { m.f(dst, 1, make([]byte, m.size), q[:63], s, u, 1, 32, 2) })
			panics(t, m.name, func() { m.f(dst, 1, make([]byte, m.size), q[:40], s[:1], u[:1], 1, 40, 1) })
		}
	})
}

func TestQuantizeActs(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for blocks := range 20 {
			n := blocks * Block
			x := randoms(t, r, n)
			if blocks > 2 {
				clear(x[:Block])
				x[Block+5] = float32(math.NaN())
				x[2*Block] = float32(math.Inf(-1))
			}
			q, scale, sum := guard.Slice[int8](t, n), guard.Slice[float32](t, blocks), guard.Slice[int32](t, blocks)
			wq, ws, wsum := make([]int8, n), make([]float32, blocks), make([]int32, blocks)
			QuantizeActs(q, scale, sum, x)
			portable.QuantizeActs(wq, ws, wsum, x)
			for i := range q {
				if q[i] != wq[i] || q[i] == -128 {
					t.Fatalf("%v: got %d, portable %d", x[i], q[i], wq[i])
				}
			}
			for i := range scale {
				if sum[i] != wsum[i] || scale[i] != ws[i] && (scale[i] == scale[i] || ws[i] == ws[i]) {
					t.Fatalf("block %d: scale %v, sum %d, portable %v, %d", i, scale[i], sum[i], ws[i], wsum[i])
				}
			}
		}
		panics(t, "QuantizeActs", func() {
			QuantizeActs(make([]int8, 33), make([]float32, 1), make([]int32, 1), make([]float32, 33))
		})
	})
}

func TestDecode(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, f := range []struct {
			name          string
			decode, plain func(dst []float32, src []byte)
			values, bytes int
		}{
			{"DecodeF32", DecodeF32, portable.DecodeF32, 1, 4},
			{"DecodeF16", DecodeF16, portable.DecodeF16, 1, 2},
			{"DecodeBF16", DecodeBF16, portable.DecodeBF16, 1, 2},
			{"DecodeQ8", DecodeQ8, portable.DecodeQ8, Block, Q8Bytes},
			{"DecodeQ4", DecodeQ4, portable.DecodeQ4, Block, Q4Bytes},
		} {
			for _, n := range sizes {
				n *= f.values
				src := weightBytes(t, r, n/f.values*f.bytes)
				dst, want := guard.Slice[float32](t, n), make([]float32, n)
				f.decode(dst, src)
				f.plain(want, src)
				equalBits(t, f.name, dst, want)
			}
			panics(t, f.name, func() { f.decode(make([]float32, 2*f.values), make([]byte, f.bytes)) })
		}
	})
}

// FuzzMulQuant lets the fuzzer choose weights and activations.
func FuzzMulQuant(f *testing.F) {
	f.Add(make([]byte, 3*Q8Bytes), uint64(1))
	f.Fuzz(func(t *testing.T, w []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		for _, m := range quantMuls {
			blocks := len(w) / m.size
			if blocks == 0 {
				return
			}
			for i := 0; i < blocks*m.size; i += m.size { // NaN has many bits
				binary.LittleEndian.PutUint16(w[i:], binary.LittleEndian.Uint16(w[i:])&^0x4000)
			}
			n := 1 + int(seed%5)
			x := make([]float32, n*blocks*Block)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			q, scale, sum := make([]int8, len(x)), make([]float32, n*blocks), make([]int32, n*blocks)
			QuantizeActs(q, scale, sum, x)
			dst, want := make([]float32, n), make([]float32, n)
			m.f(dst, 1, w[:blocks*m.size], q, scale, sum, 1, blocks*Block, n)
			m.plain(want, 1, w[:blocks*m.size], q, scale, sum, 1, blocks*Block, n)
			equalBits(t, m.name, dst, want)
		}
	})
}
