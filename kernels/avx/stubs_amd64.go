package avx

// quantizeRow converts one vector of a tile. q, scale and sum begin at the vector's first
// value, pitch is 4*t, in bytes the distance to the next of each. cols is a positive
// multiple of 64.
//
//go:noescape
func quantizeRow(q *int8, scale *float32, sum *int32, x *float32, cols, pitch int)

// unpackP4 unpacks pairs of groups of a row tile: 512 bytes of w, 16 of wg and 1024 of dst
// each.
//
//go:noescape
func unpackP4(dst *int8, w, wg *byte, pairs int)

// bonus4 sets y[t*pitch] to Σ r*u*k over size channels, in order, for four tokens of a
// head: those of r, k and y begin pitch bytes apart. bonus1 does one.
//
//go:noescape
func bonus4(y, r, k, u *float32, size, pitch int)

//go:noescape
func bonus1(y, r, k, u *float32, size int)

// wkv6Head advances one head by one token; y[0] holds the sum made by bonus4 or bonus1.
// size is a positive multiple of 32.
//
//go:noescape
func wkv6Head(y, state, r, k, v, w *float32, size int)

//go:noescape
func wkv6Head512(y, state, r, k, v, w *float32, size int)

// wkv7Head advances one head by one token; y holds what kappa reads of the state before,
// made by addRows. size is a positive multiple of 32.
//
//go:noescape
func wkv7Head(y, state, r, k, v, w, kappa, a *float32, size int)

//go:noescape
func wkv7Head512(y, state, r, k, v, w, kappa, a *float32, size int)

// addRows sets dst[j] = Σ_i x[i]*rows[i*stride/4+j] for i < n, in order, from 0. stride is
// in bytes; cols is a multiple of 8.
//
//go:noescape
func addRows(dst, rows, x *float32, n, stride, cols int)

//go:noescape
func addRows512(dst, rows, x *float32, n, stride, cols int)

// addRows4 is addRows for four vectors; cols is at least 16, n not 0. dstStride and xStride
// are in bytes.
//
//go:noescape
func addRows4(dst, rows, x *float32, n, stride, cols, dstStride, xStride int)

// streamRows is addRows for large matrices, rows first; n and cols are not 0.
//
//go:noescape
func streamRows(dst, rows, x *float32, n, stride, cols int)

// streamHalfRows is streamRows for rows in half precision.
//
//go:noescape
func streamHalfRows(dst *float32, rows *byte, x *float32, n, stride, cols int)

// halfRows4 is streamHalfRows for four vectors; cols is a multiple of 8. dstStride and
// xStride are in bytes.
//
//go:noescape
func halfRows4(dst *float32, rows *byte, x *float32, n, stride, cols, dstStride, xStride int)

//go:noescape
func halfRows4x512(dst *float32, rows *byte, x *float32, n, stride, cols, dstStride, xStride int)

// Exp and the functions after it set dst = f(x), with the bits of package portable. The
// length is a multiple of 8. dst may be x.
//
//go:noescape
func Exp(dst, x []float32)

//go:noescape
func Sigmoid(dst, x []float32)

//go:noescape
func SiLU(dst, x []float32)

//go:noescape
func QuickGELU(dst, x []float32)

//go:noescape
func GELUTanh(dst, x []float32)

//go:noescape
func Tanh(dst, x []float32)

//go:noescape
func GELU(dst, x []float32)

//go:noescape
func Decay(dst, x []float32)

//go:noescape
func Exp512(dst, x []float32)

//go:noescape
func Sigmoid512(dst, x []float32)

//go:noescape
func SiLU512(dst, x []float32)

//go:noescape
func QuickGELU512(dst, x []float32)

//go:noescape
func GELUTanh512(dst, x []float32)

//go:noescape
func Tanh512(dst, x []float32)

//go:noescape
func GELU512(dst, x []float32)

//go:noescape
func Decay512(dst, x []float32)

// expSum replaces x by e^(x-m) and returns the sum, four or eight partial sums added at
// the end. n is a positive multiple of 8.
//
//go:noescape
func expSum(x *float32, n int, m float32) float64

