package portable

// LowRank sets dst = x A for a small matrix stored [in, out], the orientation of
// low-rank weights: dst [n, out], x [n, in]. Sums run over in, in order.
func LowRank(dst, x, a []float32, n, in, out int) {
	for i := range n {
		d := dst[i*out:][:out]
		clear(d)
		addRows(d, a, out, x[i*in:][:in])
	}
}
