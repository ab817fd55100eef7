//go:build !purego

package kernels

import (
	"golang.org/x/sys/cpu"

	"github.com/visualrwkv/edged/kernels/avx"
	"github.com/visualrwkv/edged/kernels/portable"
)

// The levels of this architecture; each includes the ones before it.
const (
	portableLevel = iota
	avx2Level     // AVX2, FMA, F16C
	vnniLevel     // AVX-512 F, BW, DQ, VL and VNNI
)

func available() []implementation {
	all := []implementation{{"portable", portableLevel}}
	avx2 := cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C
	if avx2 {
		all = append(all, implementation{"avx2", avx2Level})
	}
	if avx2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VNNI {
		all = append(all, implementation{"avx512vnni", vnniLevel})
	}
	return all
}

// whole returns how many of n values the elementwise kernels take, the first ones. Package
// portable does the others, with the same bits.
func whole(n int) int {
	if level == portableLevel {
		return 0
	}
	return n &^ 7
}

// multiple reports whether n is a positive multiple of m, as kernels without a tail want.
func multiple(n, m int) bool { return n > 0 && n%m == 0 }

func mulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	switch {
	case level == vnniLevel && multiple(cols, 16):
		avx.MulF32x512(dst, stride, w, x, rows, cols, n)
	case level == avx2Level && multiple(cols, 16):
		avx.MulF32(dst, stride, w, x, rows, cols, n)
	default:
		portable.MulF32(dst, stride, w, x, rows, cols, n)
	}
}

func mulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	switch {
	case level == vnniLevel && multiple(cols, 16):
		avx.MulF16x512(dst, stride, w, x, rows, cols, n)
	case level == avx2Level && multiple(cols, 16):
		avx.MulF16(dst, stride, w, x, rows, cols, n)
	default:
		portable.MulF16(dst, stride, w, x, rows, cols, n)
	}
}

func mulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	switch {
	case level == vnniLevel && multiple(cols, 16):
		avx.MulBF16x512(dst, stride, w, x, rows, cols, n)
	case level == avx2Level && multiple(cols, 16):
		avx.MulBF16(dst, stride, w, x, rows, cols, n)
	default:
		portable.MulBF16(dst, stride, w, x, rows, cols, n)
	}
}

func mulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	// Rows beyond a multiple of eight have the same bits from package portable.
	done := 0
	if level != portableLevel && cols > 0 && n > 0 {
		done = rows &^ 7
		avx.MulQ8(dst, stride, w, q, scale, sum, done, cols, n)
	}
	if done < rows {
		portable.MulQ8(dst[done:], stride, w[done*(cols/Block)*portable.Q8Bytes:], q, scale, sum, rows-done, cols, n)
	}
}

func mulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	// Rows beyond a multiple of eight have the same bits from package portable.
	done := 0
	if level != portableLevel && cols > 0 && n > 0 {
		done = rows &^ 7
		avx.MulQ4(dst, stride, w, q, scale, sum, done, cols, n)
	}
	if done < rows {
		portable.MulQ4(dst[done:], stride, w[done*(cols/Block)*portable.Q4Bytes:], q, scale, sum, rows-done, cols, n)
	}
}

func quantizeActs(q []int8, scale []float32, sum []int32, x []float32) {
	portable.QuantizeActs(q, scale, sum, x)
}

func wkv6(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	switch {
	case level == vnniLevel && multiple(size, 32):
		avx.WKV6x512(y, state, r, k, v, w, u, steps, stride, heads, size)
	case level == avx2Level && multiple(size, 32):
		avx.WKV6(y, state, r, k, v, w, u, steps, stride, heads, size)
	default:
		portable.WKV6(y, state, r, k, v, w, u, steps, stride, heads, size)
	}
}

func wkv7(y, state, r, k, v, w, kappa, a []float32, steps, stride, heads, size int) {
	switch {
	case level == vnniLevel && multiple(size, 32):
		avx.WKV7x512(y, state, r, k, v, w, kappa, a, steps, stride, heads, size)
	case level == avx2Level && multiple(size, 32):
		avx.WKV7(y, state, r, k, v, w, kappa, a, steps, stride, heads, size)
	default:
		portable.WKV7(y, state, r, k, v, w, kappa, a, steps, stride, heads, size)
	}
}

func stateRead(p, state, q []float32, heads, size int) {
	switch {
	case level == vnniLevel && multiple(size, 8):
		avx.StateRead512(p, state, q, heads, size)
	case level == avx2Level && multiple(size, 8):
		avx.StateRead(p, state, q, heads, size)
	default:
		portable.StateRead(p, state, q, heads, size)
	}
}

