package kernels

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/guard"
)

var tileSizes = []int{1, 2, 3, 4, 8, 12}

var packShapes = [][2]int{
	{16, 64}, {16, 128}, {48, 192}, {32, 256}, {16, 320}, {80, 448}, {64, 512}, {16, 576}, {112, 832}, {32, 2048}, {256, 64},
}

// packed is a matrix in both formats with the same weights.
type packed struct {
	rows, cols int
	w8         []int8
	w4, ws, wg []byte
}

// newPacked makes a P4 matrix of arbitrary bytes and its P8 twin.
func newPacked(t testing.TB, r *rand.Rand, rows, cols int) packed {
	p := packed{rows: rows, cols: cols, w8: guard.Slice[int8](t, rows*cols),
		w4: guard.Slice[byte](t, rows*cols/2), ws: guard.Slice[byte](t, 2*rows*PackBlocks(cols)), wg: guard.Slice[byte](t, rows*cols/64)}
	for i := range p.w4 {
		p.w4[i] = byte(r.Uint32())
	}
	for i := range p.wg {
		p.wg[i] = byte(r.Uint32())
	}
	for i := 0; i < len(p.ws); i += 2 {
		binary.LittleEndian.PutUint16(p.ws[i:], F32ToF16(float32(r.NormFloat64()*0.01)))
	}
	for row := range rows {
		for c := range cols {
			p.w8[at8(row, c, cols)] = p.weight4(row, c)
		}
	}
	return p
}

// at8 is the place of a weight in P8 order.
func at8(row, c, cols int) int { return (row/16*(cols/4)+c/4)*64 + row%16*4 + c%4 }

// weight4 is the integer part of a P4 weight.
func (p packed) weight4(row, c int) int8 {
	b := p.w4[(row/16*(p.cols/8)+c/8)*64+row%16*4+c%4]
	g := p.wg[(row/16*(p.cols/64)+c/64)*16+row%16]
	return int8((int(b>>(c/4%2*4)&15) - 8) * int(g>>(c/32%2*4)&15))
}

func (p packed) scale(row, b int) float32 {
	i := (row/16*PackBlocks(p.cols)+b)*16 + row%16
	return F16ToF32(binary.LittleEndian.Uint16(p.ws[2*i:]))
}

func (p packed) bytes8() []byte {
	b := make([]byte, len(p.w8))
	for i, v := range p.w8 {
		b[i] = byte(v)
	}
	return b
}

// tile is t quantised vectors.
type tile struct {
	cols, t int
	q       []int8
	scale   []float32
	sum     []int32
}

func newTile(t testing.TB, cols, n int) tile {
	return tile{cols, n, guard.Slice[int8](t, n*cols), guard.Slice[float32](t, n*PackBlocks(cols)), guard.Slice[int32](t, n*cols/32)}
}

func quantised(t testing.TB, x []float32, cols, n int) tile {
	a := newTile(t, cols, n)
	QuantizeTile(a.q, a.scale, a.sum, x, cols, n)
	return a
}

func (a tile) at(c, v int) int { return c/4*a.t*4 + 4*v + c%4 }

// only is the tile of vector v alone.
func (a tile) only(t testing.TB, v int) tile {
	o := newTile(t, a.cols, 1)
	for c := range a.cols {
		o.q[c] = a.q[a.at(c, v)]
		o.sum[c/32] = a.sum[c/32*a.t+v]
		o.scale[c/PackBlock] = a.scale[c/PackBlock*a.t+v]
	}
	return o
}

// product is the definition.
func (p packed) product(a tile, row, v int) (y float32) {
	for b := range PackBlocks(p.cols) {
		var dot int32
		for c := b * PackBlock; c < min((b+1)*PackBlock, p.cols); c++ {
			dot += int32(p.w8[at8(row, c, p.cols)]) * int32(a.q[a.at(c, v)])
		}
		y += float32(float32(dot) * float32(p.scale(row, b)*a.scale[b*a.t+v]))
	}
	return y
}

// check compares both products of p with the definition and with each vector alone.
func (p packed) check(t *testing.T, r *rand.Rand, a tile) {
	t.Helper()
	stride := p.rows + r.IntN(4)
	size := (a.t-1)*stride + p.rows
	want := make([]float32, size)
	for v := range a.t {
		for row := range p.rows {
			want[v*stride+row] = p.product(a, row, v)
		}
	}
	w8 := guard.Copy(t, p.bytes8())
	mul8 := func(dst []float32, a tile, stride int) {
		MulP8(dst, stride, w8, p.ws, a.q, a.scale, a.sum, p.rows, p.cols, a.t)
	}
	mul4 := func(dst []float32, a tile, stride int) {
		MulP4(dst, stride, p.w4, p.ws, p.wg, a.q, a.scale, a.sum, p.rows, p.cols, a.t)
	}
	for name, mul := range map[string]func([]float32, tile, int){"MulP8": mul8, "MulP4": mul4} {
		name := fmt.Sprintf("%s %dx%d t=%d", name, p.rows, p.cols, a.t)
		dst := guard.Slice[float32](t, size)
		mul(dst, a, stride)
		sameValues(t, name, dst, want)
		for v := range a.t {
			alone := guard.Slice[float32](t, p.rows)
			mul(alone, a.only(t, v), p.rows)
			sameValues(t, name+" alone", alone, want[v*stride:][:p.rows])
		}
	}
}

