package portable

// Attention computes softmax(scale*q Kᵀ) V of one head for a tile of queries. Row i
// of q begins at i*qStride, of k and v at i*kvStride, of dst at i*dstStride; each
// has dim values. scores is scratch for queries*keys values; no larger part of the
// T x T matrix ever exists. Rows are independent of how queries are tiled.
func Attention(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	AttentionScores(scores, q, qStride, k, kvStride, queries, keys, dim, scale)
	for i := range queries {
		Softmax(scores[i*keys:][:keys])
	}
	AttentionValues(dst, dstStride, scores, v, kvStride, queries, keys, dim)
}

// AttentionScores is the first step of Attention: scores [queries, keys] = scale*q Kᵀ.
func AttentionScores(scores, q []float32, qStride int, k []float32, kStride int, queries, keys, dim int, scale float32) {
	for j := 0; j < keys; j += 4 {
		var t rows4
		for d := 0; d < dim; d += chunk {
			width := min(chunk, dim-d)
			for i := range t {
				t[i] = k[min(j+i, keys-1)*kStride+d:][:width]
			}
			t.mul(scores[j:], keys, q[d:], qStride, min(4, keys-j), queries, d == 0)
		}
	}
	for i := range queries {
		s := scores[i*keys:][:keys]
		for j := range s {
			s[j] *= scale
		}
	}
}

// AttentionValues is the last step of Attention: dst = p V, with p [queries, keys].
func AttentionValues(dst []float32, dstStride int, p, v []float32, vStride int, queries, keys, dim int) {
	for i := range queries {
		out := dst[i*dstStride:][:dim]
		clear(out)
		addRows(out, v, vStride, p[i*keys:][:keys])
	}
}
