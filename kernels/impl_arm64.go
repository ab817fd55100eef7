//go:build !purego

package kernels

import (
	"golang.org/x/sys/cpu"

	"github.com/visualrwkv/edged/kernels/neon"
	"github.com/visualrwkv/edged/kernels/portable"
)

// The levels of this architecture; each includes the ones before it.
const (
	portableLevel = iota
	neonLevel     // base ASIMD
	dotprodLevel  // SDOT
	i8mmLevel     // SMMLA
)

func available() []implementation {
	all := []implementation{{"portable", portableLevel}}
	if !cpu.ARM64.HasASIMD {
		return all
	}
	all = append(all, implementation{"neon", neonLevel})
	if cpu.ARM64.HasASIMDDP {
		all = append(all, implementation{"neon-dotprod", dotprodLevel})
		if cpu.ARM64.HasI8MM {
			all = append(all, implementation{"neon-i8mm", i8mmLevel})
		}
	}
	return all
}

// whole returns how many of n values assembly takes, four at a time; package portable
// takes the rest, with the same bits.
func whole(n int) int {
	if level == portableLevel {
		return 0
	}
	return n &^ 3
}

// quadRows returns how many of the rows of a product assembly takes, four at a time;
// package portable takes the rest, with the same bits.
func quadRows(rows, cols, n int) int {
	if cols == 0 || n == 0 {
		return 0
	}
	return whole(rows)
}

func mulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	if level != portableLevel && rows > 0 && cols > 0 && cols%8 == 0 {
		neon.MulF32(dst, stride, w, x, rows, cols, n)
		return
	}
	portable.MulF32(dst, stride, w, x, rows, cols, n)
}

func mulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	if level != portableLevel && rows > 0 && cols > 0 && cols%8 == 0 {
		neon.MulF16(dst, stride, w, x, rows, cols, n)
		return
	}
	portable.MulF16(dst, stride, w, x, rows, cols, n)
}

func mulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	if level != portableLevel && rows > 0 && cols > 0 && cols%8 == 0 {
		neon.MulBF16(dst, stride, w, x, rows, cols, n)
		return
	}
	portable.MulBF16(dst, stride, w, x, rows, cols, n)
}

func mulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	whole := quadRows(rows, cols, n)
	switch {
	case whole == 0:
	case level >= dotprodLevel:
		neon.MulQ8Dot(dst, stride, w, q, scale, whole, cols, n)
	default:
		neon.MulQ8(dst, stride, w, q, scale, whole, cols, n)
	}
	if whole < rows {
		portable.MulQ8(dst[whole:], stride, w[whole*(cols/Block*Q8Bytes):], q, scale, sum, rows-whole, cols, n)
	}
}

func mulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	whole := quadRows(rows, cols, n)
	switch {
	case whole == 0:
	case level >= dotprodLevel:
		neon.MulQ4Dot(dst, stride, w, q, scale, sum, whole, cols, n)
	default:
		neon.MulQ4(dst, stride, w, q, scale, sum, whole, cols, n)
	}
	if whole < rows {
		portable.MulQ4(dst[whole:], stride, w[whole*(cols/Block*Q4Bytes):], q, scale, sum, rows-whole, cols, n)
	}
}

func quantizeActs(q []int8, scale []float32, sum []int32, x []float32) {
	if level == portableLevel {
		portable.QuantizeActs(q, scale, sum, x)
		return
	}
	neon.QuantizeActs(q, scale, sum, x)
}

func wkv6(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	if level != portableLevel && size%32 == 0 {
		neon.WKV6(y, state, r, k, v, w, u, steps, stride, heads, size)
		return
	}
	portable.WKV6(y, state, r, k, v, w, u, steps, stride, heads, size)
}

func wkv7(y, state, r, k, v, w, kappa, a []float32, steps, stride, heads, size int) {
	if level != portableLevel && size%32 == 0 {
		neon.WKV7(y, state, r, k, v, w, kappa, a, steps, stride, heads, size)
		return
	}
	portable.WKV7(y, state, r, k, v, w, kappa, a, steps, stride, heads, size)
}

func stateRead(p, state, q []float32, heads, size int) {
	if level != portableLevel && size%4 == 0 {
		neon.StateRead(p, state, q, heads, size)
		return
	}
	portable.StateRead(p, state, q, heads, size)
}

func lowRankF16(dst, x []float32, a []byte, n, in, out, from, to int) {
	if level != portableLevel && in > 0 && to > from && (to-from)%8 == 0 {
		neon.LowRankF16(dst, x, a, n, in, out, from, to)
		return
	}
	portable.LowRankF16(dst, x, a, n, in, out, from, to)
}

func lowRank(dst, x, a []float32, n, in, out, from, to int) {
	if level != portableLevel && in > 0 && to > from && (to-from)%4 == 0 {
		neon.LowRank(dst, x, a, n, in, out, from, to)
		return
	}
	portable.LowRank(dst, x, a, n, in, out, from, to)
}

func attentionScores(scores, q []float32, qStride int, k []float32, kStride int, queries, keys, dim int, scale float32) {
	if level != portableLevel && dim%4 == 0 && keys >= 4 {
		neon.AttentionScores(scores, q, qStride, k, kStride, queries, keys, dim, scale)
		return
	}
	portable.AttentionScores(scores, q, qStride, k, kStride, queries, keys, dim, scale)
}

func attentionValues(dst []float32, dstStride int, p, v []float32, vStride int, queries, keys, dim int) {
	if level != portableLevel && dim%4 == 0 && keys >= 4 {
		neon.AttentionValues(dst, dstStride, p, v, vStride, queries, keys, dim)
		return
	}
	portable.AttentionValues(dst, dstStride, p, v, vStride, queries, keys, dim)
}

