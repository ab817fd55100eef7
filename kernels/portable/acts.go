package portable

import "math"

// QuantizeActs converts activations to int8, one scale per 32 values: for each
// block scale = amax/127 and q = x*(127/amax) rounded to nearest, ties to even.
// q stays within ±127 (never -128), so that pairs of products fit int16 in every
// variant. sum receives Σq of the block, exactly.
//
// A block whose amax is below 2^-100 becomes zero. A block with an infinity or
// NaN gets q = 0 and scale = NaN: every output that depends on it is then NaN
// rather than a plausible number.
func QuantizeActs(q []int8, scale []float32, sum []int32, x []float32) {
	for b := range scale {
		quantizeBlock((*[Block]int8)(q[b*Block:]), &scale[b], &sum[b], (*[Block]float32)(x[b*Block:]))
	}
}

func quantizeBlock(q *[Block]int8, scale *float32, sum *int32, x *[Block]float32) {
	// Magnitudes order like their bits, and NaN above infinity.
	var top uint32
	for _, v := range x {
		top = max(top, math.Float32bits(v)&0x7fffffff)
	}
	amax := math.Float32frombits(top)
	if top >= 0x7f800000 || amax < 0x1p-100 {
		*q = [Block]int8{}
		*sum = 0
		*scale = 0
		if top >= 0x7f800000 {
			*scale = float32(math.NaN())
		}
		return
	}
	*scale = amax / 127
	inv := 127 / amax
	// Adding 1.5*2^23 leaves the value, rounded to an integer, in the low bits.
	const magic = 3 << 22
	var s int32
	for i, v := range x {
		n := int32(math.Float32bits(float32(v*inv)+magic)) - 0x4b400000
		q[i] = int8(n)
		s += n
	}
	*sum = s
}
