package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/visualrwkv/edged/kernels"
)

// Quantize writes src to dst in format t. For the block formats len(src) must be
// a multiple of 32; dst must have exactly the bytes. Half formats round to
// nearest even; Q8_0 and Q4_0 give the bytes of GGML's reference functions.
//
// The block formats refuse values that are not finite, and values so large that
// the half-precision scale overflows: GGML's result is undefined there.
func Quantize(t Type, dst []byte, src []float32) error {
	if err := checkLen(t, len(src), dst); err != nil {
		return err
	}
	switch t {
	case F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case F16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], kernels.F32ToF16(v))
		}
	case BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], kernels.F32ToBF16(v))
		}
	default:
		block, size := quantizeQ8, kernels.Q8Bytes
		if t == Q4_0 {
			block, size = quantizeQ4, kernels.Q4Bytes
		}
		for i := 0; i < len(src); i += kernels.Block {
			if err := block(dst[:size], src[i:i+kernels.Block]); err != nil {
				return fmt.Errorf("values %d to %d: %w", i, i+kernels.Block-1, err)
			}
			dst = dst[size:]
		}
	}
	return nil
}

// Dequantize expands src, in format t, to exactly len(dst) values.
func Dequantize(t Type, dst []float32, src []byte) error {
	if err := checkLen(t, len(dst), src); err != nil {
		return err
	}
	decode(t, dst, src)
	return nil
}

func checkLen(t Type, values int, b []byte) error {
	want, err := t.RowBytes(values)
	if err != nil {
		return err
	}
	if len(b) != want {
		return fmt.Errorf("%d values in %v need %d bytes, have %d", values, t, want, len(b))
	}
	return nil
}

// decode is Dequantize for lengths already known to match.
func decode(t Type, dst []float32, src []byte) {
	switch t {
	case F32:
		kernels.DecodeF32(dst, src)
	case F16:
		kernels.DecodeF16(dst, src)
	case BF16:
		kernels.DecodeBF16(dst, src)
	case Q8_0:
		kernels.DecodeQ8(dst, src)
	case Q4_0:
		kernels.DecodeQ4(dst, src)
	}
}

// peak returns the first value of the largest magnitude.
func peak(x []float32) (float32, error) {
	var m float32
	for _, v := range x {
		if v-v != 0 {
			return 0, fmt.Errorf("%v cannot be quantised", v)
		}
		if abs(v) > abs(m) {
			m = v
		}
	}
	return m, nil
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// putScale stores d and returns 1/d: zero for d = 0, and also where 1/d
// overflows, which stores a zero scale and makes every quant irrelevant.
func putScale(dst []byte, d float32) (float32, error) {
	h := kernels.F32ToF16(d)
	if h&0x7fff >= 0x7c00 {
		return 0, fmt.Errorf("scale %v overflows half precision", d)
	}
	binary.LittleEndian.PutUint16(dst, h)
	if id := 1 / d; abs(id) <= math.MaxFloat32 {
		return id, nil
	}
	return 0, nil
}

func quantizeQ8(dst []byte, x []float32) error {
	m, err := peak(x)
	if err != nil {
		return err
	}
	id, err := putScale(dst, abs(m)/127)
	if err != nil {
		return err
	}
	for i, v := range x {
		// roundf: halves away from zero, exact in float64.
		dst[2+i] = byte(int8(math.Round(float64(v * id))))
	}
	return nil
}

func quantizeQ4(dst []byte, x []float32) error {
	m, err := peak(x)
	if err != nil {
		return err
	}
	id, err := putScale(dst, m/-8)
	if err != nil {
		return err
	}
	// The value of largest magnitude becomes -8; its mirror image would be 16 and
	// is cut to 15. The conversion truncates, which rounds a positive sum.
	half := len(x) / 2
	for i := range half {
		lo := min(15, int8(float32(x[i]*id)+8.5))
		hi := min(15, int8(float32(x[half+i]*id)+8.5))
		dst[2+i] = byte(lo) | byte(hi)<<4
	}
	return nil
}
