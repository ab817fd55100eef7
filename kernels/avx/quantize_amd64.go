package avx

// QuantizeTile converts t vectors, x [t, cols], to a tile of int8 activations.
func QuantizeTile(q []int8, scale []float32, sum []int32, x []float32, cols, t int) {
	for v := range t {
		quantizeRow(&q[4*v], &scale[v], &sum[v], &x[v*cols], cols, 4*t)
	}
}
