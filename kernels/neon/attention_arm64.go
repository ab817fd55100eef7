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
	a := fourQueries{k: &k[0], v: &v[0], stride: 4 * kvStride, keys: keys, dim: dim, scale: scale}
	for i := 0; i < queries; i += 4 {
		for j := range 4 {
			r := min(i+j, queries-1)
			a.q[j], a.s[j], a.dst[j] = &q[r*qStride], &scores[r*keys], &dst[r*dstStride]
		}
		attentionScores(&a)
		for r := i; r < min(i+4, queries); r++ {
			Softmax(scores[r*keys:][:keys])
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
