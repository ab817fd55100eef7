package weights

import (
	"encoding/binary"
	"math"
)

// Float32 widens the whole tensor into dst, which must have [Tensor.Len]
// elements. F32, F16 and BF16 are exact; other types are an error (package
// quant has the quantised ones).
func (t *Tensor) Float32(dst []float32) error {
	if len(dst) != t.Len() {
		return badItem(t.src.name, tensorItem(t.Name), t.off, "has %d elements, not %d", t.Len(), len(dst))
	}
	return t.Float32At(dst, 0)
}

// Float32At widens elements [first, first+len(dst)) in row-major order, so
// that large tensors can be converted in pieces. Memory use is constant.
func (t *Tensor) Float32At(dst []float32, first int) error {
	if first < 0 || first > t.Len() || len(dst) > t.Len()-first {
		return badItem(t.src.name, tensorItem(t.Name), t.off, "elements %d to %d of %d", first, first+len(dst), t.Len())
	}
	widen := wideners[t.Type]
	if widen == nil {
		return badItem(t.src.name, tensorItem(t.Name), t.off, "type %s does not widen to F32", t.Type)
	}
	es := layouts[t.Type].bytes
	if t.strides == nil {
		widen(dst, t.data[first*es:])
		return nil
	}
	var buf [4096]byte
	for len(dst) > 0 {
		n := min(len(dst), len(buf)/es)
		t.gather(buf[:n*es], first)
		widen(dst[:n], buf[:])
		dst, first = dst[n:], first+n
	}
	return nil
}

// wideners decode len(dst) elements from the start of src, at any alignment.
var wideners = map[DType]func(dst []float32, src []byte){
	F32: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	},
	F16: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = float16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	},
	BF16: func(dst []float32, src []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	},
}

// float16 widens an IEEE 754 binary16.
func float16(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp := uint32(h>>10) & 31
	frac := uint32(h) & 1023
	switch exp {
	case 0: // zero and subnormals: frac * 2^-24, exact in binary32
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	case 31: // infinity and NaN, the payload kept
		return math.Float32frombits(sign | 255<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
