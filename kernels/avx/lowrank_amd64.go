package avx

// LowRank sets the columns from..to of dst [n, out] = x [n, in] A, for a small matrix
// stored [in, out]. in is not 0, to-from a multiple of 8 and not 0.
func LowRank(dst, x, a []float32, n, in, out, from, to int) {
	for i := range n {
		streamRows(&dst[i*out+from], &a[from], &x[i*in], in, 4*out, to-from)
	}
}

// LowRankF16 is LowRank for half-precision weights.
func LowRankF16(dst, x []float32, a []byte, n, in, out, from, to int) {
	i := 0
	for ; i+4 <= n; i += 4 {
		halfRows4(&dst[i*out+from], &a[2*from], &x[i*in], in, 2*out, to-from, 4*out, 4*in)
	}
	for ; i < n; i++ {
		streamHalfRows(&dst[i*out+from], &a[2*from], &x[i*in], in, 2*out, to-from)
	}
}

// LowRankF16x512 is LowRankF16 with AVX-512.
func LowRankF16x512(dst, x []float32, a []byte, n, in, out, from, to int) {
	i := 0
	for ; i+4 <= n; i += 4 {
		halfRows4x512(&dst[i*out+from], &a[2*from], &x[i*in], in, 2*out, to-from, 4*out, 4*in)
	}
	for ; i < n; i++ {
		streamHalfRows(&dst[i*out+from], &a[2*from], &x[i*in], in, 2*out, to-from)
	}
}
