package neon

// MulQ8 multiplies rows in Q8_0, a multiple of 4, with n vectors made by QuantizeActs, by
// SMULL, with the bits of package portable. cols is not zero.
func MulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, rows, cols, n int) {
	blocks, bytes := cols/32, cols/32*34
	for r := 0; r < rows; r += 4 {
		for i := range n {
			mulQ8(&dst[i*stride+r], &w[r*bytes], bytes, &q[i*cols], &scale[i*blocks], blocks)
		}
	}
}

// MulQ8Dot is MulQ8 by SDOT.
func MulQ8Dot(dst []float32, stride int, w []byte, q []int8, scale []float32, rows, cols, n int) {
	blocks, bytes := cols/32, cols/32*34
	for r := 0; r < rows; r += 4 {
		for i := range n {
			mulQ8Dot(&dst[i*stride+r], &w[r*bytes], bytes, &q[i*cols], &scale[i*blocks], blocks)
		}
	}
}

// MulQ4 is MulQ8 for rows in Q4_0.
func MulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	blocks, bytes := cols/32, cols/32*18
	for r := 0; r < rows; r += 4 {
		for i := range n {
			mulQ4(&dst[i*stride+r], &w[r*bytes], bytes, &q[i*cols], &scale[i*blocks], &sum[i*blocks], blocks)
		}
	}
}

// MulQ4Dot is MulQ4 by SDOT.
func MulQ4Dot(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	blocks, bytes := cols/32, cols/32*18
	for r := 0; r < rows; r += 4 {
		for i := range n {
			mulQ4Dot(&dst[i*stride+r], &w[r*bytes], bytes, &q[i*cols], &scale[i*blocks], &sum[i*blocks], blocks)
		}
	}
}

// QuantizeActs converts activations to int8, 32 values to a scale, with the bits of
// package portable.
func QuantizeActs(q []int8, scale []float32, sum []int32, x []float32) {
	if len(scale) > 0 {
		quantizeActs(&q[0], &scale[0], &sum[0], &x[0], len(scale))
	}
}

// mulQ8 multiplies four rows, rowBytes apart, with one vector.
//
//go:noescape
func mulQ8(dst *float32, w *byte, rowBytes int, q *int8, scale *float32, blocks int)

//go:noescape
func mulQ8Dot(dst *float32, w *byte, rowBytes int, q *int8, scale *float32, blocks int)

// mulQ4 multiplies four rows, rowBytes apart, with one vector.
//
//go:noescape
func mulQ4(dst *float32, w *byte, rowBytes int, q *int8, scale *float32, sum *int32, blocks int)

//go:noescape
func mulQ4Dot(dst *float32, w *byte, rowBytes int, q *int8, scale *float32, sum *int32, blocks int)

//go:noescape
func quantizeActs(q *int8, scale *float32, sum *int32, x *float32, blocks int)
