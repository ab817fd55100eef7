package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// ValueType is the type of a metadata value, with GGUF's numbers.
type ValueType uint8

// GGUF's value types.
const (
	TypeUint8 ValueType = iota
	TypeInt8
	TypeUint16
	TypeInt16
	TypeUint32
	TypeInt32
	TypeFloat32
	TypeBool
	TypeString
	TypeArray
	TypeUint64
	TypeInt64
	TypeFloat64
	numTypes
)

var typeNames = [numTypes]string{
	"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64",
}

// typeSizes has the width of scalars, and for strings and arrays the least
// number of bytes that one takes.
var typeSizes = [numTypes]int{1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8}

// String returns a short name such as "u32".
func (t ValueType) String() string {
	if t < numTypes {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Value is one metadata value in GGUF's encoding. Values of an open file borrow
// its memory: decode what must outlive [File.Close]. The zero Value is a u8
// without bytes and is refused by the writer.
type Value struct {
	typ, elem ValueType
	n         int // elements of an array
	raw       []byte
}

// Type returns the type of the value.
func (v Value) Type() ValueType { return v.typ }

// Elem returns the type of an array's elements.
func (v Value) Elem() ValueType { return v.elem }

// Len returns the number of an array's elements.
func (v Value) Len() int { return v.n }

// Uint32 makes a u32.
func Uint32(x uint32) Value {
	return Value{typ: TypeUint32, raw: binary.LittleEndian.AppendUint32(nil, x)}
}

// Uint64 makes a u64.
func Uint64(x uint64) Value {
	return Value{typ: TypeUint64, raw: binary.LittleEndian.AppendUint64(nil, x)}
}

// Float32 makes an f32.
func Float32(x float32) Value {
	return Value{typ: TypeFloat32, raw: binary.LittleEndian.AppendUint32(nil, math.Float32bits(x))}
}

// Bool makes a bool.
func Bool(x bool) Value {
	b := byte(0)
	if x {
		b = 1
	}
	return Value{typ: TypeBool, raw: []byte{b}}
}

// String makes a string.
func String(s string) Value { return Value{typ: TypeString, raw: appendString(nil, s)} }

// Strings makes an array of strings.
func Strings(list []string) Value {
	size := 8 * len(list)
	for _, s := range list {
		size += len(s)
	}
	raw := make([]byte, 0, size)
	for _, s := range list {
		raw = appendString(raw, s)
	}
	return Value{TypeArray, TypeString, len(list), raw}
}

// Float32s makes an array of f32.
func Float32s(list []float32) Value {
	raw := make([]byte, 0, 4*len(list))
	for _, x := range list {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return Value{TypeArray, TypeFloat32, len(list), raw}
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// kindError says that a value has another type than asked for.
func (v Value) kindError(want string) error {
	have := v.typ.String()
	if v.typ == TypeArray {
		have = "array of " + v.elem.String()
	}
	return badFile("", -1, "is %s, not %s", have, want)
}

// Int returns an integer of any width; a u64 above the range of int64 is an
// error. All errors of these accessors wrap [ErrFormat].
func (v Value) Int() (int64, error) {
	switch v.typ {
	case TypeUint8, TypeInt8, TypeUint16, TypeInt16, TypeUint32, TypeInt32, TypeInt64:
		return scalarInt(v.typ, v.raw), nil
	case TypeUint64:
		if x := scalarInt(v.typ, v.raw); x >= 0 {
			return x, nil
		}
		return 0, badFile("", -1, "integer is too large")
	}
	return 0, v.kindError("an integer")
}

// Uint32 returns an integer of any width that fits 32 bits without sign.
func (v Value) Uint32() (uint32, error) {
	x, err := v.Int()
	if err != nil {
		return 0, err
	}
	if x < 0 || x > math.MaxUint32 {
		return 0, badFile("", -1, "%d does not fit 32 bits without sign", x)
	}
	return uint32(x), nil
}

// Float returns an f32 or f64.
func (v Value) Float() (float64, error) {
	switch v.typ {
	case TypeFloat32, TypeFloat64:
		return scalarFloat(v.typ, v.raw), nil
	}
	return 0, v.kindError("a float")
}

// Bool returns a truth value.
func (v Value) Bool() (bool, error) {
	if v.typ != TypeBool {
		return false, v.kindError("a bool")
	}
	return v.raw[0] != 0, nil
}

// Str returns a copy of a string.
func (v Value) Str() (string, error) {
	if v.typ != TypeString {
		return "", v.kindError("a string")
	}
	return string(v.raw[8:]), nil
}

// Strs returns a copy of an array of strings.
func (v Value) Strs() ([]string, error) {
	if v.typ != TypeArray || v.elem != TypeString {
		return nil, v.kindError("an array of strings")
	}
	text := string(v.raw) // one copy that all elements share
	out := make([]string, v.n)
	for i, at := 0, 0; i < v.n; i++ {
		size := int(binary.LittleEndian.Uint64(v.raw[at:]))
		out[i] = text[at+8 : at+8+size]
		at += 8 + size
	}
	return out, nil
}

// Float32s returns a copy of an array of f32.
func (v Value) Float32s() ([]float32, error) {
	if v.typ != TypeArray || v.elem != TypeFloat32 {
		return nil, v.kindError("an array of f32")
	}
	out := make([]float32, v.n)
	wideners[F32](out, v.raw)
	return out, nil
}

// Ints returns a copy of an array of integers of any width but u64.
func (v Value) Ints() ([]int64, error) {
	switch v.elem {
	case TypeFloat32, TypeFloat64, TypeBool, TypeString, TypeArray, TypeUint64:
		return nil, v.kindError("an array of integers")
	}
	if v.typ != TypeArray {
		return nil, v.kindError("an array of integers")
	}
	out := make([]int64, v.n)
	for i := range out {
		out[i] = scalarInt(v.elem, v.raw[i*typeSizes[v.elem]:])
	}
	return out, nil
}

// scalarInt decodes an integer; a u64 by its bits.
func scalarInt(t ValueType, b []byte) int64 {
	le := binary.LittleEndian
	switch t {
	case TypeUint8:
		return int64(b[0])
	case TypeInt8:
		return int64(int8(b[0]))
	case TypeUint16:
		return int64(le.Uint16(b))
	case TypeInt16:
		return int64(int16(le.Uint16(b)))
	case TypeUint32:
		return int64(le.Uint32(b))
	case TypeInt32:
		return int64(int32(le.Uint32(b)))
	}
	return int64(le.Uint64(b))
}

func scalarFloat(t ValueType, b []byte) float64 {
	if t == TypeFloat32 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// String formats the value for people: scalars and texts as Go literals, long
// texts and arrays by their length.
func (v Value) String() string {
	if len(v.raw) < typeSizes[min(v.typ, TypeFloat64)] && v.typ != TypeArray {
		return "no value"
	}
	switch v.typ {
	case TypeBool:
		return strconv.FormatBool(v.raw[0] != 0)
	case TypeString:
		return quote(string(v.raw[8:min(len(v.raw), 8+maxQuote+1)]))
	case TypeArray:
		return fmt.Sprintf("%d x %s", v.n, v.elem)
	case TypeFloat32:
		return strconv.FormatFloat(scalarFloat(v.typ, v.raw), 'g', -1, 32)
	case TypeFloat64:
		return strconv.FormatFloat(scalarFloat(v.typ, v.raw), 'g', -1, 64)
	case TypeUint64:
		return strconv.FormatUint(binary.LittleEndian.Uint64(v.raw), 10)
	}
	return strconv.FormatInt(scalarInt(v.typ, v.raw), 10)
}
