package neon

// QuantizeTile converts t vectors to a tile of int8 activations, with the bits of package
// portable. cols is a multiple of 64, not zero.
func QuantizeTile(q []int8, scale []float32, sum []int32, x []float32, cols, t int) {
	for v := range t {
		quantizeRow(&q[4*v], &scale[v], &sum[v], &x[v*cols], cols, t)
	}
}

// UnpackP4 writes the integer part of P4 rows in P8 order; neither rows nor cols is zero.
// Row tiles and pairs of groups follow each other without gaps in all three.
func UnpackP4(dst []int8, w, wg []byte, rows, cols int) {
	unpackP4(&dst[0], &w[0], &wg[0], rows*cols/1024)
}

// quantizeRow converts one vector of cols values to its place in a tile of t.
//
//go:noescape
func quantizeRow(q *int8, scale *float32, sum *int32, x *float32, cols, t int)

// unpackP4 unpacks pairs of groups of 16 rows.
//
//go:noescape
func unpackP4(dst *int8, w, wg *byte, pairs int)
