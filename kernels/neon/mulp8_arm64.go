package neon

// operands are the arguments of a product: whole row tiles and one tile of activations,
// neither rows nor cols zero.
type operands struct {
	dst        *float32
	stride     int // bytes
	w, ws, wg  *byte
	q          *int8
	scale      *float32
	sum        *int32
	rows, cols int
}

// MulP8 multiplies a strip of P8 rows with a tile of t vectors, t of 1, 2, 3, 4, 8 or 12,
// by SMULL and SMLAL.
func MulP8(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	o := operands{&dst[0], 4 * stride, &w[0], &ws[0], nil, &q[0], &scale[0], &sum[0], rows, cols}
	switch t {
	case 1:
		mulP8x1(&o)
	case 2:
		mulP8x2(&o)
	case 3:
		mulP8x3(&o)
	case 4:
		mulP8x4(&o)
	case 8:
		mulP8x8(&o)
	default:
		mulP8x12(&o)
	}
}

// MulP8Dot is MulP8 by SDOT.
func MulP8Dot(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	o := operands{&dst[0], 4 * stride, &w[0], &ws[0], nil, &q[0], &scale[0], &sum[0], rows, cols}
	switch t {
	case 1:
		mulP8x1Dot(&o)
	case 2:
		mulP8x2Dot(&o)
	case 3:
		mulP8x3Dot(&o)
	case 4:
		mulP8x4Dot(&o)
	case 8:
		mulP8x8Dot(&o)
	default:
		mulP8x12Dot(&o)
	}
}

// MulP8MM is MulP8 for t of 8 and 12 by SMMLA. Smaller tiles would spend what it saves
// on pairing rows and columns.
func MulP8MM(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	o := operands{&dst[0], 4 * stride, &w[0], &ws[0], nil, &q[0], &scale[0], &sum[0], rows, cols}
	if t == 8 {
		mulP8x8MM(&o)
	} else {
		mulP8x12MM(&o)
	}
}