// sameValues is equalBits, but any NaN equals any other.
func sameValues(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) && (v == v || want[i] == want[i]) {
			t.Fatalf("%s: value %d of %d is %v, want %v", what, i, len(got), v, want[i])
		}
	}
}

func TestMulPacked(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range packShapes {
			for _, n := range tileSizes {
				x := randoms(t, r, n*sh[1])
				x[r.IntN(len(x))] = 0
				newPacked(t, r, sh[0], sh[1]).check(t, r, quantised(t, x, sh[1], n))
			}
		}
	})
}

// TestMulPackedExtremes has the largest sums that there can be.
func TestMulPackedExtremes(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		const rows, cols = 16, 576
		for _, n := range tileSizes {
			for _, nibbles := range []byte{0x00, 0xff, 0x0f, 0xf8} {
				for _, sign := range []float32{1, -1} {
					p := newPacked(t, r, rows, cols)
					x := guard.Slice[float32](t, n*cols)
					for i := range x {
						x[i] = sign
					}
					for i := range p.w4 {
						p.w4[i] = nibbles
					}
					for i := range p.wg {
						p.wg[i] = 0xff
					}
					for row := range rows {
						for c := range cols {
							p.w8[at8(row, c, cols)] = p.weight4(row, c)
						}
					}
					p.check(t, r, quantised(t, x, cols, n))
				}
			}
			for _, weight := range []int8{-128, -127, 127} {
				p := newPacked(t, r, rows, cols)
				a := quantised(t, randoms(t, r, n*cols), cols, n)
				for i := range a.q {
					a.q[i] = 127
					if i/4%2 == 1 {
						a.q[i] = -127
					}
				}
				for g := range cols / 32 {
					for v := range n {
						a.sum[g*n+v] = 0
						for c := range 32 {
							a.sum[g*n+v] += int32(a.q[a.at(32*g+c, v)])
						}
					}
				}
				for i := range p.w8 {
					p.w8[i] = weight
				}
				got := guard.Slice[float32](t, n*rows)
				MulP8(got, rows, p.bytes8(), p.ws, a.q, a.scale, a.sum, rows, cols, n)
				for i, v := range got {
					if want := p.product(a, i%rows, i/rows); v != want {
						t.Fatalf("weights %d, t=%d: value %d is %v, want %v", weight, n, i, v, want)
					}
				}
			}
		}
	})
}

func TestUnpackP4(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, sh := range packShapes {
			p := newPacked(t, r, sh[0], sh[1])
			dst := guard.Slice[int8](t, len(p.w8))
			UnpackP4(dst, p.w4, p.wg, p.rows, p.cols)
			for i, v := range dst {
				if v != p.w8[i] {
					t.Fatalf("%dx%d: weight %d is %d, want %d", p.rows, p.cols, i, v, p.w8[i])
				}
			}
		}
		UnpackP4(nil, nil, nil, 16, 0)
		panics(t, "UnpackP4", func() { UnpackP4(make([]int8, 1024), make([]byte, 512), make([]byte, 15), 16, 64) })
		panics(t, "UnpackP4", func() { UnpackP4(make([]int8, 1023), make([]byte, 512), make([]byte, 16), 16, 64) })
		panics(t, "UnpackP4", func() { UnpackP4(make([]int8, 512), make([]byte, 256), make([]byte, 8), 16, 32) })
		panics(t, "UnpackP4", func() { UnpackP4(make([]int8, 512), make([]byte, 256), make([]byte, 8), 8, 64) })
	})
}

// quantiseBlock is the definition for one block.
func quantiseBlock(x []float32) (q []int8, scale float32) {
	q = make([]int8, len(x))
	var amax float32
	for _, v := range x {
		if v-v != 0 {
			return q, float32(math.NaN())
		}
		amax = max(amax, v, -v)
	}
	if amax < 0x1p-100 {
		return q, 0
	}
	inv := 127 / amax
	for i, v := range x {
		q[i] = int8(math.RoundToEven(float64(v * inv)))
	}
	return q, amax / 127
}

