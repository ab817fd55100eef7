package avx

// Rows of GGML blocks. Both functions want rows in multiples of 8; every row has the bits
// of package portable.

const (
	block   = 32
	q8Bytes = 2 + block
	q4Bytes = 2 + block/2
)

// MulQ8 multiplies rows in Q8_0 with n vectors. Eight rows serve all of them while they
// are in the nearest cache.
func MulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	blocks := cols / block
	rowBytes := blocks * q8Bytes
	for r := 0; r < rows; r += 8 {
		for i := range n {
			mulQ8(&dst[i*stride+r], &w[r*rowBytes], &q[i*cols], &scale[i*blocks], &sum[i*blocks], rowBytes, blocks)
		}
	}
}

// MulQ4 is MulQ8 for rows in Q4_0.
func MulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	blocks := cols / block
	rowBytes := blocks * q4Bytes
	for r := 0; r < rows; r += 8 {
		for i := range n {
			mulQ4(&dst[i*stride+r], &w[r*rowBytes], &q[i*cols], &scale[i*blocks], &sum[i*blocks], rowBytes, blocks)
		}
	}
}
