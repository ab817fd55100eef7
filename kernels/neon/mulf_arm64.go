package neon

// MulF32 multiplies rows of float32 with n vectors of cols values, a multiple of 8 and not
// zero; rows is not zero. Sums are fused and in another order than in package portable; a
// result has the same bits for every n and wherever a strip of rows begins.
func MulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulRows(f32, dst, stride, w, x, rows, cols, n)
}

// MulF16 is MulF32 for half-precision weights.
func MulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulRows(f16, dst, stride, w, x, rows, cols, n)
}

// MulBF16 is MulF32 for bfloat16 weights.
func MulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	mulRows(bf16, dst, stride, w, x, rows, cols, n)
}

// format says how weights are stored.
type format int

const (
	f32 format = iota
	f16
	bf16
)

// mulRows takes four rows at a time; the last four overlap those before where rows is not
// a multiple of four. Fewer than four rows are taken as one row four times.
func mulRows(f format, dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	bytes := 2 * cols
	if f == f32 {
		bytes = 4 * cols
	}
	if rows < 4 {
		var same [4]float32
		for r := range rows {
			for i := range n {
				f.mul(&same[0], &w[r*bytes], 0, &x[i*cols], cols)
				dst[i*stride+r] = same[0]
			}
		}
		return
	}
	for r := 0; r < rows; r += 4 {
		r := min(r, rows-4)
		for i := range n {
			f.mul(&dst[i*stride+r], &w[r*bytes], bytes, &x[i*cols], cols)
		}
	}
}

func (f format) mul(dst *float32, w *byte, rowBytes int, x *float32, cols int) {
	switch f {
	case f32:
		mulF32(dst, w, rowBytes, x, cols)
	case f16:
		mulF16(dst, w, rowBytes, x, cols)
	case bf16:
		mulBF16(dst, w, rowBytes, x, cols)
	}
}

// mulF32 multiplies four rows, rowBytes apart, with one vector.
//
//go:noescape
func mulF32(dst *float32, w *byte, rowBytes int, x *float32, cols int)

//go:noescape
func mulF16(dst *float32, w *byte, rowBytes int, x *float32, cols int)

//go:noescape
func mulBF16(dst *float32, w *byte, rowBytes int, x *float32, cols int)
