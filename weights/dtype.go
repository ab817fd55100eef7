package weights

import "fmt"

// DType is the type of a tensor's elements. The numbers below 1<<16 are those
// of GGML, as they stand in GGUF files.
type DType uint32

// The element types that can be read. The quantised ones come in blocks of 32
// elements along the last dimension; package quant knows their layout.
const (
	F32  DType = 0
	F16  DType = 1
	Q4_0 DType = 2
	Q8_0 DType = 8
	I8   DType = 24
	I16  DType = 25
	I32  DType = 26
	I64  DType = 27
	F64  DType = 28
	BF16 DType = 30
)

// Element types that safetensors has and GGML has not.
const (
	U8 DType = 1<<16 + iota
	U16
	U32
	U64
	BOOL
	F8E4M3
	F8E5M2
)

// layout is the storage of one type: bytes per block of elements.
type layout struct {
	name   string
	elems  int
	bytes  int
	opaque bool // listed with its size, but its data is refused
}

// layouts has every type that GGML has not withdrawn, so that files with types
// we do not decode can still be listed.
var layouts = map[DType]layout{
	F32: {"F32", 1, 4, false}, F16: {"F16", 1, 2, false}, BF16: {"BF16", 1, 2, false}, F64: {"F64", 1, 8, false},
	Q4_0: {"Q4_0", 32, 18, false}, Q8_0: {"Q8_0", 32, 34, false},
	I8: {"I8", 1, 1, false}, I16: {"I16", 1, 2, false}, I32: {"I32", 1, 4, false}, I64: {"I64", 1, 8, false},
	U8: {"U8", 1, 1, false}, U16: {"U16", 1, 2, false}, U32: {"U32", 1, 4, false}, U64: {"U64", 1, 8, false},
	BOOL: {"BOOL", 1, 1, false}, F8E4M3: {"F8_E4M3", 1, 1, true}, F8E5M2: {"F8_E5M2", 1, 1, true},
	3: {"Q4_1", 32, 20, true}, 6: {"Q5_0", 32, 22, true}, 7: {"Q5_1", 32, 24, true}, 9: {"Q8_1", 32, 36, true},
	10: {"Q2_K", 256, 84, true}, 11: {"Q3_K", 256, 110, true}, 12: {"Q4_K", 256, 144, true},
	13: {"Q5_K", 256, 176, true}, 14: {"Q6_K", 256, 210, true}, 15: {"Q8_K", 256, 292, true},
	16: {"IQ2_XXS", 256, 66, true}, 17: {"IQ2_XS", 256, 74, true}, 18: {"IQ3_XXS", 256, 98, true},
	19: {"IQ1_S", 256, 50, true}, 20: {"IQ4_NL", 32, 18, true}, 21: {"IQ3_S", 256, 110, true},
	22: {"IQ2_S", 256, 82, true}, 23: {"IQ4_XS", 256, 136, true}, 29: {"IQ1_M", 256, 56, true},
	34: {"TQ1_0", 256, 54, true}, 35: {"TQ2_0", 256, 66, true}, 39: {"MXFP4", 32, 17, true},
	40: {"NVFP4", 64, 36, true}, 41: {"Q1_0", 128, 18, true}, 42: {"Q2_0", 64, 18, true},
}

// String returns GGML's name in capitals, such as "BF16" or "Q8_0".
func (t DType) String() string {
	if l, ok := layouts[t]; ok {
		return l.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// GGML reports whether GGUF files can hold the type.
func (t DType) GGML() bool {
	_, ok := layouts[t]
	return ok && t < 1<<16
}

// Size returns the number of bytes of a contiguous tensor of this shape, in
// PyTorch's order of dimensions. Blocks run along the last dimension, which
// must be a multiple of their length. ErrFormat is wrapped by all errors.
func (t DType) Size(shape []int) (int, error) {
	l, ok := layouts[t]
	if !ok {
		return 0, badFile("", -1, "unknown element %s", t)
	}
	n, ok := count(shape)
	if !ok {
		return 0, badFile("", -1, "shape %v overflows", shape)
	}
	last := 1
	if len(shape) > 0 {
		last = shape[len(shape)-1]
	}
	if last%l.elems != 0 {
		return 0, badFile("", -1, "rows of %d elements in blocks of %d (%s)", last, l.elems, t)
	}
	size, ok := mulSize(n/l.elems, l.bytes)
	if !ok {
		return 0, badFile("", -1, "shape %v overflows", shape)
	}
	return size, nil
}
