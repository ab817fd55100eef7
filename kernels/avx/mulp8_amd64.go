package avx

//go:generate go run gen/main.go gen/mulp8.go gen/mulp4.go .

// rowTile is the number of rows in a row tile.
const rowTile = 16

// MulP8 multiplies a strip of P8 rows, whole row tiles, with a tile of t vectors: 1, 2, 3,
// 4 or 12.
func MulP8(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	blocks := (cols + 255) / 256
	x, s := &q[0], &scale[0]
	for r := 0; r < rows; r += rowTile {
		y, w, ws := dst[r:], w[r*cols:], ws[2*r*blocks:]
		switch t {
		case 1:
			mulP8x1AVX2(&y[0], 4*stride, &w[0], &ws[0], x, s, cols)
		case 2:
			mulP8x2AVX2(&y[0], 4*stride, &w[0], &ws[0], x, s, cols)
		case 3:
			mulP8x3AVX2(&y[0], 4*stride, &w[0], &ws[0], x, s, cols)
		case 4:
			mulP8x4AVX2(&y[0], 4*stride, &w[0], &ws[0], x, s, cols)
		case 12:
			mulP8x12AVX2(&y[0], 4*stride, &w[0], &ws[0], x, s, cols)
			mulP8x12AVX2(&y[8], 4*stride, &w[32], &ws[16], x, s, cols)
		}
	}
}

// MulP8VNNI is MulP8 for t of 1, 2, 3, 4, 8 and 12, two row tiles at a time or, for one
// vector, four.
func MulP8VNNI(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	blocks := (cols + 255) / 256
	many := 2
	if t == 1 {
		many = 4
	}
	x, s, sx := &q[0], &scale[0], &sum[0]
	for r, step := 0, 0; r < rows; r += step * rowTile {
		y, w, ws := &dst[r], &w[r*cols], &ws[2*r*blocks]
		if step = 1; r+many*rowTile <= rows {
			step = many
		}
		switch 10*t + step {
		case 11:
			mulP8x1r1VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 14:
			mulP8x1r4VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 21:
			mulP8x2r1VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 22:
			mulP8x2r2VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 31:
			mulP8x3r1VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 32:
			mulP8x3r2VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 41:
			mulP8x4r1VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 42:
			mulP8x4r2VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 81:
			mulP8x8r1VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 82:
			mulP8x8r2VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 121:
			mulP8x12r1VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		case 122:
			mulP8x12r2VNNI(y, 4*stride, w, ws, x, s, sx, cols)
		}
	}
}
