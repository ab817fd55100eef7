package kernels

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels/portable"
)

// Packed matrices, as package portable describes them: row tiles of PackRows rows,
// a scale to PackBlock columns, groups of PackGroup columns. The number of rows is a
// multiple of PackRows, that of columns of 2*PackGroup. Every byte is a valid weight.
const (
	PackRows  = portable.PackRows
	PackBlock = portable.PackBlock
	PackGroup = portable.PackGroup
)

// MaxTile is the largest tile of activations.
const MaxTile = 12

// tiles has, for up to MaxTile vectors, the largest tile that there are kernels for.
var tiles = [MaxTile + 1]int8{0, 1, 2, 3, 4, 4, 4, 4, 8, 8, 8, 8, 12}

// TileSize returns the number of vectors of the next tile when n are left. Cutting n
// vectors by it takes few and large ones of 12, 8, 4, 3, 2 and 1; 8 only where a tile of
// 8 is better than two of 4.
func TileSize(n int) int {
	t := int(tiles[min(n, MaxTile)])
	if t == 8 && !tileOf8() {
		return 4
	}
	return t
}

// checkTile panics unless the slices hold a tile of activations.
func checkTile(op string, q []int8, scale []float32, sum []int32, cols, t int, write bool) {
	if cols < 0 || cols%(2*PackGroup) != 0 || t < 1 || t > MaxTile || int(tiles[t]) != t {
		panic(fmt.Sprintf("kernels: %s: a tile of %d vectors of %d values", op, t, cols))
	}
	if len(q) != t*cols || len(scale) != t*PackBlocks(cols) || len(sum) != t*(cols/PackGroup) {
		panic(fmt.Sprintf("kernels: %s: %d activations, %d scales, %d sums for %d vectors of %d", op, len(q), len(scale), len(sum), t, cols))
	}
	if race {
		raceActs(q, scale, sum, write)
	}
}

// PackBlocks returns the number of scales of a row of cols columns.
func PackBlocks(cols int) int { return (cols + PackBlock - 1) / PackBlock }

// checkPack panics unless the slices hold a strip of whole row tiles, with perByte
// weights to a byte, and t vectors of results. It reports whether there is nothing to
// add up; dst is complete then.
func checkPack(op string, dst []float32, stride int, w, ws []byte, rows, cols, t, perByte int) (done bool) {
	checkMul(op, dst, stride, w, rows, 1, t, cols/perByte)
	if rows%PackRows != 0 || len(ws) != 2*rows*PackBlocks(cols) {
		panic(fmt.Sprintf("kernels: %s: %d bytes of scales for %d rows of %d", op, len(ws), rows, cols))
	}
	if race {
		raceRead(ws)
	}
	if rows == 0 || cols > 0 {
		return rows == 0
	}
	for i := range t {
		clear(dst[i*stride:][:rows])
	}
	return true
}

func checkGroups(op string, wg []byte, rows, cols int) {
	if len(wg) != rows*(cols/(2*PackGroup)) {
		panic(fmt.Sprintf("kernels: %s: %d bytes of group scales for %d rows of %d", op, len(wg), rows, cols))
	}
	if race {
		raceRead(wg)
	}
}

// QuantizeTile converts t vectors, x [t, cols], to a tile of int8 activations:
//
//	q [cols/4][t][4]    scale [blocks][t]    sum [cols/32][t]
//
// Per block of a vector scale = amax/127, q = x*(127/amax) to nearest even,
// |q| <= 127; sum is Σq of 32 columns. A block of less than 2^-100 becomes zero, one
// with an infinity or NaN gets q = 0 and scale = NaN. t is 1, 2, 3, 4, 8 or 12.
//
//go:noinline
func QuantizeTile(q []int8, scale []float32, sum []int32, x []float32, cols, t int) {
	checkTile("QuantizeTile", q, scale, sum, cols, t, true)
	checkVectors("QuantizeTile", x, cols, t)
	if cols > 0 {
		quantizeTile(q, scale, sum, x, cols, t)
	}
}

// MulP8 multiplies a strip of whole row tiles of a P8 matrix with a tile of activations
// made by QuantizeTile: dst[i*stride+r] = Σ_b i_b*(dw_b*dx_b) for r < rows and i < t,
// where i_b is the exact integer dot product of block b and blocks are added in order,
// each operation rounded. w holds rows*cols int8, ws the half-precision scales. dst must
// not overlap an input.
//
//go:noinline
func MulP8(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	checkTile("MulP8", q, scale, sum, cols, t, false)
	if checkPack("MulP8", dst, stride, w, ws, rows, cols, t, 1) {
		return
	}
	mulP8(dst, stride, w, ws, q, scale, sum, rows, cols, t)
}

// MulP4 is MulP8 for a strip of a P4 matrix: w holds rows*cols/2 bytes, wg the group
// scales.
//
//go:noinline
func MulP4(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	checkTile("MulP4", q, scale, sum, cols, t, false)
	checkGroups("MulP4", wg, rows, cols)
	if checkPack("MulP4", dst, stride, w, ws, rows, cols, t, 2) {
		return
	}
	mulP4(dst, stride, w, ws, wg, q, scale, sum, rows, cols, t)
}

// UnpackP4 writes the integers group*(nibble-8) of a strip of P4 rows in P8 order. With
// the scales of the P4 matrix they make a P8 matrix whose products have the same bits.
//
//go:noinline
func UnpackP4(dst []int8, w, wg []byte, rows, cols int) {
	if rows < 0 || cols < 0 || rows%PackRows != 0 || cols%(2*PackGroup) != 0 || len(dst) != rows*cols || len(w) != len(dst)/2 {
		panic(fmt.Sprintf("kernels: UnpackP4: %d bytes into %d for %d rows of %d", len(w), len(dst), rows, cols))
	}
	checkGroups("UnpackP4", wg, rows, cols)
	if race {
		raceWrite(dst)
		raceRead(w)
	}
	if len(dst) > 0 {
		unpackP4(dst, w, wg, rows, cols)
	}
}

// UnpackFrom returns the number of vectors from which on UnpackP4 once and MulP8 take
// less time than MulP4. The bits are the same.
func UnpackFrom() int { return unpackFrom() }

// PackedStrip returns how many products MulP8 and MulP4 should make in a call: few enough
// to take less than 100 microseconds, many enough that the memory behind the strip's first
// rows is being fetched for most of it.
func PackedStrip() int {
	if fastPacked() {
		return 1 << 22
	}
	return 1 << 20
}
