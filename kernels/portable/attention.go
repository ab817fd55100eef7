package portable

// Attention computes softmax(scale*q Kᵀ) V of one head for a tile of queries. Row i
// of q begins at i*qStride, of k and v at i*kvStride, of dst at i*dstStride; each
// has dim values. scores is scratch for queries*keys values; no larger part of the
// T x T matrix ever exists. Rows are independent of how queries are tiled.
func Attention(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	for i := range queries {
		s := scores[i*keys:][:keys]
		qi := q[i*qStride:][:dim]
		for j := range s {
			var sum float32
			for d, x := range k[j*kvStride:][:dim] {
				sum += float32(x * qi[d])
			}
			s[j] = sum * scale
		}
		Softmax(s)
		out := dst[i*dstStride:][:dim]
		clear(out)
		for j, p := range s {
			for d, x := range v[j*kvStride:][:dim] {
				out[d] += float32(p * x)
			}
		}
	}
}
