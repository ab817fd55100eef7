package avx

// MulP4 multiplies a strip of P4 rows, whole row tiles, with a tile of t vectors, at
// most four of them at a time.
func MulP4(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	blocks := (cols + 255) / 256
	for r := 0; r < rows; r += rowTile {
		w, ws, wg := w[r*cols/2:], ws[2*r*blocks:], wg[r*cols/64:]
		for v := 0; v < t; v += 4 {
			y, x, s, sx := dst[v*stride+r:], &q[4*v], &scale[v], &sum[v]
			switch t - v {
			case 1:
				mulP4x1AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, t)
			case 2:
				mulP4x2AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, t)
			case 3:
				mulP4x3AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, t)
				mulP4x3AVX2(&y[8], 4*stride, &w[32], &ws[16], &wg[8], x, s, sx, cols, t)
			default:
				mulP4x4AVX2(&y[0], 4*stride, &w[0], &ws[0], &wg[0], x, s, sx, cols, t)
				mulP4x4AVX2(&y[8], 4*stride, &w[32], &ws[16], &wg[8], x, s, sx, cols, t)
			}
		}
	}
}

// MulP4VNNI is MulP4 for t of 1, 2, 3, 4, 8 and 12, up to four vectors with two row
// tiles at a time.
func MulP4VNNI(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	blocks := (cols + 255) / 256
	step := rowTile
	for r := 0; r < rows; r += step {
		y, w, ws, wg := &dst[r], &w[r*cols/2], &ws[2*r*blocks], &wg[r*cols/64]
		pair := t <= 4 && r+rowTile < rows
		if step = rowTile; pair {
			step = 2 * rowTile
		}
		switch {
		case t == 1 && pair:
			mulP4x1r2VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		case t == 1:
			mulP4x1r1VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		case t == 2 && pair:
			mulP4x2r2VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		case t == 2:
			mulP4x2r1VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		case t == 3 && pair:
			mulP4x3r2VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		case t == 3:
			mulP4x3r1VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		case t == 4 && pair:
			mulP4x4r2VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		case t == 4:
			mulP4x4r1VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		case t == 8:
			mulP4x8r1VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		default:
			mulP4x12r1VNNI(y, 4*stride, w, ws, wg, &q[0], &scale[0], &sum[0], cols)
		}
	}
}

// UnpackP4 writes the integer part of whole P4 row tiles in P8 order. Pairs of groups
// follow each other in all three arrays, from one row tile to the next too.
func UnpackP4(dst []int8, w, wg []byte, rows, cols int) {
	unpackP4(&dst[0], &w[0], &wg[0], rows*cols/1024)
}
