//go:build purego || !(amd64 || arm64)

package kernels

import "github.com/visualrwkv/edged/kernels/portable"

const portableLevel = 0

func available() []implementation { return []implementation{{"portable", portableLevel}} }

func mulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	portable.MulF32(dst, stride, w, x, rows, cols, n)
}

func mulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	portable.MulF16(dst, stride, w, x, rows, cols, n)
}

func mulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	portable.MulBF16(dst, stride, w, x, rows, cols, n)
}

func mulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	portable.MulQ8(dst, stride, w, q, scale, sum, rows, cols, n)
}

func mulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	portable.MulQ4(dst, stride, w, q, scale, sum, rows, cols, n)
}

func quantizeActs(q []int8, scale []float32, sum []int32, x []float32) {
	portable.QuantizeActs(q, scale, sum, x)
}

func wkv6(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	portable.WKV6(y, state, r, k, v, w, u, steps, stride, heads, size)
}

func wkv7(y, state, r, k, v, w, kappa, a []float32, steps, stride, heads, size int) {
	portable.WKV7(y, state, r, k, v, w, kappa, a, steps, stride, heads, size)
}

func stateRead(p, state, q []float32, heads, size int) {
	portable.StateRead(p, state, q, heads, size)
}

func lowRankF16(dst, x []float32, a []byte, n, in, out, from, to int) {
	portable.LowRankF16(dst, x, a, n, in, out, from, to)
}

func lowRank(dst, x, a []float32, n, in, out, from, to int) {
	portable.LowRank(dst, x, a, n, in, out, from, to)
}

func attention(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	portable.Attention(dst, dstStride, q, qStride, k, v, kvStride, queries, keys, dim, scale, scores)
}

func attentionScores(scores, q []float32, qStride int, k []float32, kStride int, queries, keys, dim int, scale float32) {
	portable.AttentionScores(scores, q, qStride, k, kStride, queries, keys, dim, scale)
}

func attentionValues(dst []float32, dstStride int, p, v []float32, vStride int, queries, keys, dim int) {
	portable.AttentionValues(dst, dstStride, p, v, vStride, queries, keys, dim)
}

func exp(dst, x []float32) {
	portable.Exp(dst, x)
}

func sigmoid(dst, x []float32) {
	portable.Sigmoid(dst, x)
}

func tanh(dst, x []float32) {
	portable.Tanh(dst, x)
}

func silu(dst, x []float32) {
	portable.SiLU(dst, x)
}

func gelu(dst, x []float32) {
	portable.GELU(dst, x)
}

func geluTanh(dst, x []float32) {
	portable.GELUTanh(dst, x)
}

func quickGELU(dst, x []float32) {
	portable.QuickGELU(dst, x)
}

func relu(dst, x []float32) {
	portable.ReLU(dst, x)
}

func squaredReLU(dst, x []float32) {
	portable.SquaredReLU(dst, x)
}

func decay(dst, x []float32) {
	portable.Decay(dst, x)
}

func softmax(x []float32) {
	portable.Softmax(x)
}

func add(dst, a, b []float32) {
	portable.Add(dst, a, b)
}

func mul(dst, a, b []float32) {
	portable.Mul(dst, a, b)
}

func addMul(dst, a, b []float32) {
	portable.AddMul(dst, a, b)
}

func lerp(dst, x, prev, mu []float32) {
	portable.Lerp(dst, x, prev, mu)
}

func lerpAdd(dst, x, prev, mu, eps []float32) {
	portable.LerpAdd(dst, x, prev, mu, eps)
}

func blend(dst, y, p, gate []float32) {
	portable.Blend(dst, y, p, gate)
}

func layerNorm(dst, x, weight, bias []float32, eps float32) {
	portable.LayerNorm(dst, x, weight, bias, eps)
}

func groupNorm(dst, x, weight, bias []float32, groups int, eps float32) {
	portable.GroupNorm(dst, x, weight, bias, groups, eps)
}

func decodeF32(dst []float32, src []byte) {
	portable.DecodeF32(dst, src)
}

func decodeF16(dst []float32, src []byte) {
	portable.DecodeF16(dst, src)
}

func decodeBF16(dst []float32, src []byte) {
	portable.DecodeBF16(dst, src)
}

func decodeQ8(dst []float32, src []byte) {
	portable.DecodeQ8(dst, src)
}

func decodeQ4(dst []float32, src []byte) {
	portable.DecodeQ4(dst, src)
}

func quantizeTile(q []int8, scale []float32, sum []int32, x []float32, cols, t int) {
	portable.QuantizeTile(q, scale, sum, x, cols, t)
}

func fastPacked() bool { return false }

func tileOf8() bool { return true }

func mulP8(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	portable.MulP8(dst, stride, w, ws, q, scale, sum, rows, cols, t)
}

func mulP4(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	portable.MulP4(dst, stride, w, ws, wg, q, scale, sum, rows, cols, t)
}

func unpackP4(dst []int8, w, wg []byte, rows, cols int) {
	portable.UnpackP4(dst, w, wg, rows, cols)
}
