package portable

import "encoding/binary"

// MulQ8 multiplies rows in Q8_0 with activations made by QuantizeActs. From three
// vectors on, one multiplication serves three of them; the rest go one by one.
func MulQ8(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int) {
	i := 0
	for ; i+3 <= n; i += 3 {
		mulQ8x3(dst[i*stride:], stride, w, q[i*cols:], scale[i*cols/Block:], rows, cols)
	}
	for ; i < n; i++ {
		mulQ8x1(dst[i*stride:], w, q[i*cols:], scale[i*cols/Block:], sum[i*cols/Block:], rows, cols)
	}
}

// mulQ8x1 computes two products per multiplication, X = 2^32, with 128 added to the
// weights: 32 products of at most 255*127 stay far below 2^31.
func mulQ8x1(dst []float32, w []byte, q []int8, scale []float32, sum []int32, rows, cols int) {
	var xs [span]pairs
	blocks := cols / Block
	for b := 0; b == 0 || b < blocks; b += span {
		nb := min(span, blocks-b)
		for j := range nb {
			xs[j].pack((*[Block]int8)(q[(b+j)*Block:]))
		}
		for r := range rows {
			var acc float32
			if b > 0 {
				acc = dst[r]
			}
			dst[r] = dotQ8(acc, w[(r*blocks+b)*Q8Bytes:][:nb*Q8Bytes], xs[:nb], scale[b:], sum[b:])
		}
	}
}

// pairs holds 32 activations, two to a word: word 4g+j those at 8g+j+4 and, above
// it, 8g+j.
type pairs [16]uint64

func (p *pairs) pack(x *[Block]int8) {
	for g := range 4 {
		y := (*[8]int8)(x[8*g:])
		for j := range 4 {
			p[4*g+j] = uint64(int64(y[j+4]) + int64(y[j])<<32)
		}
	}
}

func dotQ8(acc float32, row []byte, xs []pairs, dx []float32, sx []int32) float32 {
	const mask = 0x000000ff000000ff
	const bias = 0x8080808080808080
	dx, sx = dx[:len(xs)], sx[:len(xs)]
	for k := range xs {
		b := (*[Q8Bytes]byte)(row)
		row = row[Q8Bytes:]
		var s, t uint64 // t is 2^8 times its sum: its bytes need no shift
		for g := range 4 {
			x := (*[4]uint64)(xs[k][4*g:])
			v := binary.LittleEndian.Uint64(b[2+8*g:]) ^ bias
			s += v & mask * x[0]
			t += v & (mask << 8) * x[1]
			v >>= 16
			s += v & mask * x[2]
			t += v & (mask << 8) * x[3]
		}
		n := int32(int64(s+1<<31)>>32) + int32(int64(t+1<<39)>>40) - 128*sx[k]
		d := F16ToF32(binary.LittleEndian.Uint16(b[:]))
		acc += float32(float32(n) * float32(d*dx[k]))
	}
	return acc
}

// mulQ8x3 multiplies three vectors, one weight with all three at a time: the word
// x0 + x1*2^21 + x2*2^42 times w holds three products, and 32 of them, of at most
// 128*127 each, sum to less than 2^20 in each field.
func mulQ8x3(dst []float32, stride int, w []byte, q []int8, scale []float32, rows, cols int) {
	var xs [span]triples
	blocks := cols / Block
	d0, d1, d2 := dst[:rows], dst[stride:][:rows], dst[2*stride:][:rows]
	for b := 0; b == 0 || b < blocks; b += span {
		nb := min(span, blocks-b)
		for j := range nb {
			o := (b + j) * Block
			xs[j].pack((*[Block]int8)(q[o:]), (*[Block]int8)(q[cols+o:]), (*[Block]int8)(q[2*cols+o:]))
		}
		for r := range rows {
			var acc [3]float32
			if b > 0 {
				acc = [3]float32{d0[r], d1[r], d2[r]}
			}
			dotQ8x3(&acc, w[(r*blocks+b)*Q8Bytes:][:nb*Q8Bytes], xs[:nb], scale[b:], scale[blocks+b:], scale[2*blocks+b:])
			d0[r], d1[r], d2[r] = acc[0], acc[1], acc[2]
		}
	}
}

// triples holds one block of three vectors.
type triples [Block]int64

func (p *triples) pack(x, y, z *[Block]int8) {
	for k := range p {
		p[k] = int64(x[k]) + int64(y[k])<<21 + int64(z[k])<<42
	}
}

func dotQ8x3(acc *[3]float32, row []byte, xs []triples, d0, d1, d2 []float32) {
	d0, d1, d2 = d0[:len(xs)], d1[:len(xs)], d2[:len(xs)]
	a0, a1, a2 := acc[0], acc[1], acc[2]
	for k := range xs {
		x := &xs[k]
		b := (*[Q8Bytes]byte)(row)
		row = row[Q8Bytes:]
		d := F16ToF32(binary.LittleEndian.Uint16(b[:]))
		var s, t int64
		for j := 0; j < Block; j += 8 {
			u := (*[8]int64)(x[j:])
			v := binary.LittleEndian.Uint64(b[2+j:])
			s += int64(int8(v))*u[0] + int64(int8(v>>8))*u[1] + int64(int8(v>>16))*u[2] + int64(int8(v>>24))*u[3]
			t += int64(int8(v>>32))*u[4] + int64(int8(v>>40))*u[5] + int64(int8(v>>48))*u[6] + int64(v)>>56*u[7]
		}
		s += t
		n0 := s << 43 >> 43
		s = (s - n0) >> 21
		n1 := s << 43 >> 43
		n2 := (s - n1) >> 21
		a0 += float32(float32(int32(n0)) * float32(d*d0[k]))
		a1 += float32(float32(int32(n1)) * float32(d*d1[k]))
		a2 += float32(float32(int32(n2)) * float32(d*d2[k]))
	}
	*acc = [3]float32{a0, a1, a2}
}