// tileInput has normal values and, by turns, blocks of zeros, of ties, with NaN and
// infinity, of the smallest and largest numbers.
func tileInput(t testing.TB, r *rand.Rand, cols, n int) []float32 {
	x := randoms(t, r, n*cols)
	for v := range n {
		for b := 0; b < cols; b += PackBlock {
			block := x[v*cols+b : v*cols+min(b+PackBlock, cols)]
			switch r.IntN(10) {
			case 0:
				clear(block)
			case 1:
				for i := range block {
					block[i] = float32(r.IntN(255)-127) / 2
				}
				block[r.IntN(len(block))] = 127
			case 2:
				block[r.IntN(len(block))] = float32(math.NaN())
			case 3:
				block[r.IntN(len(block))] = float32(math.Inf(1 - 2*r.IntN(2)))
			case 4:
				for i := range block {
					block[i] *= 0x1p-140
				}
			case 5:
				for i := range block {
					block[i] *= 0x1p-98
				}
			case 6:
				block[r.IntN(len(block))] = -math.MaxFloat32
			}
		}
	}
	return x
}

func TestQuantizeTile(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, cols := range []int{64, 128, 192, 256, 320, 512, 832, 2048} {
			for _, n := range tileSizes {
				for range 8 {
					x := tileInput(t, r, cols, n)
					a := quantised(t, x, cols, n)
					for v := range n {
						checkQuantised(t, a, x[v*cols:][:cols], v)
					}
				}
			}
		}
		QuantizeTile(nil, nil, nil, nil, 0, 4)
		a := newTile(t, 64, 2)
		x := make([]float32, 128)
		panics(t, "QuantizeTile", func() { QuantizeTile(a.q, a.scale, a.sum, x[:127], 64, 2) })
		panics(t, "QuantizeTile", func() { QuantizeTile(a.q[:127], a.scale, a.sum, x, 64, 2) })
		panics(t, "QuantizeTile", func() { QuantizeTile(a.q, a.scale[:1], a.sum, x, 64, 2) })
		panics(t, "QuantizeTile", func() { QuantizeTile(a.q, a.scale, a.sum[:3], x, 64, 2) })
		panics(t, "QuantizeTile", func() {
			QuantizeTile(make([]int8, 320), make([]float32, 5), make([]int32, 10), make([]float32, 320), 64, 5)
		})
		panics(t, "QuantizeTile", func() { QuantizeTile(a.q[:64], a.scale, a.sum[:2], x[:64], 32, 2) })
	})
}

func checkQuantised(t *testing.T, a tile, x []float32, v int) {
	t.Helper()
	for b := 0; b < a.cols; b += PackBlock {
		end := min(b+PackBlock, a.cols)
		q, scale := quantiseBlock(x[b:end])
		sameValues(t, "scale", a.scale[b/PackBlock*a.t+v:][:1], []float32{scale})
		for g := b; g < end; g += PackGroup {
			var sum int32
			for c := g; c < g+PackGroup; c++ {
				if got := a.q[a.at(c, v)]; got != q[c-b] {
					t.Fatalf("%d columns, t=%d: column %d of vector %d, %v, is %d, want %d", a.cols, a.t, c, v, x[c], got, q[c-b])
				}
				sum += int32(q[c-b])
			}
			if got := a.sum[g/PackGroup*a.t+v]; got != sum {
				t.Fatalf("%d columns, t=%d: sum from column %d of vector %d is %d, want %d", a.cols, a.t, g, v, got, sum)
			}
		}
	}
}

// TestMulPackedNaN: a bad activation must show, and only where it belongs.
func TestMulPackedNaN(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, n := range tileSizes {
			x := randoms(t, r, n*320)
			x[(n-1)*320+300] = float32(math.Inf(1))
			p := newPacked(t, r, 32, 320)
			p.check(t, r, quantised(t, x, 320, n))
		}
	})
}

func TestMulPackedEdges(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		dst := []float32{16: 1, 32: 1}
		if MulP8(dst, 17, nil, nil, nil, nil, nil, 16, 0, 2); dst[16] != 1 || dst[17] != 0 || dst[32] != 0 {
			t.Errorf("sums of nothing are %v", dst)
		}
		MulP4(nil, 0, nil, nil, nil, make([]int8, 64), make([]float32, 1), make([]int32, 2), 0, 64, 1)
		p := newPacked(t, newRand(), 16, 64)
		a := newTile(t, 64, 2)
		w8, dst := p.bytes8(), make([]float32, 32)
		panics(t, "MulP8", func() { MulP8(dst, 15, w8, p.ws, a.q, a.scale, a.sum, 16, 64, 2) })
		panics(t, "MulP8", func() { MulP8(dst[:31], 16, w8, p.ws, a.q, a.scale, a.sum, 16, 64, 2) })
		panics(t, "MulP8", func() { MulP8(dst, 16, w8[1:], p.ws, a.q, a.scale, a.sum, 16, 64, 2) })
		panics(t, "MulP8", func() { MulP8(dst, 16, w8, p.ws[1:], a.q, a.scale, a.sum, 16, 64, 2) })
		panics(t, "MulP8", func() { MulP8(dst, 16, w8[:512], p.ws[:16], a.q, a.scale, a.sum, 8, 64, 2) })
		panics(t, "MulP4", func() { MulP4(dst, 16, p.w4, p.ws, p.wg[1:], a.q, a.scale, a.sum, 16, 64, 2) })
		panics(t, "MulP4", func() { MulP4(dst, 16, p.w4[1:], p.ws, p.wg, a.q, a.scale, a.sum, 16, 64, 2) })
		panics(t, "MulP4", func() { MulP4(dst, 16, p.w4, p.ws, p.wg, a.q[1:], a.scale, a.sum, 16, 64, 2) })
	})
}

