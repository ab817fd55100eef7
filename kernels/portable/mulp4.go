package portable

import "encoding/binary"

// MulP4 multiplies a strip of P4 rows with a tile of activations made by QuantizeTile,
// with the bits of MulP8 on what UnpackP4 makes of the rows.
func MulP4(dst []float32, stride int, w, ws, wg []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	var (
		xs   [PackBlock / 2]uint64
		d    [PackRows]float32
		dots [PackRows]int32
	)
	blocks := (cols + PackBlock - 1) / PackBlock
	for b := range blocks {
		c := b * PackBlock
		n := min(PackBlock, cols-c)
		for v := range t {
			packQuads(xs[:n/2], q[c*t+4*v:], t)
			for r := 0; r < rows; r += PackRows {
				tile := w[(r*cols+c*PackRows)/2:][:n*PackRows/2]
				groups := wg[(r*cols+c*PackRows)/64:][:n*PackRows/64]
				packScales(&d, ws[(r*blocks+b*PackRows)*2:])
				dotP4(&dots, tile, groups, xs[:n/2], sum[c/PackGroup*t+v:], t)
				addBlock(dst[v*stride+r:], &dots, &d, scale[b*t+v], b == 0)
			}
		}
	}
}

// packQuads prepares the activations of one vector, two to a word: of each eight columns
// the words 2+0*X, 3+1*X, 6+4*X and 7+5*X, with X = 2^16.
func packQuads(xs []uint64, q []int8, t int) {
	for i := 0; i < len(xs); i += 2 {
		p := (*[4]int8)(q[2*i*t:])
		xs[i] = uint64(int64(p[2]) + int64(p[0])<<16)
		xs[i+1] = uint64(int64(p[3]) + int64(p[1])<<16)
	}
}

// dotP4 computes four products per multiplication, X = 2^16: the nibbles of columns 0
// and 2 of two rows, a + b*X + c*X² + d*X³, times x2 + x0*X have the wanted sums at X
// and X³. A word of a group sums 16 products of at most 15*127, low and high nibbles
// apart, so that all four fields stay within ±30480.
func dotP4(dots *[PackRows]int32, tile, groups []byte, xs []uint64, sum []int32, t int) {
	const mask = 0x000f000f000f000f
	*dots = [PackRows]int32{}
	for g := 0; len(xs) >= 16; g++ {
		x := (*[16]uint64)(xs)
		xs = xs[16:]
		scales := (*[PackRows]byte)(groups[g/2*PackRows:])
		shift := uint(g & 1 * 4)
		base := 8 * sum[g*t]
		w := tile[g*PackRows*PackGroup/2:][:PackRows*PackGroup/2]
		for r := 0; r < PackRows; r += 2 {
			var lo, hi uint64
			for j := range 4 {
				v := binary.LittleEndian.Uint64(w[64*j+4*r:])
				y := (*[4]uint64)(x[4*j:])
				lo += v & mask * y[0]
				hi += v >> 4 & mask * y[2]
				v >>= 8
				lo += v & mask * y[1]
				hi += v >> 4 & mask * y[3]
			}
			a := int32(int16((lo+1<<15)>>16)) + int32(int16((hi+1<<15)>>16))
			b := int32(int64(lo+1<<47)>>48) + int32(int64(hi+1<<47)>>48)
			dots[r] += int32(scales[r]>>shift&15) * (a - base)
			dots[r+1] += int32(scales[r+1]>>shift&15) * (b - base)
		}
	}
}

// UnpackP4 writes the integer part of P4 rows in P8 order: dst [rows*cols]. With the
// scales of the P4 matrix they are the same matrix.
func UnpackP4(dst []int8, w, wg []byte, rows, cols int) {
	for r := 0; r < rows; r += PackRows {
		for j := range cols / 8 {
			unit := (*[64]byte)(w[r*cols/2+64*j:])
			scales := (*[PackRows]byte)(wg[(r*cols/64 + j/8*PackRows):])
			out := (*[128]int8)(dst[r*cols+128*j:])
			shift := uint(j / 4 & 1 * 4)
			for i, s := range scales {
				g := uint32(s >> shift & 15)
				v := binary.LittleEndian.Uint32(unit[4*i:])
				putBytes(out[4*i:], v&0x0f0f0f0f*g, 0x08080808*g)
				putBytes(out[64+4*i:], v>>4&0x0f0f0f0f*g, 0x08080808*g)
			}
		}
	}
}

// putBytes stores the four differences a-b of bytes; those of b are below 128.
func putBytes(dst []int8, a, b uint32) {
	const high = 0x80808080
	v := ((a | high) - b) ^ (^a & high)
	d := (*[4]int8)(dst)
	d[0], d[1], d[2], d[3] = int8(v), int8(v>>8), int8(v>>16), int8(v>>24)
}