//go:noescape
func expSum512(x *float32, n int, m float32) float64

// Add and the functions after it are elementwise, with the bits of package portable.
// Lengths are equal and a multiple of 8. dst may be an input.
//
//go:noescape
func Add(dst, a, b []float32)

//go:noescape
func Mul(dst, a, b []float32)

//go:noescape
func AddMul(dst, a, b []float32)

//go:noescape
func Lerp(dst, x, prev, mu []float32)

//go:noescape
func LerpAdd(dst, x, prev, mu, eps []float32)

//go:noescape
func Blend(dst, y, p, gate []float32)

//go:noescape
func ReLU(dst, x []float32)

//go:noescape
func SquaredReLU(dst, x []float32)

// layerNorm normalises n values, a positive multiple of 8. Sums are taken in float64, as
// eight partial sums. dst may be x.
//
//go:noescape
func layerNorm(dst, x, weight, bias *float32, n int, eps float32)

// maxOf returns the largest of n values, a positive multiple of 8; a NaN is passed over.
//
//go:noescape
func maxOf(x *float32, n int) float32

// multiply scales n values, a positive multiple of 8.
//
//go:noescape
func multiply(x *float32, n int, s float32)

// scores4, scores8 and their like set scores[i*scoresStride+j] = scale*Σ_d q[i]*k[j], the
// sum in order, for as many queries as the name says. scoresStride and qStride are in
// bytes, kStride in values; keys and dim are positive, 15 times kStride fits an int32.
//
//go:noescape
func scores4(scores, q, k *float32, scoresStride, qStride, kStride, keys, dim int, scale float32)

// scores8 wants at least eight keys.
//
//go:noescape
func scores8(scores, q, k *float32, scoresStride, qStride, kStride, keys, dim int, scale float32)

//go:noescape
func scores4x512(scores, q, k *float32, scoresStride, qStride, kStride, keys, dim int, scale float32)

//go:noescape
func scores16x512(scores, q, k *float32, scoresStride, qStride, kStride, keys, dim int, scale float32)

// mulQ8 and mulQ4 multiply eight rows of a positive number of blocks with one vector.
//
//go:noescape
func mulQ8(dst *float32, w *byte, q *int8, scale *float32, sum *int32, rowBytes, blocks int)

//go:noescape
func mulQ4(dst *float32, w *byte, q *int8, scale *float32, sum *int32, rowBytes, blocks int)

// unpackQ8 prepares blocks of eight rows that begin rowBytes apart.
//
//go:noescape
func unpackQ8(dst *blocks8, w *byte, rowBytes, blocks int)

//go:noescape
func unpackQ4(dst *blocks8, w *byte, rowBytes, blocks int)

// mulBlocks4 adds the products of prepared blocks with four vectors to dst; they begin cols
// values apart in q, stride bytes apart in dst.
//
//go:noescape
func mulBlocks4(dst *float32, stride int, w *blocks8, q *int8, scale *float32, cols, blocks int)

// mulF32, mulF16 and mulBF16 multiply four rows with one vector; cols is a positive
// multiple of 16.
//
//go:noescape
func mulF32(dst *float32, w *byte, x *float32, rowBytes, cols int)

//go:noescape
func mulF16(dst *float32, w *byte, x *float32, rowBytes, cols int)

//go:noescape
func mulBF16(dst *float32, w *byte, x *float32, rowBytes, cols int)

// mulF32x3, mulF16x3 and mulBF16x3 multiply two rows with three vectors. Vectors begin
// stride bytes apart in dst.
//
//go:noescape
func mulF32x3(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)

//go:noescape
func mulF16x3(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)

//go:noescape
func mulBF16x3(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)

// mulF32x6r4x512, mulF16x6r4x512 and mulBF16x6r4x512 multiply four rows with six vectors.
//
//go:noescape
func mulF32x6r4x512(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)

//go:noescape
func mulF16x6r4x512(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)

//go:noescape
func mulBF16x6r4x512(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)
