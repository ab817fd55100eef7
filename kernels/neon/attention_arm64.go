package neon

// fourQueries is what the two halves of Attention work on: four queries, the last ones
// repeated where there are fewer, which computes and stores the same again.
type fourQueries struct {
	q, s, dst [4]*float32
	k, v      *float32
	stride    int // of k and v, in bytes
	keys, dim int
	scale     float32
}

// Attention computes softmax(scale*q Kᵀ) V of one head for a tile of queries, as package
// portable does, but with sums in another order and fused. A row has the same bits in any
// tile. dim is a multiple of 4, not zero, and there are at least 4 keys.
func Attention(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	AttentionScores(scores, q, qStride, k, kvStride, queries, keys, dim, scale)
	for i := range queries {
		Softmax(scores[i*keys:][:keys])
	}
	AttentionValues(dst, dstStride, scores, v, kvStride, queries, keys, dim)
}

// AttentionScores is the first step of Attention: scores [queries, keys] = scale*q Kᵀ.
func AttentionScores(scores, q []float32, qStride int, k []float32, kStride int, queries, keys, dim int, scale float32) {
	a := fourQueries{k: &k[0], stride: 4 * kStride, keys: keys, dim: dim, scale: scale}
	for i := 0; i < queries; i += 4 {
		for j := range 4 {
			r := min(i+j, queries-1)
			a.q[j], a.s[j] = &q[r*qStride], &scores[r*keys]
		}
		attentionScores(&a)
	}
}

// AttentionValues is the last step of Attention: dst = p V, with p [queries, keys].
func AttentionValues(dst []float32, dstStride int, p, v []float32, vStride int, queries, keys, dim int) {
	a := fourQueries{v: &v[0], stride: 4 * vStride, keys: keys, dim: dim}
	for i := 0; i < queries; i += 4 {
		for j := range 4 {
			r := min(i+j, queries-1)
			a.s[j], a.dst[j] = &p[r*keys], &dst[r*dstStride]
		}
		attentionValues(&a)
	}
}

// attentionScores sets s = scale * q kᵀ.
//
//go:noescape
func attentionScores(a *fourQueries)

// attentionValues sets dst = s v.
//
//go:noescape
func attentionValues(a *fourQueries)