func lowRankF16(dst, x []float32, a []byte, n, in, out, from, to int) {
	fits := in > 0 && multiple(to-from, 8)
	switch {
	case level == vnniLevel && fits:
		avx.LowRankF16x512(dst, x, a, n, in, out, from, to)
	case level == avx2Level && fits:
		avx.LowRankF16(dst, x, a, n, in, out, from, to)
	default:
		portable.LowRankF16(dst, x, a, n, in, out, from, to)
	}
}

func lowRank(dst, x, a []float32, n, in, out, from, to int) {
	if level != portableLevel && in > 0 && multiple(to-from, 8) {
		avx.LowRank(dst, x, a, n, in, out, from, to)
		return
	}
	portable.LowRank(dst, x, a, n, in, out, from, to)
}

// attends reports whether assembly takes heads of dim values in rows of stride.
func attends(dim, stride int) bool { return multiple(dim, 8) && dim <= 256 && stride < 1<<26 }

func attentionScores(scores, q []float32, qStride int, k []float32, kStride int, queries, keys, dim int, scale float32) {
	fits := attends(dim, kStride)
	switch {
	case level == vnniLevel && fits:
		avx.AttentionScores512(scores, q, qStride, k, kStride, queries, keys, dim, scale)
	case level == avx2Level && fits:
		avx.AttentionScores(scores, q, qStride, k, kStride, queries, keys, dim, scale)
	default:
		portable.AttentionScores(scores, q, qStride, k, kStride, queries, keys, dim, scale)
	}
}

func attentionValues(dst []float32, dstStride int, p, v []float32, vStride int, queries, keys, dim int) {
	fits := attends(dim, vStride)
	switch {
	case level == vnniLevel && fits:
		avx.AttentionValues512(dst, dstStride, p, v, vStride, queries, keys, dim)
	case level == avx2Level && fits:
		avx.AttentionValues(dst, dstStride, p, v, vStride, queries, keys, dim)
	default:
		portable.AttentionValues(dst, dstStride, p, v, vStride, queries, keys, dim)
	}
}

func attention(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	fits := attends(dim, kvStride)
	switch {
	case level == vnniLevel && fits:
		avx.Attention512(dst, dstStride, q, qStride, k, v, kvStride, queries, keys, dim, scale, scores)
	case level == avx2Level && fits:
		avx.Attention(dst, dstStride, q, qStride, k, v, kvStride, queries, keys, dim, scale, scores)
	default:
		portable.Attention(dst, dstStride, q, qStride, k, v, kvStride, queries, keys, dim, scale, scores)
	}
}

func exp(dst, x []float32) {
	n := whole(len(x))
	switch level {
	case vnniLevel:
		avx.Exp512(dst[:n], x[:n])
	case avx2Level:
		avx.Exp(dst[:n], x[:n])
	}
	portable.Exp(dst[n:], x[n:])
}

func sigmoid(dst, x []float32) {
	n := whole(len(x))
	switch level {
	case vnniLevel:
		avx.Sigmoid512(dst[:n], x[:n])
	case avx2Level:
		avx.Sigmoid(dst[:n], x[:n])
	}
	portable.Sigmoid(dst[n:], x[n:])
}

func tanh(dst, x []float32) {
	n := whole(len(x))
	switch level {
	case vnniLevel:
		avx.Tanh512(dst[:n], x[:n])
	case avx2Level:
		avx.Tanh(dst[:n], x[:n])
	}
	portable.Tanh(dst[n:], x[n:])
}

func silu(dst, x []float32) {
	n := whole(len(x))
	switch level {
	case vnniLevel:
		avx.SiLU512(dst[:n], x[:n])
	case avx2Level:
		avx.SiLU(dst[:n], x[:n])
	}
	portable.SiLU(dst[n:], x[n:])
}

func gelu(dst, x []float32) {
	n := whole(len(x))
	switch level {
	case vnniLevel:
		avx.GELU512(dst[:n], x[:n])
	case avx2Level:
		avx.GELU(dst[:n], x[:n])
	}
	portable.GELU(dst[n:], x[n:])
}

func geluTanh(dst, x []float32) {
	n := whole(len(x))
	switch level {
	case vnniLevel:
		avx.GELUTanh512(dst[:n], x[:n])
	case avx2Level:
		avx.GELUTanh(dst[:n], x[:n])
	}
	portable.GELUTanh(dst[n:], x[n:])
}

func quickGELU(dst, x []float32) {
	n := whole(len(x))
	switch level {
	case vnniLevel:
		avx.QuickGELU512(dst[:n], x[:n])
	case avx2Level:
		avx.QuickGELU(dst[:n], x[:n])
	}
	portable.QuickGELU(dst[n:], x[n:])
}

