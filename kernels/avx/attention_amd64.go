package avx

// Attention computes softmax(scale*q Kᵀ) V of one head for a tile of queries: scores and
// sums over keys with the bits of package portable. dim is a multiple of 8, at most 256.
func Attention(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	AttentionScores(scores, q, qStride, k, kvStride, queries, keys, dim, scale)
	for i := range queries {
		Softmax(scores[i*keys:][:keys])
	}
	AttentionValues(dst, dstStride, scores, v, kvStride, queries, keys, dim)
}

// AttentionScores is the first step of Attention: scores [queries, keys] = scale*q Kᵀ.
func AttentionScores(scores, q []float32, qStride int, k []float32, kStride int, queries, keys, dim int, scale float32) {
	i := 0
	for ; keys >= 8 && i+8 <= queries; i += 8 {
		scores8(&scores[i*keys], &q[i*qStride], &k[0], 4*keys, 4*qStride, kStride, keys, dim, scale)
	}
	for ; i+4 <= queries; i += 4 {
		scores4(&scores[i*keys], &q[i*qStride], &k[0], 4*keys, 4*qStride, kStride, keys, dim, scale)
	}
	for ; i < queries; i++ { // four times the same query
		scores4(&scores[i*keys], &q[i*qStride], &k[0], 0, 0, kStride, keys, dim, scale)
	}
}

// AttentionValues is the last step of Attention: dst = p V, with p [queries, keys].
func AttentionValues(dst []float32, dstStride int, p, v []float32, vStride int, queries, keys, dim int) {
	i := 0
	for ; keys > 0 && dim >= 16 && i+4 <= queries; i += 4 {
		addRows4(&dst[i*dstStride], &v[0], &p[i*keys], keys, 4*vStride, dim, 4*dstStride, 4*keys)
	}
	for ; i < queries; i++ {
		s := p[i*keys:][:keys]
		addRows(&dst[i*dstStride], &v[0], &s[0], keys, 4*vStride, dim)
	}
}

// Attention512 is Attention, with sixteen queries at a time.
func Attention512(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	AttentionScores512(scores, q, qStride, k, kvStride, queries, keys, dim, scale)
	for i := range queries {
		Softmax512(scores[i*keys:][:keys])
	}
	AttentionValues512(dst, dstStride, scores, v, kvStride, queries, keys, dim)
}

// AttentionScores512 is AttentionScores, with sixteen queries at a time.
func AttentionScores512(scores, q []float32, qStride int, k []float32, kStride int, queries, keys, dim int, scale float32) {
	i := 0
	for ; i+16 <= queries; i += 16 {
		scores16x512(&scores[i*keys], &q[i*qStride], &k[0], 4*keys, 4*qStride, kStride, keys, dim, scale)
	}
	for ; i+4 <= queries; i += 4 {
		scores4x512(&scores[i*keys], &q[i*qStride], &k[0], 4*keys, 4*qStride, kStride, keys, dim, scale)
	}
	for ; i < queries; i++ {
		scores4x512(&scores[i*keys], &q[i*qStride], &k[0], 0, 0, kStride, keys, dim, scale)
	}
}

// AttentionValues512 is AttentionValues.
func AttentionValues512(dst []float32, dstStride int, p, v []float32, vStride int, queries, keys, dim int) {
	for i := range queries {
		s := p[i*keys:][:keys]
		addRows512(&dst[i*dstStride], &v[0], &s[0], keys, 4*vStride, dim)
	}
}
