package avx

// MulF32 multiplies rows of little-endian float32 with n vectors. Sums are fused and of
// sixteen lanes, the same for every row and vector whatever is around them. cols is a
// positive multiple of 16.
func MulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat(dst, stride, w, x, rows, cols, n, single)
}

// MulF16 is MulF32 for half-precision weights, with the same bits as for the same weights
// in float32.
func MulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat(dst, stride, w, x, rows, cols, n, half)
}

// MulBF16 is MulF32 for bfloat16 weights.
func MulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat(dst, stride, w, x, rows, cols, n, brain)
}

// MulF32x512 is MulF32, with the same bits.
func MulF32x512(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat512(dst, stride, w, x, rows, cols, n, single)
}

// MulF16x512 is MulF16, with the same bits.
func MulF16x512(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat512(dst, stride, w, x, rows, cols, n, half)
}

// MulBF16x512 is MulBF16, with the same bits.
func MulBF16x512(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulFloat512(dst, stride, w, x, rows, cols, n, brain)
}

// precision is a format of weights. A function value would let its arguments escape.
type precision int

const (
	single precision = iota
	half
	brain
)

// rowBytes returns the size of a row.
func (p precision) rowBytes(cols int) int {
	if p == single {
		return 4 * cols
	}
	return 2 * cols
}

// mulFloat512 multiplies tiles of four rows and six vectors, and what is left as mulFloat does.
func mulFloat512(dst []float32, stride int, w []byte, x []float32, rows, cols, n int, p precision) {
	sixes, fours, rowBytes := n/6*6, rows&^3, p.rowBytes(cols)
	for i := 0; i < sixes; i += 6 {
		for r := 0; r < fours; r += 4 {
			p.tile512(&dst[i*stride+r], 4*stride, &w[r*rowBytes], &x[i*cols], rowBytes, cols)
		}
	}
	if sixes > 0 && fours < rows {
		mulFloat(dst[fours:], stride, w[fours*rowBytes:], x, rows-fours, cols, sixes, p)
	}
	if sixes < n {
		mulFloat(dst[sixes*stride:], stride, w, x[sixes*cols:], rows, cols, n-sixes, p)
	}
}

// mulFloat multiplies tiles of two rows and three vectors, whose values stay in the nearest
// cache while the rows pass by, and four rows with one vector where no tile is left.
func mulFloat(dst []float32, stride int, w []byte, x []float32, rows, cols, n int, p precision) {
	tiles, pairs, rowBytes := n/3*3, rows&^1, p.rowBytes(cols)
	for i := 0; i < tiles; i += 3 {
		for r := 0; r < pairs; r += 2 {
			p.two(&dst[i*stride+r], 4*stride, &w[r*rowBytes], &x[i*cols], rowBytes, cols)
		}
	}
	for i := range n {
		r := 0
		if i < tiles {
			r = pairs
		}
		for r < rows {
			at, m := fourRows(r, rows)
			if m == 4 {
				p.four(&dst[i*stride+at], &w[at*rowBytes], &x[i*cols], rowBytes, cols)
			} else {
				var y [4]float32
				p.four(&y[0], &w[at*rowBytes], &x[i*cols], 0, cols)
				dst[i*stride+at] = y[0]
			}
			r = at + m
		}
	}
}

// four multiplies four rows that begin rowBytes apart with one vector.
func (p precision) four(dst *float32, w *byte, x *float32, rowBytes, cols int) {
	switch p {
	case single:
		mulF32(dst, w, x, rowBytes, cols)
	case half:
		mulF16(dst, w, x, rowBytes, cols)
	case brain:
		mulBF16(dst, w, x, rowBytes, cols)
	}
}

// two multiplies two rows with three vectors.
func (p precision) two(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int) {
	switch p {
	case single:
		mulF32x3(dst, stride, w, x, rowBytes, cols)
	case half:
		mulF16x3(dst, stride, w, x, rowBytes, cols)
	case brain:
		mulBF16x3(dst, stride, w, x, rowBytes, cols)
	}
}

// tile512 multiplies four rows with six vectors.
func (p precision) tile512(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int) {
	switch p {
	case single:
		mulF32x6r4x512(dst, stride, w, x, rowBytes, cols)
	case half:
		mulF16x6r4x512(dst, stride, w, x, rowBytes, cols)
	case brain:
		mulBF16x6r4x512(dst, stride, w, x, rowBytes, cols)
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
