package portable

import (
	"encoding/binary"
	"math"
)

// F16ToF32 converts an IEEE 754 half-precision number, exactly. NaN payloads
// keep their upper bits.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	em := uint32(h & 0x7fff)
	switch {
	case em >= 0x7c00: // infinity, NaN
		return math.Float32frombits(sign | 0x7f800000 | em<<13)
	case em < 0x0400: // zero, subnormal: em units of 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(int32(em))*(1.0/(1<<24))))
	}
	return math.Float32frombits(sign | (em<<13 + 112<<23))
}

// F32ToF16 rounds to the nearest half-precision number, ties to even.
// Magnitudes of 65520 and more become infinity; NaN becomes a quiet NaN.
func F32ToF16(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000:
		return sign | 0x7e00
	case b >= 0x477ff000: // 65520 and above
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: the sum's last place is 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-math.Float32bits(0.5))
	}
	b += 0x0fff + b>>13&1
	return sign | uint16(b>>13-112<<10)
}

// BF16ToF32 converts a bfloat16 number, exactly.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds to the nearest bfloat16 number, ties to even. NaN becomes a
// quiet NaN.
func F32ToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// DecodeF32 reads len(dst) little-endian float32 values from src.
func DecodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

// DecodeF16 reads len(dst) little-endian half-precision values from src.
func DecodeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for len(dst) >= 4 && len(src) >= 8 {
		v := binary.LittleEndian.Uint64(src)
		d := (*[4]float32)(dst)
		// Exponents of 0 and 31, in any of the four, take the slow way: adding one
		// unit carries into the sign bit, taking one away borrows from it.
		const unit, sign = 0x0400040004000400, 0x8000800080008000
		e := v &^ sign &^ 0x03ff03ff03ff03ff
		if ((e+unit)|(e-unit))&sign == 0 {
			lo, hi := uint32(v), uint32(v>>32)
			d[0] = normalF16(lo << 16)
			d[1] = normalF16(lo)
			d[2] = normalF16(hi << 16)
			d[3] = normalF16(hi)
		} else {
			d[0] = F16ToF32(uint16(v))
			d[1] = F16ToF32(uint16(v >> 16))
			d[2] = F16ToF32(uint16(v >> 32))
			d[3] = F16ToF32(uint16(v >> 48))
		}
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// normalF16 converts the normal half-precision number in the upper half of h.
func normalF16(h uint32) float32 {
	return math.Float32frombits(uint32(int32(h)>>3)&0x8fffe000 + 112<<23)
}

// DecodeBF16 reads len(dst) little-endian bfloat16 values from src.
func DecodeBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for len(dst) >= 4 && len(src) >= 8 {
		v := binary.LittleEndian.Uint64(src)
		d := (*[4]float32)(dst)
		lo, hi := uint32(v), uint32(v>>32)
		d[0] = math.Float32frombits(lo << 16)
		d[1] = math.Float32frombits(lo &^ 0xffff)
		d[2] = math.Float32frombits(hi << 16)
		d[3] = math.Float32frombits(hi &^ 0xffff)
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}
