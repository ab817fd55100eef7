package portable

// LowRank sets the columns from..to of dst [n, out] = x [n, in] A, for a small matrix
// stored [in, out], the orientation of low-rank weights. Sums run over in, in order.
func LowRank(dst, x, a []float32, n, in, out, from, to int) {
	for i := range n {
		d := dst[i*out:][from:to]
		clear(d)
		if in > 0 {
			addRows(d, a[from:], out, x[i*in:][:in])
		}
	}
}

// LowRankF16 is LowRank for half-precision weights, little-endian bytes.
func LowRankF16(dst, x []float32, a []byte, n, in, out, from, to int) {
	var row [256]float32
	for i := range n {
		for at := from; at < to; at += len(row) {
			d := dst[i*out+at:][:min(len(row), to-at)]
			clear(d)
			for k, v := range x[i*in:][:in] {
				DecodeF16(row[:len(d)], a[2*(k*out+at):][:2*len(d)])
				for j, w := range row[:len(d)] {
					d[j] += float32(v * w)
				}
			}
		}
	}
}
