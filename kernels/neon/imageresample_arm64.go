package neon

// Resample sums n rows with the stored weights w; see package portable. dst has at least
// 32 samples.
func Resample(dst, src []uint8, stride, n int, w []int16) {
	resample(&dst[0], &src[0], stride, n, &w[0], len(dst))
}

// Transpose sets dst[c*dstStride+r] = src[r*srcStride+c]; rows and cols are at least 16.
func Transpose(dst []uint8, dstStride int, src []uint8, srcStride, rows, cols int) {
	for r := 0; r < rows; r += 16 {
		r := min(r, rows-16) // the last tile may overlap the one before
		transpose16(&dst[r], dstStride, &src[r*srcStride], srcStride, cols)
	}
}

// resample does a row of len samples, at least 32: 32 at a time, the last of them again
// where they are no multiple of that. n is positive.
//
//go:noescape
func resample(dst, src *uint8, stride, n int, w *int16, len int)

// transpose16 does 16 rows of cols columns, at least 16, in the same way.
//
//go:noescape
func transpose16(dst *uint8, dstStride int, src *uint8, srcStride, cols int)
