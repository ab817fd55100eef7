package kernels

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels/portable"
)

// Bytes of one block of 32 values in the GGML formats.
const (
	Q8Bytes = portable.Q8Bytes
	Q4Bytes = portable.Q4Bytes
)

// F16ToF32 converts a half-precision number, exactly.
func F16ToF32(h uint16) float32 { return portable.F16ToF32(h) }

// F32ToF16 rounds to the nearest half-precision number, ties to even; 65520 and
// above become infinity.
func F32ToF16(f float32) uint16 { return portable.F32ToF16(f) }

// BF16ToF32 converts a bfloat16 number, exactly.
func BF16ToF32(h uint16) float32 { return portable.BF16ToF32(h) }

// F32ToBF16 rounds to the nearest bfloat16 number, ties to even.
func F32ToBF16(f float32) uint16 { return portable.F32ToBF16(f) }

func checkDecode(op string, dst []float32, src []byte, unit, unitBytes int) {
	if len(dst)%unit != 0 || len(src) != len(dst)/unit*unitBytes {
		panic(fmt.Sprintf("kernels: %s: %d bytes for %d values", op, len(src), len(dst)))
	}
	if race {
		raceWrite(dst)
		raceRead(src)
	}
}

// DecodeF32 reads little-endian float32 values of any alignment.
//
//go:noinline
func DecodeF32(dst []float32, src []byte) {
	checkDecode("DecodeF32", dst, src, 1, 4)
	decodeF32(dst, src)
}

// DecodeF16 reads little-endian half-precision values.
//
//go:noinline
func DecodeF16(dst []float32, src []byte) {
	checkDecode("DecodeF16", dst, src, 1, 2)
	decodeF16(dst, src)
}

// DecodeBF16 reads little-endian bfloat16 values.
//
//go:noinline
func DecodeBF16(dst []float32, src []byte) {
	checkDecode("DecodeBF16", dst, src, 1, 2)
	decodeBF16(dst, src)
}

// DecodeQ8 expands Q8_0 blocks; len(dst) is a multiple of 32.
//
//go:noinline
func DecodeQ8(dst []float32, src []byte) {
	checkDecode("DecodeQ8", dst, src, Block, Q8Bytes)
	decodeQ8(dst, src)
}

// DecodeQ4 expands Q4_0 blocks; len(dst) is a multiple of 32.
//
//go:noinline
func DecodeQ4(dst []float32, src []byte) {
	checkDecode("DecodeQ4", dst, src, Block, Q4Bytes)
	decodeQ4(dst, src)
}
