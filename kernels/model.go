package kernels

import "fmt"

// same panics unless all lengths equal n.
func same(op string, n int, lens ...int) {
	for _, l := range lens {
		if l != n {
			panic(fmt.Sprintf("kernels: %s: length %d, want %d", op, l, n))
		}
	}
}

// WKV6 advances the RWKV-6 recurrence by steps tokens, in place. For each token and
// head:
//
//	y[j]   = Σ_i r[i]*(S[i,j] + u[i]*k[i]*v[j])
//	S[i,j] = w[i]*S[i,j] + k[i]*v[j]
//
// state is [heads][size key i][size value j], u the bonus [heads][size], w the decay
// in [0, 1]. Token t of y, r, k, v and w, [heads][size] too, begins at t*stride, so
// that a caller can hand out strips of heads: the slices then begin at the first head
// of the strip, and hold at least (steps-1)*stride + heads*size values. How a sequence
// is cut into strips and steps does not change a bit. y must not overlap an input.
//
//go:noinline
func WKV6(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	if steps < 1 || stride < heads*size {
		panic(fmt.Sprintf("kernels: WKV6: %d steps, stride %d, %d heads of %d", steps, stride, heads, size))
	}
	need := (steps-1)*stride + heads*size
	if min(len(y), len(r), len(k), len(v), len(w)) < need {
		panic(fmt.Sprintf("kernels: WKV6: y %d, r %d, k %d, v %d, w %d values, want %d", len(y), len(r), len(k), len(v), len(w), need))
	}
	same("WKV6", heads*size, len(u))
	same("WKV6", heads*size*size, len(state))
	if race {
		raceWrite(state)
		raceReads(u)
		for t := range steps {
			a, b := t*stride, t*stride+heads*size
			raceWrite(y[a:b])
			raceReads(r[a:b], k[a:b], v[a:b], w[a:b])
		}
	}
	wkv6(y, state, r, k, v, w, u, steps, stride, heads, size)
}

// StateRead sets p[j] = Σ_i q[i]*S[i,j] for each head: what hybrid and cross mixing
// read of the image state. p must not overlap q.
//
//go:noinline
func StateRead(p, state, q []float32, heads, size int) {
	same("StateRead", heads*size, len(p), len(q))
	same("StateRead", heads*size*size, len(state))
	if race {
		raceWrite(p)
		raceReads(state, q)
	}
	stateRead(p, state, q, heads, size)
}

// LowRank sets the columns from ≤ j < to of dst = x A for a small matrix stored [in, out],
// as low-rank weights are: dst [n, out], x [n, in]. Sums run over in, in order. dst must
// not overlap x.
//
//go:noinline
func LowRank(dst, x, a []float32, n, in, out, from, to int) {
	checkLowRank("LowRank", dst, x, n, in, out, from, to)
	same("LowRank", in*out, len(a))
	if race {
		raceRead(a)
	}
	lowRank(dst, x, a, n, in, out, from, to)
}

// LowRankF16 is LowRank for half-precision weights, little-endian bytes of any alignment:
// the same bits as LowRank of the converted weights.
//
//go:noinline
func LowRankF16(dst, x []float32, a []byte, n, in, out, from, to int) {
	checkLowRank("LowRankF16", dst, x, n, in, out, from, to)
	same("LowRankF16", 2*in*out, len(a))
	if race {
		raceRead(a)
	}
	lowRankF16(dst, x, a, n, in, out, from, to)
}

func checkLowRank(op string, dst, x []float32, n, in, out, from, to int) {
	same(op, n*out, len(dst))
	same(op, n*in, len(x))
	if from < 0 || to < from || to > out {
		panic(fmt.Sprintf("kernels: %s: columns %d to %d of %d", op, from, to, out))
	}
	if race {
		raceRead(x)
		for i := range n {
			raceWrite(dst[i*out+from : i*out+to])
		}
	}
}

