package quant

import (
	"fmt"
	"math"

	"github.com/visualrwkv/edged/kernels"
)

// Type is a storage format of weights; the numbers below 1<<16 are GGML's.
type Type uint32

// The formats that can be read, written and multiplied with.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q8_0 Type = 8
	BF16 Type = 30
)

// The packed formats, int8 and int4 in the order in which kernels read them. GGUF holds
// them as tensors of GGML's I8 and F16; see NewPacked.
const (
	P8 Type = 1<<17 + iota
	P4
)

// String returns the name in lower case, as used on the command line.
func (t Type) String() string {
	switch t {
	case F32:
		return "f32"
	case F16:
		return "f16"
	case Q4_0:
		return "q4_0"
	case Q8_0:
		return "q8_0"
	case BF16:
		return "bf16"
	case P8:
		return "int8"
	case P4:
		return "int4"
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// unit returns the number of values stored together and their bytes; 0, 0 for
// a format this package does not know.
func (t Type) unit() (values, bytes int) {
	switch t {
	case F32:
		return 1, 4
	case F16, BF16:
		return 1, 2
	case Q8_0:
		return kernels.Block, kernels.Q8Bytes
	case Q4_0:
		return kernels.Block, kernels.Q4Bytes
	}
	return 0, 0
}

// RowBytes returns the bytes of a row of cols values. It fails for an unknown
// format, for a packed one, for a cols that is not a whole number of blocks, and when
// the size does not fit an int.
func (t Type) RowBytes(cols int) (int, error) {
	if t.Packed() {
		return 0, fmt.Errorf("rows of %v are not stored one by one", t)
	}
	values, bytes := t.unit()
	if values == 0 {
		return 0, fmt.Errorf("unsupported weight %v", t)
	}
	if cols < 0 || cols%values != 0 {
		return 0, fmt.Errorf("%d columns are not a multiple of %d, the block of %v", cols, values, t)
	}
	if cols/values > math.MaxInt/bytes {
		return 0, fmt.Errorf("a row of %d columns in %v is too large", cols, t)
	}
	return cols / values * bytes, nil
}
