package portable

import "encoding/binary"

// Resampling of 8-bit samples in Pillow's arithmetic: a result is the sum of n samples
// with integer weights of SampleBits fractional bits, rounded half up, cut to 0..255:
//
//	dst[x] = clip8((Σ_j k[j]*src[j*stride+x] + 2^21) >> 22)
//
// The samples of a sum lie in rows, stride apart, so that this is the vertical pass of a
// resize. It is the horizontal one too, on rows that were transposed.
//
// Weights are stored in halves k = high<<16 + low, those of two rows together:
//
//	high[j], high[j+1], low[j], low[j+1]      j even; zeros beyond an odd n
//
// which suits multiplications of 16 bits that add pairs, and those by one element of a
// register.

// SampleBits is Pillow's PRECISION_BITS: 32 bits less 8 of the sample and 2 for sign and
// overshoot (src/libImaging/Resample.c).
const SampleBits = 22

// TapsLen returns the length of the stored form of n weights.
func TapsLen(n int) int { return (n + 1) / 2 * 4 }

// SplitTaps stores the weights k, whose magnitude is below 2^30, in w, which has
// TapsLen(len(k)) values.
func SplitTaps(w []int16, k []int32) {
	clear(w)
	for j, v := range k {
		p := w[j/2*4+j%2:]
		p[0], p[2] = int16((v+1<<15)>>16), int16(v)
	}
}

// joinTaps sets k to the weights from the j-th on, j being even.
func joinTaps(k []uint64, w []int16, j int) {
	w = w[2*j:]
	for i := range k {
		p := w[i/2*4+i%2:][:3]
		k[i] = uint64(int64(p[0])<<16 + int64(p[2]))
	}
}

// Resample sums n rows. With 2^21 added a sum lies in [-2^30, 2^31), as those of weights
// do that sum to one and whose negative part is no less than -0.25.
//
// It works on two samples per 64-bit multiply, one in each 32-bit lane. With the bias
// added a sum is positive and below 2^32: borrows between the lanes cancel out by its
// end, whatever order the terms come in, and the lanes can be read apart.
func Resample(dst, src []uint8, stride, n int, w []int16) {
	var all [64]uint64 // of so many rows at a time
	k := all[:min(n, len(all))]
	joinTaps(k, w, 0)
	var last [8]uint8
	for x := 0; x < len(dst); x += 8 {
		sum := [4]uint64{sampleBias, sampleBias, sampleBias, sampleBias}
		for j := 0; j < n; j += len(all) {
			if n > len(all) {
				k = all[:min(n-j, len(all))]
				joinTaps(k, w, j)
			}
			if x+8 <= len(dst) {
				resample8(&sum, src[j*stride+x:], stride, k)
			} else {
				resampleLast(&sum, src[j*stride+x:], stride, k, len(dst)-x)
			}
		}
		out := lanes(sum[0]) | lanes(sum[1])<<8 | lanes(sum[2])<<16 | lanes(sum[3])<<24
		if x+8 <= len(dst) {
			binary.LittleEndian.PutUint64(dst[x:], out)
			continue
		}
		binary.LittleEndian.PutUint64(last[:], out)
		copy(dst[x:], last[:])
	}
}

// sampleBias is 256 whole steps and the rounding half step, in both lanes.
const sampleBias = (256<<SampleBits | 1<<(SampleBits-1)) * (1<<32 + 1)

// clipSample takes a biased sum, less its fraction, to 8 bits.
var clipSample = func() (t [1 << (32 - SampleBits)]uint8) {
	for i := range t {
		t[i] = uint8(min(max(i-256, 0), 255))
	}
	return t
}()

// lanes gathers both lanes of a sum as bytes 0 and 4.
func lanes(sum uint64) uint64 {
	return uint64(clipSample[sum>>SampleBits&(1<<(32-SampleBits)-1)]) | uint64(clipSample[sum>>(SampleBits+32)])<<32
}

// resample8 adds eight neighbouring samples of len(k) rows: 0 and 4, 1 and 5, 2 and 6, 3
// and 7. It is kept out of line so that the sums stay in registers.
//
//go:noinline
func resample8(sum *[4]uint64, src []uint8, stride int, k []uint64) {
	const mask = 0x000000ff_000000ff
	s0, s1, s2, s3 := sum[0], sum[1], sum[2], sum[3]
	at := 0
	for _, k := range k {
		v := binary.LittleEndian.Uint64(src[at:])
		at += stride
		s0 += v & mask * k
		s1 += v >> 8 & mask * k
		s2 += v >> 16 & mask * k
		s3 += v >> 24 & mask * k
	}
	*sum = [4]uint64{s0, s1, s2, s3}
}

// resampleLast is resample8 for the n samples that are left at the end of a row.
func resampleLast(sum *[4]uint64, src []uint8, stride int, k []uint64, n int) {
	for i, k := range k {
		for x, v := range src[i*stride:][:n] {
			sum[x%4] += uint64(v) << (x / 4 * 32) * k
		}
	}
}

// Transpose sets dst[c*dstStride+r] = src[r*srcStride+c] for r < rows, c < cols.
func Transpose(dst []uint8, dstStride int, src []uint8, srcStride, rows, cols int) {
	r := 0
	for ; r+8 <= rows; r += 8 {
		c := 0
		for ; c+8 <= cols; c += 8 {
			transpose8(dst[c*dstStride+r:], dstStride, src[r*srcStride+c:], srcStride)
		}
		transposeRest(dst[r:], dstStride, src[r*srcStride:], srcStride, 8, c, cols)
	}
	transposeRest(dst[r:], dstStride, src[min(r*srcStride, len(src)):], srcStride, rows-r, 0, cols)
}

// transposeRest transposes the columns from c0 to c1 of few rows.
func transposeRest(dst []uint8, dstStride int, src []uint8, srcStride, rows, c0, c1 int) {
	for c := c0; c < c1; c++ {
		for r := range rows {
			dst[c*dstStride+r] = src[r*srcStride+c]
		}
	}
}

// transpose8 transposes 8 x 8 bytes: quarters of 4 x 4 change places, then of 2 x 2, then
// bytes.
func transpose8(dst []uint8, dstStride int, src []uint8, srcStride int) {
	const m4, m2, m1 = 0x00000000ffffffff, 0x0000ffff0000ffff, 0x00ff00ff00ff00ff
	row := func(i int) uint64 { return binary.LittleEndian.Uint64(src[i*srcStride:]) }
	a0, a4 := exchange(row(0), row(4), 32, m4)
	a1, a5 := exchange(row(1), row(5), 32, m4)
	a2, a6 := exchange(row(2), row(6), 32, m4)
	a3, a7 := exchange(row(3), row(7), 32, m4)
	a0, a2 = exchange(a0, a2, 16, m2)
	a1, a3 = exchange(a1, a3, 16, m2)
	a4, a6 = exchange(a4, a6, 16, m2)
	a5, a7 = exchange(a5, a7, 16, m2)
	a0, a1 = exchange(a0, a1, 8, m1)
	a2, a3 = exchange(a2, a3, 8, m1)
	a4, a5 = exchange(a4, a5, 8, m1)
	a6, a7 = exchange(a6, a7, 8, m1)
	for i, v := range [...]uint64{a0, a1, a2, a3, a4, a5, a6, a7} {
		binary.LittleEndian.PutUint64(dst[i*dstStride:], v)
	}
}

// exchange swaps the upper parts of a with the lower parts of b that mask selects.
func exchange(a, b uint64, shift uint, mask uint64) (uint64, uint64) {
	t := (a>>shift ^ b) & mask
	return a ^ t<<shift, b ^ t
}