func attention(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32) {
	if level != portableLevel && dim%4 == 0 && keys >= 4 {
		neon.Attention(dst, dstStride, q, qStride, k, v, kvStride, queries, keys, dim, scale, scores)
		return
	}
	portable.Attention(dst, dstStride, q, qStride, k, v, kvStride, queries, keys, dim, scale, scores)
}

func exp(dst, x []float32) {
	n := whole(len(dst))
	neon.Exp(dst[:n], x[:n])
	portable.Exp(dst[n:], x[n:])
}

func sigmoid(dst, x []float32) {
	n := whole(len(dst))
	neon.Sigmoid(dst[:n], x[:n])
	portable.Sigmoid(dst[n:], x[n:])
}

func tanh(dst, x []float32) {
	n := whole(len(dst))
	neon.Tanh(dst[:n], x[:n])
	portable.Tanh(dst[n:], x[n:])
}

func silu(dst, x []float32) {
	n := whole(len(dst))
	neon.SiLU(dst[:n], x[:n])
	portable.SiLU(dst[n:], x[n:])
}

func gelu(dst, x []float32) {
	n := whole(len(dst))
	neon.GELU(dst[:n], x[:n])
	portable.GELU(dst[n:], x[n:])
}

func geluTanh(dst, x []float32) {
	n := whole(len(dst))
	neon.GELUTanh(dst[:n], x[:n])
	portable.GELUTanh(dst[n:], x[n:])
}

func quickGELU(dst, x []float32) {
	n := whole(len(dst))
	neon.QuickGELU(dst[:n], x[:n])
	portable.QuickGELU(dst[n:], x[n:])
}

func relu(dst, x []float32) {
	n := whole(len(dst))
	neon.ReLU(dst[:n], x[:n])
	portable.ReLU(dst[n:], x[n:])
}

func squaredReLU(dst, x []float32) {
	n := whole(len(dst))
	neon.SquaredReLU(dst[:n], x[:n])
	portable.SquaredReLU(dst[n:], x[n:])
}

func decay(dst, x []float32) {
	n := whole(len(dst))
	neon.Decay(dst[:n], x[:n])
	portable.Decay(dst[n:], x[n:])
}

func softmax(x []float32) {
	if level != portableLevel && len(x) > 0 {
		neon.Softmax(x)
		return
	}
	portable.Softmax(x)
}

func add(dst, a, b []float32) {
	n := whole(len(dst))
	neon.Add(dst[:n], a[:n], b[:n])
	portable.Add(dst[n:], a[n:], b[n:])
}

func mul(dst, a, b []float32) {
	n := whole(len(dst))
	neon.Mul(dst[:n], a[:n], b[:n])
	portable.Mul(dst[n:], a[n:], b[n:])
}

func addMul(dst, a, b []float32) {
	n := whole(len(dst))
	neon.AddMul(dst[:n], a[:n], b[:n])
	portable.AddMul(dst[n:], a[n:], b[n:])
}

func lerp(dst, x, prev, mu []float32) {
	n := whole(len(dst))
	neon.Lerp(dst[:n], x[:n], prev[:n], mu[:n])
	portable.Lerp(dst[n:], x[n:], prev[n:], mu[n:])
}

func lerpAdd(dst, x, prev, mu, eps []float32) {
	n := whole(len(dst))
	neon.LerpAdd(dst[:n], x[:n], prev[:n], mu[:n], eps[:n])
	portable.LerpAdd(dst[n:], x[n:], prev[n:], mu[n:], eps[n:])
}

func blend(dst, y, p, gate []float32) {
	n := whole(len(dst))
	neon.Blend(dst[:n], y[:n], p[:n], gate[:n])
	portable.Blend(dst[n:], y[n:], p[n:], gate[n:])
}

func layerNorm(dst, x, weight, bias []float32, eps float32) {
	if level != portableLevel && len(x) > 0 && len(x)%4 == 0 {
		neon.LayerNorm(dst, x, weight, bias, eps)
		return
	}
	portable.LayerNorm(dst, x, weight, bias, eps)
}

func groupNorm(dst, x, weight, bias []float32, groups int, eps float32) {
	if level != portableLevel && len(x) > 0 && len(x)/groups%4 == 0 {
		neon.GroupNorm(dst, x, weight, bias, groups, eps)
		return
	}
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
	if level != portableLevel {
		neon.QuantizeTile(q, scale, sum, x, cols, t)
		return
	}
	portable.QuantizeTile(q, scale, sum, x, cols, t)
}

func fastPacked() bool { return false }

func tileOf8() bool { return true }

func mulP8(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	switch {
	case level == i8mmLevel && t >= 8:
		neon.MulP8MM(dst, stride, w, ws, q, scale, sum, rows, cols, t)
	case level >= dotprodLevel:
		neon.MulP8Dot(dst, stride, w, ws, q, scale, sum, rows, cols, t)
	case level == neonLevel:
		neon.MulP8(dst, stride, w, ws, q, scale, sum, rows, cols, t)
	default:
		portable.MulP8(dst, stride, w, ws, q, scale, sum, rows, cols, t)
	}
}

func mulP4(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	switch {
	case level >= dotprodLevel:
		neon.MulP4Dot(dst, stride, w, ws, wg, q, scale, sum, rows, cols, t)
	case level == neonLevel:
		neon.MulP4(dst, stride, w, ws, wg, q, scale, sum, rows, cols, t)
	default:
		portable.MulP4(dst, stride, w, ws, wg, q, scale, sum, rows, cols, t)
	}
}

func unpackP4(dst []int8, w, wg []byte, rows, cols int) {
	if level != portableLevel {
		neon.UnpackP4(dst, w, wg, rows, cols)
		return
	}
	portable.UnpackP4(dst, w, wg, rows, cols)
}