func relu(dst, x []float32) {
	n := whole(len(dst))
	if n > 0 {
		avx.ReLU(dst[:n], x[:n])
	}
	portable.ReLU(dst[n:], x[n:])
}

func squaredReLU(dst, x []float32) {
	n := whole(len(dst))
	if n > 0 {
		avx.SquaredReLU(dst[:n], x[:n])
	}
	portable.SquaredReLU(dst[n:], x[n:])
}

func decay(dst, x []float32) {
	n := whole(len(x))
	switch level {
	case vnniLevel:
		avx.Decay512(dst[:n], x[:n])
	case avx2Level:
		avx.Decay(dst[:n], x[:n])
	}
	portable.Decay(dst[n:], x[n:])
}

func softmax(x []float32) {
	switch level {
	case vnniLevel:
		avx.Softmax512(x)
	case avx2Level:
		avx.Softmax(x)
	default:
		portable.Softmax(x)
	}
}

func add(dst, a, b []float32) {
	n := whole(len(dst))
	if n > 0 {
		avx.Add(dst[:n], a[:n], b[:n])
	}
	portable.Add(dst[n:], a[n:], b[n:])
}

func mul(dst, a, b []float32) {
	n := whole(len(dst))
	if n > 0 {
		avx.Mul(dst[:n], a[:n], b[:n])
	}
	portable.Mul(dst[n:], a[n:], b[n:])
}

func addMul(dst, a, b []float32) {
	n := whole(len(dst))
	if n > 0 {
		avx.AddMul(dst[:n], a[:n], b[:n])
	}
	portable.AddMul(dst[n:], a[n:], b[n:])
}

func lerp(dst, x, prev, mu []float32) {
	n := whole(len(dst))
	if n > 0 {
		avx.Lerp(dst[:n], x[:n], prev[:n], mu[:n])
	}
	portable.Lerp(dst[n:], x[n:], prev[n:], mu[n:])
}

func lerpAdd(dst, x, prev, mu, eps []float32) {
	n := whole(len(dst))
	if n > 0 {
		avx.LerpAdd(dst[:n], x[:n], prev[:n], mu[:n], eps[:n])
	}
	portable.LerpAdd(dst[n:], x[n:], prev[n:], mu[n:], eps[n:])
}

func blend(dst, y, p, gate []float32) {
	n := whole(len(dst))
	if n > 0 {
		avx.Blend(dst[:n], y[:n], p[:n], gate[:n])
	}
	portable.Blend(dst[n:], y[n:], p[n:], gate[n:])
}

func layerNorm(dst, x, weight, bias []float32, eps float32) {
	if level != portableLevel && len(x)%8 == 0 {
		avx.LayerNorm(dst, x, weight, bias, eps)
	} else {
		portable.LayerNorm(dst, x, weight, bias, eps)
	}
}

func groupNorm(dst, x, weight, bias []float32, groups int, eps float32) {
	if level != portableLevel && len(x)/groups%8 == 0 {
		avx.GroupNorm(dst, x, weight, bias, groups, eps)
	} else {
		portable.GroupNorm(dst, x, weight, bias, groups, eps)
	}
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
	if level == portableLevel {
		portable.QuantizeTile(q, scale, sum, x, cols, t)
	} else {
		avx.QuantizeTile(q, scale, sum, x, cols, t)
	}
}

// fastPacked reports whether packed products pass 40 a nanosecond.
func fastPacked() bool { return level != portableLevel }

// tileOf8 reports whether there is a tile of 8. AVX2 has registers for 8 rows by 8
// vectors only; reading the weights again for 4 more vectors is faster.
func tileOf8() bool { return level != avx2Level }

func mulP8(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	switch {
	case level == vnniLevel:
		avx.MulP8VNNI(dst, stride, w, ws, q, scale, sum, rows, cols, t)
	case level == avx2Level && t != 8:
		avx.MulP8(dst, stride, w, ws, q, scale, sum, rows, cols, t)
	default:
		portable.MulP8(dst, stride, w, ws, q, scale, sum, rows, cols, t)
	}
}

func mulP4(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	switch {
	case level == vnniLevel:
		avx.MulP4VNNI(dst, stride, w, ws, wg, q, scale, sum, rows, cols, t)
	case level == avx2Level && t != 8:
		avx.MulP4(dst, stride, w, ws, wg, q, scale, sum, rows, cols, t)
	default:
		portable.MulP4(dst, stride, w, ws, wg, q, scale, sum, rows, cols, t)
	}
}

func unpackP4(dst []int8, w, wg []byte, rows, cols int) {
	if level == portableLevel {
		portable.UnpackP4(dst, w, wg, rows, cols)
	} else {
		avx.UnpackP4(dst, w, wg, rows, cols)
	}
}
