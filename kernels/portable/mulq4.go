package portable

import "encoding/binary"

// MulQ4 multiplies rows in Q4_0 with activations made by QuantizeActs.
//
// Four products per multiplication, X = 2^16. Low and high nibbles of a block are
// summed apart: 16 products of at most 15*127 stay within ±30480, and the three
// lower coefficients, of at most 12 products each, within ±22860; all fit 16 bits.
func MulQ4(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	const group = 4
	var (
		xs [span * group]quads
		dx [span * group]float32
		sx [span * group]int32
	)
	blocks := cols / Block
	for i := 0; i < n; i += group {
		m := min(group, n-i)
		for b := 0; b == 0 || b < blocks; b += span {
			nb := min(span, blocks-b)
			scales(dx[:], sx[:], scale, sum, blocks, i, m, b, nb)
			for v := range m {
				for j := range nb {
					xs[j*m+v].pack((*[Block]int8)(q[((i+v)*blocks+b+j)*Block:]))
				}
			}
			for r := range rows {
				var acc [group]float32
				for v := range m {
					if b > 0 {
						acc[v] = dst[(i+v)*stride+r]
					}
				}
				dotQ4(acc[:m], w[(r*blocks+b)*Q4Bytes:][:nb*Q4Bytes], xs[:nb*m], dx[:], sx[:])
				for v := range m {
					dst[(i+v)*stride+r] = acc[v]
				}
			}
		}
	}
}

// quads holds 32 activations, four to a word. Word 2g holds those at 8g+6, 8g+4,
// 8g+2 and 8g, lowest first; word 2g+1 those at 8g+7, 8g+5, 8g+3 and 8g+1.
type quads [8]uint64

func (p *quads) pack(x *[Block]int8) {
	for g := range 4 {
		y := (*[8]int8)(x[8*g:])
		p[2*g] = uint64(int64(y[6]) + int64(y[4])<<16 + int64(y[2])<<32 + int64(y[0])<<48)
		p[2*g+1] = uint64(int64(y[7]) + int64(y[5])<<16 + int64(y[3])<<32 + int64(y[1])<<48)
	}
}

// dotQ4 adds the products of one row of blocks with len(acc) vectors to acc. xs, dx
// and sx are block-major.
func dotQ4(acc []float32, row []byte, xs []quads, dx []float32, sx []int32) {
	const mask = 0x000f000f000f000f
	const half = 1 << 47
	dx, sx = dx[:len(xs)], sx[:len(xs)]
	k := 0
	for len(row) >= Q4Bytes {
		d := F16ToF32(binary.LittleEndian.Uint16(row))
		a := binary.LittleEndian.Uint64(row[2:])
		b := binary.LittleEndian.Uint64(row[10:])
		row = row[Q4Bytes:]
		a0, a1, a2, a3 := a&mask, a>>8&mask, a>>4&mask, a>>12&mask
		b0, b1, b2, b3 := b&mask, b>>8&mask, b>>4&mask, b>>12&mask
		for v := range acc {
			x := &xs[k]
			lo := a0*x[0] + a1*x[1] + b0*x[2] + b1*x[3]
			hi := a2*x[4] + a3*x[5] + b2*x[6] + b3*x[7]
			s := int32(int64(lo+half)>>48) + int32(int64(hi+half)>>48) - 8*sx[k]
			acc[v] += float32(float32(s) * float32(d*dx[k]))
			k++
		}
	}
}
