package kernels

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels/portable"
)

// SampleBits is the number of fractional bits of the weights that Resample takes.
const SampleBits = portable.SampleBits

// TapsLen returns the length of the stored form of n weights.
func TapsLen(n int) int { return portable.TapsLen(n) }

// SplitTaps stores weights, whose magnitude is below 2^30, in w as Resample takes them.
// w has TapsLen(len(k)) values.
func SplitTaps(w []int16, k []int32) {
	if len(w) != TapsLen(len(k)) {
		panic(fmt.Sprintf("kernels: SplitTaps: %d values for %d weights", len(w), len(k)))
	}
	portable.SplitTaps(w, k)
}

// Resample sets each of dst to the sum of the n samples below each other in rows of src,
// stride apart, with the weights that SplitTaps stored in w:
//
//	dst[x] = clip8((Σ_j k[j]*src[j*stride+x] + 2^21) >> 22)
//
// With 2^21 added every sum must lie in [-2^30, 2^31), as those of weights do that sum to
// one and whose negative part is no less than -0.25. dst must not overlap src.
//
//go:noinline
func Resample(dst, src []uint8, stride, n int, w []int16) {
	if n < 1 || stride < len(dst) || len(src) < (n-1)*stride+len(dst) || len(w) != TapsLen(n) {
		panic(fmt.Sprintf("kernels: Resample: %d samples of %d rows, %d apart, out of %d, with %d values of weights", len(dst), n, stride, len(src), len(w)))
	}
	if race {
		raceWrite(dst)
		raceRead(w)
		for j := range n {
			raceRead(src[j*stride:][:len(dst)])
		}
	}
	resample(dst, src, stride, n, w)
}

// Transpose turns rows of bytes to columns: dst[c*dstStride+r] = src[r*srcStride+c] for
// r < rows and c < cols. dst must not overlap src.
//
//go:noinline
func Transpose(dst []uint8, dstStride int, src []uint8, srcStride, rows, cols int) {
	if rows < 1 || cols < 1 || dstStride < rows || srcStride < cols ||
		len(dst) < (cols-1)*dstStride+rows || len(src) < (rows-1)*srcStride+cols {
		panic(fmt.Sprintf("kernels: Transpose: %d bytes to %d, %d rows %d apart, %d columns %d apart", len(src), len(dst), rows, srcStride, cols, dstStride))
	}
	if race {
		for r := range rows {
			raceRead(src[r*srcStride:][:cols])
		}
		for c := range cols {
			raceWrite(dst[c*dstStride:][:rows])
		}
	}
	transpose(dst, dstStride, src, srcStride, rows, cols)
}
