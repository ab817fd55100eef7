package pickle

import (
	"encoding/binary"
	"iter"
)

// Kind is the kind of a [Value].
type Kind uint8

// The kinds of value that a restricted pickle can hold.
const (
	Invalid    Kind = iota
	Bool            // True or False
	Int             // an integer of at most 64 bits
	Str             // a text
	Tuple           // a tuple of values
	Dict            // a dict or OrderedDict, in order of insertion
	Global          // the name of a class or function
	Persistent      // a persistent id: a reference to data outside the pickle
	Object          // the record of a call: a function and its arguments
)

var kindNames = [...]string{"nothing", "bool", "int", "str", "tuple", "dict", "global", "persistent id", "object"}

func (k Kind) String() string { return kindNames[k] }

// ref is a value in one word: the kind in the high four bits and below it
//
//	Bool        0 or 1
//	Int, Str    the offset of the opcode that pushed it
//	Global      the index in globals
//	Tuple       the arena index of: length, elements...
//	Dict        the arena index of: first pair, last pair, number of pairs,
//	            where a pair is: key, value, next pair (0 is none)
//	Persistent  the arena index of its tuple
//	Object      the arena index of: function, argument tuple
type ref uint32

const payloadBits = 28

func newRef(k Kind, payload int) ref { return ref(k)<<payloadBits | ref(payload) }
func (r ref) kind() Kind             { return Kind(r >> payloadBits) }
func (r ref) payload() int           { return int(r & (1<<payloadBits - 1)) }

// Value is a value of a parsed pickle. It borrows the pickle's bytes.
type Value struct {
	m *machine
	r ref
}

// Kind returns the value's kind.
func (v Value) Kind() Kind { return v.r.kind() }

// Int returns an Int's value; ok is false for other kinds.
func (v Value) Int() (n int64, ok bool) {
	if v.Kind() != Int {
		return 0, false
	}
	return decodeInt(v.m.data[v.r.payload():]), true
}

// Str returns a Str's bytes, valid UTF-8 and borrowed from the pickle; nil for
// other kinds.
func (v Value) Str() []byte {
	if v.Kind() != Str {
		return nil
	}
	p := v.m.data[v.r.payload():]
	return p[5 : 5+binary.LittleEndian.Uint32(p[1:])]
}

// Offset returns the byte of the pickle at which the opcode stands that pushed an
// Int or a Str; -1 for other kinds.
func (v Value) Offset() int {
	if k := v.Kind(); k != Int && k != Str {
		return -1
	}
	return v.r.payload()
}

// Global returns a Global's name as "module name"; "" for other kinds.
func (v Value) Global() string {
	if v.Kind() != Global {
		return ""
	}
	return globals[v.r.payload()].name
}

// Len returns the number of elements of a Tuple or of pairs of a Dict; 0 for
// other kinds.
func (v Value) Len() int {
	switch v.Kind() {
	case Tuple:
		return int(v.m.arena[v.r.payload()])
	case Dict:
		return int(v.m.arena[v.r.payload()+2])
	}
	return 0
}

// At returns element i of a Tuple; it panics if there is none.
func (v Value) At(i int) Value {
	if i < 0 || i >= v.Len() || v.Kind() != Tuple {
		panic("pickle: tuple index out of range")
	}
	return Value{v.m, v.m.arena[v.r.payload()+1+i]}
}

// Args returns the tuple behind a Persistent or an Object; the zero Value,
// which has kind Invalid, for other kinds.
func (v Value) Args() Value {
	switch v.Kind() {
	case Persistent:
		return Value{v.m, newRef(Tuple, v.r.payload())}
	case Object:
		return Value{v.m, v.m.arena[v.r.payload()+1]}
	}
	return Value{}
}

// Pairs yields the keys and values of a Dict in order of insertion; nothing
// for other kinds. A key that was set twice comes twice.
func (v Value) Pairs() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		if v.Kind() != Dict {
			return
		}
		for p := v.m.arena[v.r.payload()]; p != 0; p = v.m.arena[p+2] {
			if !yield(Value{v.m, v.m.arena[p]}, Value{v.m, v.m.arena[p+1]}) {
				return
			}
		}
	}
}

// decodeInt decodes the integer opcode at the start of p, which the scan has
// checked.
func decodeInt(p []byte) int64 {
	switch p[0] {
	case opBinInt1:
		return int64(p[1])
	case opBinInt2:
		return int64(binary.LittleEndian.Uint16(p[1:]))
	case opBinInt:
		return int64(int32(binary.LittleEndian.Uint32(p[1:])))
	}
	// LONG1: two's complement, little endian, at most 8 bytes.
	n := int(p[1])
	if n == 0 {
		return 0
	}
	var u uint64
	for i := n - 1; i >= 0; i-- {
		u = u<<8 | uint64(p[2+i])
	}
	shift := 64 - 8*n
	return int64(u<<shift) >> shift
}
