package avx

// MulF32 multiplies rows of little-endian float32 with n vectors. Sums are fused and of
// sixteen lanes, the same for every row and vector whatever is around them. cols is a
// positive multiple of 16.
func MulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	for r := 0; r < rows; {
		at, m := fourRows(r, rows)
		for i := range n {
			if m == 4 {
				mulF32(&dst[i*stride+at], &w[4*at*cols], &x[i*cols], 4*cols, cols)
				continue
			}
			var y [4]float32
			mulF32(&y[0], &w[4*at*cols], &x[i*cols], 0, cols)
			dst[i*stride+at] = y[0]
		}
		r = at + m
	}
}

// MulF16 is MulF32 for half-precision weights, with the same bits as for the same weights
// in float32.
func MulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	for r := 0; r < rows; {
		at, m := fourRows(r, rows)
		for i := range n {
			if m == 4 {
				mulF16(&dst[i*stride+at], &w[2*at*cols], &x[i*cols], 2*cols, cols)
				continue
			}
			var y [4]float32
			mulF16(&y[0], &w[2*at*cols], &x[i*cols], 0, cols)
			dst[i*stride+at] = y[0]
		}
		r = at + m
	}
}

// MulBF16 is MulF32 for bfloat16 weights.
func MulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	for r := 0; r < rows; {
		at, m := fourRows(r, rows)
		for i := range n {
			if m == 4 {
				mulBF16(&dst[i*stride+at], &w[2*at*cols], &x[i*cols], 2*cols, cols)
				continue
			}
			var y [4]float32
			mulBF16(&y[0], &w[2*at*cols], &x[i*cols], 0, cols)
			dst[i*stride+at] = y[0]
		}
		r = at + m
	}
}

// fourRows returns the next four rows at or before row r: the last four overlap those
// before. A strip of less than four is done row by row.
func fourRows(r, rows int) (at, m int) {
	if rows < 4 {
		return r, 1
	}
	return min(r, rows-4), 4
}
