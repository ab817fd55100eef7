package neon

// MulP4 multiplies a strip of P4 rows with a tile of t vectors, t of 1, 2, 3, 4, 8 or 12,
// by SMULL and SMLAL.
func MulP4(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	o := operands{&dst[0], 4 * stride, &w[0], &ws[0], &wg[0], &q[0], &scale[0], &sum[0], rows, cols}
	switch t {
	case 1:
		mulP4x1(&o)
	case 2:
		mulP4x2(&o)
	case 3:
		mulP4x3(&o)
	case 4:
		mulP4x4(&o)
	case 8:
		mulP4x8(&o)
	default:
		mulP4x12(&o)
	}
}

// MulP4Dot is MulP4 by SDOT.
func MulP4Dot(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	o := operands{&dst[0], 4 * stride, &w[0], &ws[0], &wg[0], &q[0], &scale[0], &sum[0], rows, cols}
	switch t {
	case 1:
		mulP4x1Dot(&o)
	case 2:
		mulP4x2Dot(&o)
	case 3:
		mulP4x3Dot(&o)
	case 4:
		mulP4x4Dot(&o)
	case 8:
		mulP4x8Dot(&o)
	default:
		mulP4x12Dot(&o)
	}
}
