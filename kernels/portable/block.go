package portable

import "encoding/binary"

// Block layouts of GGML. Both cover 32 consecutive values of one row and begin
// with a little-endian half-precision scale d.
//
//	Q8_0  d, then 32 int8 q:        value i = d*q[i]
//	Q4_0  d, then 16 bytes b:       value i = d*(b[i]&15 - 8), value 16+i = d*(b[i]>>4 - 8)
const (
	Block   = 32
	Q8Bytes = 2 + Block
	Q4Bytes = 2 + Block/2
)

// DecodeQ8 expands len(dst)/32 blocks of Q8_0.
func DecodeQ8(dst []float32, src []byte) {
	for len(dst) >= Block {
		b := src[:Q8Bytes]
		d := F16ToF32(binary.LittleEndian.Uint16(b))
		for i, q := range b[2:] {
			dst[i] = float32(int8(q)) * d
		}
		dst, src = dst[Block:], src[Q8Bytes:]
	}
}

// DecodeQ4 expands len(dst)/32 blocks of Q4_0.
func DecodeQ4(dst []float32, src []byte) {
	for len(dst) >= Block {
		b := src[:Q4Bytes]
		d := F16ToF32(binary.LittleEndian.Uint16(b))
		for i, q := range b[2:] {
			dst[i] = float32(int(q&15)-8) * d
			dst[i+Block/2] = float32(int(q>>4)-8) * d
		}
		dst, src = dst[Block:], src[Q4Bytes:]
	}
}
