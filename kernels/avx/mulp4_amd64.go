package avx

import "unsafe"

// MulP4 multiplies a strip of P4 rows, whole row tiles, with a tile of t vectors: 1, 2, 3,
// 4 or 12.
func MulP4(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	var (
		blocks = (cols + 255) / 256
		space  [8*12 + 7]int32
		tmp    = &space[-(uintptr(unsafe.Pointer(&space))/4)%8] // at a multiple of 32 bytes
	)
	x, s, sx := &q[0], &scale[0], &sum[0]
	for r := 0; r < rows; r += rowTile {
		y, w, ws, wg := dst[r:], w[r*cols/2:], ws[2*r*blocks:], wg[r*cols/64:]
		switch t {
		case 1:
			mulP4x1AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, tmp)
		case 2:
			mulP4x2AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, tmp)
		case 3:
			mulP4x3AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, tmp)
		case 4:
			mulP4x4AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, tmp)
		case 12:
			mulP4x12AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, tmp)
			mulP4x12AVX2(&y[8], 4*stride, &w[32], &ws[16], &wg[8], x, s, sx, cols, tmp)
		}
	}
}

// MulP4VNNI is MulP4 for t of 1, 2, 3, 4, 8 and 12: with one vector four row tiles at a
// time, up to four vectors two, and more vectors one.
func MulP4VNNI(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	blocks := (cols + 255) / 256
	many := 1
	switch {
	case t == 1:
		many = 4
	case t <= 4:
		many = 2
	}
	x, s, sx := &q[0], &scale[0], &sum[0]
	for r, step := 0, 0; r < rows; r += step * rowTile {
		y, w, ws, wg := &dst[r], &w[r*cols/2], &ws[2*r*blocks], &wg[r*cols/64]
		if step = 1; r+many*rowTile <= rows {
			step = many
		}
		switch 10*t + step {
		case 11:
			mulP4x1r1VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 14:
			mulP4x1r4VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 21:
			mulP4x2r1VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 22:
			mulP4x2r2VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 31:
			mulP4x3r1VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 32:
			mulP4x3r2VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 41:
			mulP4x4r1VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 42:
			mulP4x4r2VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 81:
			mulP4x8r1VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		case 121:
			mulP4x12r1VNNI(y, 4*stride, w, ws, wg, x, s, sx, cols)
		}
	}
}

// UnpackP4 writes the integer part of whole P4 row tiles in P8 order. Pairs of groups
// follow each other in all three arrays, from one row tile to the next too.
func UnpackP4(dst []int8, w, wg []byte, rows, cols int) {
	unpackP4(&dst[0], &w[0], &wg[0], rows*cols/1024)
}
