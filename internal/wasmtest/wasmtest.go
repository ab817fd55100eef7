// Package wasmtest assembles small WASM modules. For tests only: it panics on what it does not
// know.
package wasmtest

import (
	"encoding/binary"
	"math"
)

// Module is what a module has. Indices of functions count the imports first.
type Module struct {
	Imports []Import
	Funcs   []Func
	Table   int // functions in a table of that size, from the first on; 0: none
	// Pages of memory, and at most; a maximum of 0: without one. Exported as "memory".
	Pages, MaxPages int
	Globals         int // mutable ones of 32 bits, 0
	Data            []Data
	Start           int // a function that runs by itself, as its index; 0: none
}

// Import is a function to be imported. Types are letters: i and I integers of 32 and 64 bits,
// f and F floats, v vectors.
type Import struct{ Module, Name, Params, Results string }

// Func is a function, exported under a name if it has one. Its code ends by itself.
type Func struct {
	Export, Params, Results, Locals string
	Code                            []byte
}

// Data lies in memory from the beginning.
type Data struct {
	At    int
	Bytes string
}

var types = map[byte]byte{'i': 0x7f, 'I': 0x7e, 'f': 0x7d, 'F': 0x7c, 'v': 0x7b}

// U appends a number in LEB128.
func U(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// S appends a signed number in LEB128.
func S(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c < 0x40 || v == -1 && c >= 0x40 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func list(b []byte, letters string) []byte {
	b = U(b, uint64(len(letters)))
	for _, c := range []byte(letters) {
		t, ok := types[c]
		if !ok {
			panic("type " + string(c))
		}
		b = append(b, t)
	}
	return b
}

func name(b []byte, s string) []byte { return append(U(b, uint64(len(s))), s...) }

// Section returns a section.
func Section(id byte, content []byte) []byte {
	return append(U([]byte{id}, uint64(len(content))), content...)
}

// Bytes assembles the module. Every function has a type of its own.
func (m *Module) Bytes() []byte {
	var typ, imp, fun, exp, code []byte
	exports := 0
	typ = U(typ, uint64(len(m.Imports)+len(m.Funcs)))
	imp = U(imp, uint64(len(m.Imports)))
	for i, f := range m.Imports {
		typ = list(list(append(typ, 0x60), f.Params), f.Results)
		imp = U(append(name(name(imp, f.Module), f.Name), 0), uint64(i))
	}
	fun = U(fun, uint64(len(m.Funcs)))
	code = U(code, uint64(len(m.Funcs)))
	for i, f := range m.Funcs {
		index := uint64(len(m.Imports) + i)
		typ = list(list(append(typ, 0x60), f.Params), f.Results)
		fun = U(fun, index)
		if f.Export != "" {
			exports++
			exp = U(append(name(exp, f.Export), 0), index)
		}
		var body []byte
		body = U(body, uint64(len(f.Locals)))
		for _, c := range []byte(f.Locals) {
			body = append(body, 1, types[c])
		}
		body = append(append(body, f.Code...), 0x0b)
		code = append(U(code, uint64(len(body))), body...)
	}
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = append(b, Section(1, typ)...)
	if len(m.Imports) > 0 {
		b = append(b, Section(2, imp)...)
	}
	b = append(b, Section(3, fun)...)
	if m.Table > 0 {
		b = append(b, Section(4, U([]byte{1, 0x70, 0}, uint64(m.Table)))...)
	}
	if m.Pages > 0 || m.MaxPages > 0 {
		mem := U([]byte{1, 0}, uint64(m.Pages))
		if m.MaxPages > 0 {
			mem = U(U([]byte{1, 1}, uint64(m.Pages)), uint64(m.MaxPages))
		}
		b = append(b, Section(5, mem)...)
		exports++
		exp = append(name(exp, "memory"), 2, 0)
	}
	if m.Globals > 0 {
		g := U(nil, uint64(m.Globals))
		for range m.Globals {
			g = append(g, 0x7f, 1, 0x41, 0, 0x0b)
		}
		b = append(b, Section(6, g)...)
	}
	b = append(b, Section(7, append(U(nil, uint64(exports)), exp...))...)
	if m.Start > 0 {
		b = append(b, Section(8, U(nil, uint64(m.Start)))...)
	}
	if m.Table > 0 {
		e := U([]byte{1, 0, 0x41, 0, 0x0b}, uint64(m.Table))
		for i := range m.Table {
			e = U(e, uint64(i))
		}
		b = append(b, Section(9, e)...)
	}
	b = append(b, Section(10, code)...)
	if len(m.Data) > 0 {
		d := U(nil, uint64(len(m.Data)))
		for _, s := range m.Data {
			d = name(append(S(append(d, 0, 0x41), int64(s.At)), 0x0b), s.Bytes)
		}
		b = append(b, Section(11, d)...)
	}
	return b
}

// Code joins instructions.
func Code(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Op is an instruction whose operands are numbers without sign.
func Op(opcode byte, operands ...uint64) []byte {
	b := []byte{opcode}
	for _, v := range operands {
		b = U(b, v)
	}
	return b
}

// I32 is i32.const.
func I32(v int32) []byte { return S([]byte{0x41}, int64(v)) }

// I64 is i64.const.
func I64(v int64) []byte { return S([]byte{0x42}, v) }

// F32 is f32.const.
func F32(v float32) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0x43}, math.Float32bits(v))
}

// Loop never ends.
func Loop() []byte { return []byte{0x03, 0x40, 0x0c, 0, 0x0b} }

// Call calls a function.
func Call(f int) []byte { return Op(0x10, uint64(f)) }

// Get is local.get.
func Get(i int) []byte { return Op(0x20, uint64(i)) }

// Set is local.set.
func Set(i int) []byte { return Op(0x21, uint64(i)) }

// Trap is unreachable.
func Trap() []byte { return []byte{0x00} }
