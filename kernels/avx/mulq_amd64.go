package avx

// Rows of GGML blocks. Both functions want rows in multiples of 8; every row has the bits
// of package portable.

const (
	block   = 32
	q8Bytes = 2 + block
	q4Bytes = 2 + block/2
)

// span is the number of blocks of eight rows that are prepared at a time. With the
// activations of four vectors they stay in the nearest cache.
const span = 32

// blocks8 is a block of eight rows, prepared for mulBlocks4: for each four columns 32 bytes
// |w|, a row to a dword, and 32 bytes of -1 where w < 0; eight float32 scales; eight int32
// sums of the negative weights.
type blocks8 [8*64 + 32 + 32]byte

// MulQ8 multiplies rows in Q8_0 with n vectors: four at a time, then one by one.
func MulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	blocks := cols / block
	rowBytes := blocks * q8Bytes
	done := mulFours(dst, stride, w, q, scale, rows, cols, n, q8Bytes)
	for r := 0; r < rows; r += 8 {
		for i := done; i < n; i++ {
			mulQ8(&dst[i*stride+r], &w[r*rowBytes], &q[i*cols], &scale[i*blocks], &sum[i*blocks], rowBytes, blocks)
		}
	}
}

// MulQ4 is MulQ8 for rows in Q4_0.
func MulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	blocks := cols / block
	rowBytes := blocks * q4Bytes
	done := mulFours(dst, stride, w, q, scale, rows, cols, n, q4Bytes)
	for r := 0; r < rows; r += 8 {
		for i := done; i < n; i++ {
			mulQ4(&dst[i*stride+r], &w[r*rowBytes], &q[i*cols], &scale[i*blocks], &sum[i*blocks], rowBytes, blocks)
		}
	}
}

// mulFours multiplies rows of blocks of so many bytes with as many vectors as make fours,
// and returns their number. Blocks are prepared once for all of them.
func mulFours(dst []float32, stride int, w []byte, q []int8, scale []float32, rows, cols, n, bytes int) int {
	n &^= 3
	if n == 0 {
		return 0
	}
	var space [span]blocks8
	blocks := cols / block
	for r := 0; r < rows; r += 8 {
		for i := range n {
			clear(dst[i*stride+r:][:8])
		}
		for b := 0; b < blocks; b += span {
			m := min(span, blocks-b)
			at := &w[(r*blocks+b)*bytes]
			if bytes == q8Bytes {
				unpackQ8(&space[0], at, blocks*bytes, m)
			} else {
				unpackQ4(&space[0], at, blocks*bytes, m)
			}
			for i := 0; i < n; i += 4 {
				mulBlocks4(&dst[i*stride+r], 4*stride, &space[0], &q[i*cols+b*block], &scale[i*blocks+b], cols, m)
			}
		}
	}
	return n
}
