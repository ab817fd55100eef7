package avx

// LowRank sets dst = x A for a small matrix stored [in, out]. in is not 0, out a multiple
// of 8.
func LowRank(dst, x, a []float32, n, in, out int) {
	for i := range n {
		addRows(&dst[i*out], &a[0], &x[i*in], in, 4*out, out)
	}
}

// LowRank512 is LowRank.
func LowRank512(dst, x, a []float32, n, in, out int) {
	for i := range n {
		addRows512(&dst[i*out], &a[0], &x[i*in], in, 4*out, out)
	}
}

// LowRankF16 is LowRank for half-precision weights.
func LowRankF16(dst, x []float32, a []byte, n, in, out int) {
	for i := range n {
		addHalfRows(&dst[i*out], &a[0], &x[i*in], in, 2*out, out)
	}
}
