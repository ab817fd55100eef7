package kernels

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels/portable"
)

// Block is the number of values that share a scale in quantised activations and
// in the Q8_0 and Q4_0 weight formats.
const Block = portable.Block

// checkMul panics unless the slices hold a strip of rows x cols weights of
// rowBytes each and n vectors.
func checkMul(op string, dst []float32, stride int, w []byte, rows, cols, n, rowBytes int) {
	if rows < 0 || cols < 0 || n < 0 || stride < rows {
		panic(fmt.Sprintf("kernels: %s: rows %d, cols %d, n %d, stride %d", op, rows, cols, n, stride))
	}
	if n > 0 && len(dst) < (n-1)*stride+rows {
		panic(fmt.Sprintf("kernels: %s: dst has %d values, want %d", op, len(dst), (n-1)*stride+rows))
	}
	if len(w) != rows*rowBytes {
		panic(fmt.Sprintf("kernels: %s: weights have %d bytes, want %d", op, len(w), rows*rowBytes))
	}
	if race {
		raceRead(w)
		for i := range n {
			raceWrite(dst[i*stride:][:rows])
		}
	}
}

func checkVectors(op string, x []float32, cols, n int) {
	if len(x) != n*cols {
		panic(fmt.Sprintf("kernels: %s: x has %d values, want %d", op, len(x), n*cols))
	}
	if race {
		raceRead(x)
	}
}

// raceActs tells the race detector about activations that are read, or written.
func raceActs(q []int8, scale []float32, sum []int32, write bool) {
	if write {
		raceWrite(q)
		raceWrite(scale)
		raceWrite(sum)
	} else {
		raceRead(q)
		raceRead(scale)
		raceRead(sum)
	}
}

func checkActs(op string, q []int8, scale []float32, sum []int32, cols, n int, write bool) {
	if cols%Block != 0 || len(q) != n*cols || len(scale) != len(q)/Block || len(sum) != len(scale) {
		panic(fmt.Sprintf("kernels: %s: %d activations, %d scales, %d sums for %d vectors of %d", op, len(q), len(scale), len(sum), n, cols))
	}
	if race {
		raceActs(q, scale, sum, write)
	}
}

// MulF32 multiplies a strip of rows of a float32 matrix with n vectors:
//
//	dst[i*stride+r] = Σ_k w[r,k]*x[i,k]     r < rows, i < n
//
// w holds the rows as little-endian bytes of any alignment, x is [n, cols]. dst
// must not overlap x.
//
//go:noinline
func MulF32(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	checkMul("MulF32", dst, stride, w, rows, cols, n, 4*cols)
	checkVectors("MulF32", x, cols, n)
	mulF32(dst, stride, w, x, rows, cols, n)
}

// MulF16 is MulF32 for half-precision weights.
//
//go:noinline
func MulF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	checkMul("MulF16", dst, stride, w, rows, cols, n, 2*cols)
	checkVectors("MulF16", x, cols, n)
	mulF16(dst, stride, w, x, rows, cols, n)
}

// MulBF16 is MulF32 for bfloat16 weights.
//
//go:noinline
func MulBF16(dst []float32, stride int, w []byte, x []float32, rows, cols, n int) {
	checkMul("MulBF16", dst, stride, w, rows, cols, n, 2*cols)
	checkVectors("MulBF16", x, cols, n)
	mulBF16(dst, stride, w, x, rows, cols, n)
}

// MulQ8 multiplies a strip of rows in Q8_0 with n vectors quantised by
// QuantizeActs: dst[i*stride+r] = Σ_b s_b*(dw_b*dx_b), where s_b is the exact
// integer dot product of block b and blocks are added in order.
//
//go:noinline
func MulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	checkMul("MulQ8", dst, stride, w, rows, cols, n, cols/Block*portable.Q8Bytes)
	checkActs("MulQ8", q, scale, sum, cols, n, false)
	mulQ8(dst, stride, w, q, scale, sum, rows, cols, n)
}

// MulQ4 is MulQ8 for rows in Q4_0.
//
//go:noinline
func MulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	checkMul("MulQ4", dst, stride, w, rows, cols, n, cols/Block*portable.Q4Bytes)
	checkActs("MulQ4", q, scale, sum, cols, n, false)
	mulQ4(dst, stride, w, q, scale, sum, rows, cols, n)
}

// QuantizeActs converts activations to int8, 32 values to a scale: per block
// scale = amax/127, q = x*(127/amax) to nearest even, |q| <= 127, sum = Σq. A block
// with an infinity or NaN gets q = 0 and scale = NaN. len(x) = len(q) =
// 32*len(scale) = 32*len(sum).
//
//go:noinline
func QuantizeActs(q []int8, scale []float32, sum []int32, x []float32) {
	checkActs("QuantizeActs", q, scale, sum, len(x), 1, true)
	checkVectors("QuantizeActs", x, len(x), 1)
	quantizeActs(q, scale, sum, x)
}