// Attention computes softmax(scale*q Kᵀ) V of one head for a tile of queries. Row i
// of q begins at i*qStride, of k and v at i*kvStride, of dst at i*dstStride, and has
// dim values; so q, k and v may be columns of one [tokens, 3*width] product. scores
// is scratch of at least queries*keys values. dst must not overlap an input. The
// result of a row does not depend on the tiling; sixteen queries make a good tile.
//
//go:noinline
func Attention(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	if queries < 1 || keys < 1 || dim < 1 || min(dstStride, qStride, kvStride) < dim {
		panic(fmt.Sprintf("kernels: Attention: %d queries, %d keys of %d values, strides %d, %d, %d", queries, keys, dim, dstStride, qStride, kvStride))
	}
	needQ, needKV := (queries-1)*qStride+dim, (keys-1)*kvStride+dim
	if len(dst) < (queries-1)*dstStride+dim || len(q) < needQ || min(len(k), len(v)) < needKV || len(scores) < queries*keys {
		panic(fmt.Sprintf("kernels: Attention: dst %d, q %d, k %d, v %d, scores %d values for %d queries, %d keys", len(dst), len(q), len(k), len(v), len(scores), queries, keys))
	}
	if race {
		raceWrite(scores[:queries*keys])
		for i := range queries {
			raceWrite(dst[i*dstStride:][:dim])
			raceReads(q[i*qStride:][:dim])
		}
		for i := range keys {
			raceReads(k[i*kvStride:][:dim], v[i*kvStride:][:dim])
		}
	}
	attention(dst, dstStride, q, qStride, k, v, kvStride, queries, keys, dim, scale, scores)
}

// AttentionScores is the first step of Attention, for whoever adds to the scores before
// taking their Softmax: scores [queries, keys] = scale*q Kᵀ. Row i of q begins at i*qStride,
// of k at i*kStride. scores must not overlap an input.
//
//go:noinline
func AttentionScores(scores, q []float32, qStride int, k []float32, kStride int, queries, keys, dim int, scale float32) {
	if queries < 1 || keys < 1 || dim < 1 || min(qStride, kStride) < dim {
		panic(fmt.Sprintf("kernels: AttentionScores: %d queries, %d keys of %d values, strides %d, %d", queries, keys, dim, qStride, kStride))
	}
	if len(scores) < queries*keys || len(q) < (queries-1)*qStride+dim || len(k) < (keys-1)*kStride+dim {
		panic(fmt.Sprintf("kernels: AttentionScores: scores %d, q %d, k %d values for %d queries, %d keys", len(scores), len(q), len(k), queries, keys))
	}
	if race {
		raceWrite(scores[:queries*keys])
		raceRows(q, qStride, queries, dim, false)
		raceRows(k, kStride, keys, dim, false)
	}
	attentionScores(scores, q, qStride, k, kStride, queries, keys, dim, scale)
}

// AttentionValues is the last step of Attention: dst = p V, with p [queries, keys] the
// Softmax of the scores. Row i of v begins at i*vStride, of dst at i*dstStride. dst must not
// overlap an input.
//
//go:noinline
func AttentionValues(dst []float32, dstStride int, p, v []float32, vStride int, queries, keys, dim int) {
	if queries < 1 || keys < 1 || dim < 1 || min(dstStride, vStride) < dim {
		panic(fmt.Sprintf("kernels: AttentionValues: %d queries, %d keys of %d values, strides %d, %d", queries, keys, dim, dstStride, vStride))
	}
	if len(dst) < (queries-1)*dstStride+dim || len(p) < queries*keys || len(v) < (keys-1)*vStride+dim {
		panic(fmt.Sprintf("kernels: AttentionValues: dst %d, p %d, v %d values for %d queries, %d keys", len(dst), len(p), len(v), queries, keys))
	}
	if race {
		raceRows(dst, dstStride, queries, dim, true)
		raceRead(p[:queries*keys])
		raceRows(v, vStride, keys, dim, false)
	}
	attentionValues(dst, dstStride, p, v, vStride, queries, keys, dim)
}

// raceRows tells the race detector about n rows of dim values, stride apart.
func raceRows(x []float32, stride, n, dim int, write bool) {
	for i := range n {
		row := x[i*stride:][:dim]
		if write {
			raceWrite(row)
		} else {
			raceRead(row)
		}
	}
}
