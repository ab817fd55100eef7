package avx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/cpu"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

var (
	hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
	hasVNNI = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VNNI
)

// eachTier runs f once for AVX2 and once for AVX-512, where the CPU has them.
func eachTier(t *testing.T, f func(t *testing.T, wide bool)) {
	for _, tier := range []struct {
		name      string
		has, wide bool
	}{{"avx2", hasAVX2, false}, {"avx512vnni", hasVNNI, true}} {
		t.Run(tier.name, func(t *testing.T) {
			if !tier.has {
				t.Skip("this CPU lacks it")
			}
			f(t, tier.wide)
		})
	}
}

// packed is a strip of P4 and P8 rows and a tile of activations, every slice guarded.
type packed struct {
	w8, w4, ws, wg []byte
	q              []int8
	scale          []float32
	sum            []int32
	rows, cols, t  int
}

// newPacked fills everything with random bytes, extremes among them: they are also what a
// damaged file may hold, -128 and a nibble of 0.
func newPacked(t testing.TB, r *rand.Rand, rows, cols, vectors int) *packed {
	blocks := (cols + 255) / 256
	p := &packed{
		w8: guard.Slice[byte](t, rows*cols), w4: guard.Slice[byte](t, rows*cols/2),
		ws: guard.Slice[byte](t, 2*rows*blocks), wg: guard.Slice[byte](t, rows*cols/64),
		q: guard.Slice[int8](t, cols*vectors), scale: guard.Slice[float32](t, blocks*vectors), sum: guard.Slice[int32](t, cols/32*vectors),
		rows: rows, cols: cols, t: vectors,
	}
	extreme := r.IntN(3) == 0
	for _, b := range [][]byte{p.w8, p.w4, p.ws, p.wg} {
		for i := range b {
			b[i] = byte(r.Uint32())
			if extreme && r.IntN(50) > 0 {
				b[i] = []byte{0x80, 0x00, 0xff, 0x7f}[i/64%4]
			}
		}
	}
	for i := 1; i < len(p.ws); i += 2 {
		p.ws[i] &^= 0x44
	}
	x := make([]float32, cols*vectors)
	for i := range x {
		x[i] = float32(r.NormFloat64())
		if extreme {
			x[i] = float32(1 - 2*r.IntN(2))
		}
	}
	portable.QuantizeTile(p.q, p.scale, p.sum, x, cols, vectors)
	return p
}

func (p *packed) mul8(dst []float32, stride int, f func(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int)) {
	f(dst, stride, p.w8, p.ws, p.q, p.scale, p.sum, p.rows, p.cols, p.t)
}

func (p *packed) mul4(dst []float32, stride int, f func(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int)) {
	f(dst, stride, p.w4, p.ws, p.wg, p.q, p.scale, p.sum, p.rows, p.cols, p.t)
}

var allTiles, tilesAVX2 = []int{1, 2, 3, 4, 8, 12}, []int{1, 2, 3, 4, 12}

func TestMulPacked(t *testing.T) {
	eachTier(t, func(t *testing.T, wide bool) {
		r := rand.New(rand.NewPCG(1, 2))
		tiles, mul8, mul4 := tilesAVX2, MulP8, MulP4
		if wide {
			tiles, mul8, mul4 = allTiles, MulP8VNNI, MulP4VNNI
		}
		for range 15 {
			for _, vectors := range tiles {
				p := newPacked(t, r, 16*(1+r.IntN(5)), 64*(1+r.IntN(20)), vectors)
				stride := p.rows + r.IntN(4)
				dst, want := guard.Slice[float32](t, (vectors-1)*stride+p.rows), make([]float32, (vectors-1)*stride+p.rows)
				what := fmt.Sprintf("%d x %d by %d", p.rows, p.cols, vectors)
				p.mul8(dst, stride, mul8)
				p.mul8(want, stride, portable.MulP8)
				equalBits(t, "MulP8 "+what, dst, want)
				p.mul4(dst, stride, mul4)
				p.mul4(want, stride, portable.MulP4)
				equalBits(t, "MulP4 "+what, dst, want)
			}
		}
	})
}

// TestMulPackedBounds has every product of the same sign and as large as can be, for which
// sums of words and dwords leave the least room.
func TestMulPackedBounds(t *testing.T) {
	eachTier(t, func(t *testing.T, wide bool) {
		tiles, mul8, mul4 := tilesAVX2, MulP8, MulP4
		if wide {
			tiles, mul8, mul4 = allTiles, MulP8VNNI, MulP4VNNI
		}
		for _, vectors := range tiles {
			for _, sign := range []float32{1, -1} {
				for _, weight := range []byte{0x80, 0x81, 0x7f, 0x00, 0xff} {
					p := newPacked(t, rand.New(rand.NewPCG(1, 2)), 16, 512, vectors)
					x := make([]float32, p.cols*vectors)
					for i := range x {
						x[i] = sign
					}
					portable.QuantizeTile(p.q, p.scale, p.sum, x, p.cols, vectors)
					for i := range p.w8 {
						p.w8[i] = weight
					}
					for i := range p.w4 {
						p.w4[i] = weight
					}
					dst, want := make([]float32, vectors*p.rows), make([]float32, vectors*p.rows)
					what := fmt.Sprintf("%#x by %g, %d vectors", weight, sign, vectors)
					p.mul8(dst, p.rows, mul8)
					p.mul8(want, p.rows, portable.MulP8)
					equalBits(t, "MulP8 "+what, dst, want)
					p.mul4(dst, p.rows, mul4)
					p.mul4(want, p.rows, portable.MulP4)
					equalBits(t, "MulP4 "+what, dst, want)
				}
			}
		}
	})
}

func equalBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d of %d is %v, want %v", what, i, len(got), v, want[i])
		}
	}
}
