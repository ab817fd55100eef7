package portable

import "math"

// Packed matrices. A matrix [rows, cols] is cut into row tiles of PackRows rows, each
// stored whole before the next; rows is a multiple of PackRows, cols of 2*PackGroup.
// Inside a row tile columns come in order, a few of all 16 rows at a time:
//
//	P8  units of 4 columns   [cols/4][16 rows][4]int8
//	P4  units of 8 columns   [cols/8][16 rows][4]byte: byte b holds column b of the
//	                         unit in its low nibble and column 4+b in its high one
//
// PackBlock columns of a row, fewer at its end, share a half-precision scale:
// [blocks][16]. In P4 each PackGroup of them also has an integer 0..15:
// [cols/64][16]byte, the even group of a pair in the low nibble. The weight is scale*q
// in P8 and scale*group*(nibble-8) in P4; the integer part of both fits an int8, which
// makes every P4 matrix a P8 matrix too (UnpackP4).
//
// Activations come in tiles of t vectors, four columns of each at a time:
//
//	q [cols/4][t][4]int8    scale [blocks][t]float32    sum [cols/32][t]int32
//
// with sum the Σq of a group. Products are per row and vector
//
//	y = Σ_b float32(i_b) * (dw_b*dx_b)      b in order
//
// with i_b the exact integer dot product of block b, every operation rounded to float32.
const (
	PackRows  = 16
	PackBlock = 256
	PackGroup = 32
)

// QuantizeTile converts t vectors, x [t, cols], to a tile of int8 activations: per block
// scale = amax/127 and q = x*(127/amax) rounded to nearest, ties to even; |q| <= 127.
//
// A block whose amax is below 2^-100 becomes zero. A block with an infinity or NaN gets
// q = 0 and scale = NaN: every output that depends on it is then NaN.
func QuantizeTile(q []int8, scale []float32, sum []int32, x []float32, cols, t int) {
	for v := range t {
		row := x[v*cols:][:cols]
		for b := 0; len(row) > 0; b++ {
			n := min(PackBlock, len(row))
			scale[b*t+v] = quantizePack(q[(b*PackBlock*t+4*v):], sum[b*(PackBlock/PackGroup)*t+v:], row[:n], t)
			row = row[n:]
		}
	}
}

// quantizePack converts one block of one vector and returns its scale. q and sum begin
// at the vector's first value in the tile.
func quantizePack(q []int8, sum []int32, x []float32, t int) float32 {
	// Magnitudes order like their bits, and NaN above infinity.
	var top uint32
	for _, v := range x {
		top = max(top, math.Float32bits(v)&0x7fffffff)
	}
	amax := math.Float32frombits(top)
	scale, inv := float32(0), float32(0)
	switch {
	case top >= 0x7f800000:
		scale = float32(math.NaN())
	case amax >= 0x1p-100:
		scale, inv = amax/127, 127/amax
	}
	// Adding 1.5*2^23 leaves the value, rounded to an integer, in the low bits.
	const magic = 3 << 22
	for g := 0; g < len(x); g += PackGroup {
		var s int32
		for c := g; c < g+PackGroup; c += 4 {
			out, in := (*[4]int8)(q[c*t:]), (*[4]float32)(x[c:])
			for k, v := range in {
				n := int32(0)
				if inv != 0 {
					n = int32(math.Float32bits(float32(v*inv)+magic)) - 0x4b400000
				}
				out[k] = int8(n)
				s += n
			}
		}
		sum[g/PackGroup*t] = s
	}
	return scale
}

// packScales expands the scales of one block of one row tile.
func packScales(d *[PackRows]float32, ws []byte) {
	for r := range d {
		d[r] = F16ToF32(uint16(ws[2*r]) | uint16(ws[2*r+1])<<8)
	}
}

// addBlock adds the integer dot products of one block to dst, a column of a result, or
// sets it when the block is the first.
func addBlock(dst []float32, dots *[PackRows]int32, d *[PackRows]float32, dx float32, first bool) {
	y := (*[PackRows]float32)(dst)
	if first {
		*y = [PackRows]float32{}
	}
	for r, i := range dots {
		y[r] += float32(float32(i) * float32(d[r]*dx))
	}
}