func TestTileSize(t *testing.T) {
	if !tileOf8() {
		if TileSize(11) != 4 || TileSize(8) != 4 || TileSize(12) != 12 {
			t.Errorf("tiles of %d, %d, %d for 11, 8, 12 vectors", TileSize(11), TileSize(8), TileSize(12))
		}
		return
	}
	for n, want := range map[int][]int{1: {1}, 5: {4, 1}, 6: {4, 2}, 7: {4, 3}, 11: {8, 3}, 12: {12}, 38: {12, 12, 12, 2}} {
		for _, size := range want {
			if TileSize(n) != size {
				t.Errorf("%d vectors begin with a tile of %d, want %d", n, TileSize(n), size)
			}
			n -= size
		}
		if n != 0 {
			t.Errorf("%d vectors are left", n)
		}
	}
}

// FuzzMulPacked lets the fuzzer choose weights, group scales and activations.
func FuzzMulPacked(f *testing.F) {
	const pair = 16*64/2 + 16 // bytes of 64 columns of a row tile
	for seed, n := range []int{1, 2, 4, 5, 8, 9} {
		b := make([]byte, n*pair)
		f.Add(b, uint64(seed))
		f.Add(bytes.Repeat([]byte{0xff}, len(b)), uint64(seed))
		for i := range b {
			b[i] = byte(i * (2*seed + 37))
		}
		f.Add(b, uint64(seed+6))
	}
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		units := min(len(b)/pair, 9)
		if units == 0 {
			return
		}
		p := newPacked(t, r, 16, 64*units)
		copy(p.w4, b)
		copy(p.wg, b[len(p.w4):])
		for row := range p.rows {
			for c := range p.cols {
				p.w8[at8(row, c, p.cols)] = p.weight4(row, c)
			}
		}
		n := tileSizes[seed%6]
		x := tileInput(t, r, p.cols, n)
		a := quantised(t, x, p.cols, n)
		for v := range n {
			checkQuantised(t, a, x[v*p.cols:][:p.cols], v)
		}
		p.check(t, r, a)
		dst := make([]int8, len(p.w8))
		UnpackP4(dst, p.w4, p.wg, p.rows, p.cols)
		for i, v := range dst {
			if v != p.w8[i] {
				t.Fatalf("weight %d is %d, want %d", i, v, p.w8[i])
			}
		}
	})
}

// cpuTime returns the processor time of this process: on a shared machine it says
// more about the code than the clock does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPacked has strips of the size that package quant cuts, on one core.
// GMAC/cpu-s counts multiplications; for Quantize and Unpack values.
func BenchmarkPacked(b *testing.B) {
	r := newRand()
	const rows, cols = 64, 2048
	p := newPacked(b, r, rows, cols)
	w8 := p.bytes8()
	for _, n := range tileSizes {
		x := randoms(b, r, n*cols)
		a := quantised(b, x, cols, n)
		dst := make([]float32, n*rows)
		bench := func(name string, work int, f func()) {
			b.Run(fmt.Sprintf("%s/t=%d", name, n), func(b *testing.B) {
				start := cpuTime()
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(work)*float64(b.N)/float64(cpuTime()-start), "GMAC/cpu-s")
			})
		}
		bench("P8", rows*cols*n, func() { MulP8(dst, rows, w8, p.ws, a.q, a.scale, a.sum, rows, cols, n) })
		bench("P4", rows*cols*n, func() { MulP4(dst, rows, p.w4, p.ws, p.wg, a.q, a.scale, a.sum, rows, cols, n) })
		bench("Quantize", cols*n, func() { QuantizeTile(a.q, a.scale, a.sum, x, cols, n) })
		if n == 1 {
			unpacked := make([]int8, rows*cols)
			bench("Unpack", rows*cols, func() { UnpackP4(unpacked, p.w4, p.wg, rows, cols) })
		}
	}
}
