package portable

import "encoding/binary"

// MulP8 multiplies a strip of P8 rows with a tile of activations made by QuantizeTile:
// dst[i*stride+r] for r < rows, i < t. From three vectors on, one multiplication serves
// three of them; the rest go one by one.
func MulP8(dst []float32, stride int, w, ws []byte, q []int8, scale []float32, sum []int32, rows, cols, t int) {
	var (
		xs   [PackBlock]int64
		d    [PackRows]float32
		dots [3][PackRows]int32
	)
	blocks := (cols + PackBlock - 1) / PackBlock
	for b := range blocks {
		c := b * PackBlock
		n := min(PackBlock, cols-c)
		for v := 0; v < t; {
			m := 1
			if v+3 <= t {
				m = 3
			}
			packActs(xs[:n], q[c*t+4*v:], t, m)
			bias := 128 * blockSum(sum, c/PackGroup, n/PackGroup, t, v)
			for r := 0; r < rows; r += PackRows {
				tile := w[r*cols+c*PackRows:][:n*PackRows]
				packScales(&d, ws[(r*blocks+b*PackRows)*2:])
				if m == 3 {
					dotP8x3(&dots, tile, xs[:n])
				} else {
					dotP8(&dots[0], tile, xs[:n], bias)
				}
				for i := range m {
					addBlock(dst[(v+i)*stride+r:], &dots[i], &d, scale[b*t+v+i], b == 0)
				}
			}
			v += m
		}
	}
}

// blockSum returns Σq of n groups from group g of vector v.
func blockSum(sum []int32, g, n, t, v int) (s int32) {
	for i := range n {
		s += sum[(g+i)*t+v]
	}
	return s
}

// packActs widens the activations of one vector, or of three to x0 + x1*2^21 + x2*2^42.
// q begins at the first of them in the tile.
func packActs(xs []int64, q []int8, t, m int) {
	for c := 0; c < len(xs); c += 4 {
		p := q[c*t:]
		for k := range 4 {
			x := int64(p[k])
			if m == 3 {
				x += int64(p[4+k])<<21 + int64(p[8+k])<<42
			}
			xs[c+k] = x
		}
	}
}

// dotP8 computes the products of two rows in one multiplication, X = 2^32, with 128
// added to the weights: 256 products of at most 255*127 stay far below 2^31, and the
// 128 of them in t, which holds 2^8 times its sum since its bytes need no shift, below
// 2^23. bias is 128*Σx.
func dotP8(dots *[PackRows]int32, tile []byte, xs []int64, bias int32) {
	const mask = 0x000000ff000000ff
	const flip = 0x8080808080808080
	for r := 0; r < PackRows; r += 4 {
		var s0, t0, s1, t1 uint64
		w := tile[4*r:]
		for c := 0; c+4 <= len(xs); c += 4 {
			p, x := (*[16]byte)(w[c*PackRows:]), (*[4]int64)(xs[c:])
			x0, x1, x2, x3 := uint64(x[0]), uint64(x[1]), uint64(x[2]), uint64(x[3])
			v := binary.LittleEndian.Uint64(p[:]) ^ flip
			s0 += v & mask * x0
			t0 += v & (mask << 8) * x1
			v >>= 16
			s0 += v & mask * x2
			t0 += v & (mask << 8) * x3
			v = binary.LittleEndian.Uint64(p[8:]) ^ flip
			s1 += v & mask * x0
			t1 += v & (mask << 8) * x1
			v >>= 16
			s1 += v & mask * x2
			t1 += v & (mask << 8) * x3
		}
		dots[r] = int32(s0) + int32(t0)>>8 - bias
		dots[r+1] = int32(int64(s0+1<<31)>>32) + int32(int64(t0+1<<31)>>40) - bias
		dots[r+2] = int32(s1) + int32(t1)>>8 - bias
		dots[r+3] = int32(int64(s1+1<<31)>>32) + int32(int64(t1+1<<31)>>40) - bias
	}
}

// dotP8x3 computes the products with three vectors in one multiplication: 64 products
// of at most 128*127 sum to less than 2^20 in each field.
func dotP8x3(dots *[3][PackRows]int32, tile []byte, xs []int64) {
	for r := range PackRows {
		var d0, d1, d2 int64
		w := tile[4*r:]
		for c := 0; c+64 <= len(xs); c += 64 {
			var s, t int64
			x64, w64 := (*[64]int64)(xs[c:]), w[c*PackRows:]
			for k := 0; k < 64; k += 4 {
				x := (*[4]int64)(x64[k:])
				v := binary.LittleEndian.Uint32(w64[k*PackRows:])
				s += int64(int8(v))*x[0] + int64(int8(v>>8))*x[1]
				t += int64(int8(v>>16))*x[2] + int64(int32(v)>>24)*x[3]
			}
			s += t
			n0 := s << 43 >> 43
			s = (s - n0) >> 21
			n1 := s << 43 >> 43
			d0, d1, d2 = d0+n0, d1+n1, d2+(s-n1)>>21
		}
		dots[0][r], dots[1][r], dots[2][r] = int32(d0), int32(d1), int32(d2)
	}
}
