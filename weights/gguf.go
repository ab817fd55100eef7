package weights

import (
	"bytes"
	"encoding/binary"
	"math"
)

// GGUF as specified in ggml's docs/gguf.md and written by gguf.cpp.
const (
	magicGGUF   = "GGUF"
	versionGGUF = 3
	// ggufDims is GGML_MAX_DIMS.
	ggufDims = 4
	// defaultAlign is the alignment of tensor data without keyAlign.
	defaultAlign = 32
	keyAlign     = "general.alignment"
	// maxNesting bounds arrays of arrays, which the specification allows and
	// nobody writes.
	maxNesting = 4

	minKV     = 8 + 1 + 4 + 1         // key, type, value
	minTensor = 8 + 1 + 4 + 0 + 4 + 8 // name, number of dimensions, none, type, offset
)

func isGGUF(data []byte) bool { return bytes.HasPrefix(data, []byte(magicGGUF)) }

// parseGGUF reads header, metadata and tensor list. As in ggml, tensor data
// must follow each other in the list's order, each padded to the alignment.
func parseGGUF(src *source, data []byte) ([]Tensor, Meta, error) {
	c := &cursor{file: src.name, data: data, off: len(magicGGUF)}
	switch version := c.u32(); {
	case c.err != nil:
		return nil, nil, c.err
	case version == versionGGUF<<24:
		return nil, nil, badFile(src.name, 4, "a big-endian GGUF file")
	case version != versionGGUF:
		return nil, nil, badFile(src.name, 4, "GGUF version %d where only %d is known", version, versionGGUF)
	}
	numTensors := c.count("tensors", maxTensors, minTensor)
	numKeys := c.count("keys", maxKeys, minKV)
	meta, offs := make(Meta, 0, numKeys), make([]int64, 0, numKeys)
	align := uint64(defaultAlign)
	for i := 0; i < numKeys && c.err == nil; i++ {
		offs = append(offs, int64(c.off))
		meta = append(meta, c.kv())
		if meta[i].Key == keyAlign && c.err == nil {
			align, c.err = alignment(src.name, offs[i], meta[i].Value)
		}
	}
	if c.err != nil {
		return nil, nil, c.err
	}
	if err := meta.checkUnique(src.name, offs); err != nil {
		return nil, nil, err
	}
	tensors := make([]Tensor, 0, numTensors)
	for i := 0; i < numTensors && c.err == nil; i++ {
		tensors = append(tensors, c.tensor(src))
	}
	if c.err != nil {
		return nil, nil, c.err
	}
	// t.off holds the offset inside the data section so far.
	start := padded(uint64(c.off), align)
	next := uint64(0)
	for i := range tensors {
		t := &tensors[i]
		size := uint64(t.Size())
		if uint64(t.off) != next {
			return nil, nil, badItem(src.name, tensorItem(t.Name), int64(start)+t.off, "data at offset %d where the tensor before it ends at %d", t.off, next)
		}
		at := start + next // far from overflow: next grows only inside the file
		if at > uint64(len(data)) || size > uint64(len(data))-at {
			return nil, nil, badItem(src.name, tensorItem(t.Name), int64(at), "%d bytes of data behind the end of the file; is it complete?", size)
		}
		t.data = data[at : at+size : at+size]
		t.off = int64(at)
		next = padded(next+size, align)
	}
	return tensors, meta, nil
}

func padded(n, align uint64) uint64 { return (n + align - 1) &^ (align - 1) }

// alignment decodes general.alignment, whose entry is at a byte of the file.
func alignment(file string, at int64, v Value) (uint64, error) {
	a, err := v.Uint32()
	switch {
	case v.Type() != TypeUint32 || err != nil:
		return 0, badItem(file, keyItem(keyAlign), at, "is %s, not u32", v.Type())
	case a == 0 || a&(a-1) != 0 || a > 1<<20:
		return 0, badItem(file, keyItem(keyAlign), at, "%d is no power of two up to 1 MiB", a)
	}
	return uint64(a), nil
}

// cursor reads GGUF's primitives. The first error sticks; reads after it give
// zeros.
type cursor struct {
	file string
	item item
	data []byte
	off  int
	err  error
}

func (c *cursor) fail(off int, format string, args ...any) {
	if c.err == nil {
		c.err = badItem(c.file, c.item, int64(off), format, args...)
	}
}

// next consumes n bytes; nil after an error.
func (c *cursor) next(n int) []byte {
	if c.err == nil && n > len(c.data)-c.off {
		c.fail(c.off, "file ends inside the header")
	}
	if c.err != nil {
		return nil
	}
	b := c.data[c.off : c.off+n : c.off+n]
	c.off += n
	return b
}

func (c *cursor) u32() uint32 {
	if b := c.next(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.next(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// count reads a number of things that take at least size bytes each.
func (c *cursor) count(what string, limit, size int) int {
	at := c.off
	n := c.u64()
	if n > uint64(limit) || n > uint64((len(c.data)-c.off)/size) {
		c.fail(at, "%d %s in a file of %d bytes", n, what, len(c.data))
		return 0
	}
	return int(n)
}

// text reads a string's bytes with its length in front.
func (c *cursor) text() []byte {
	at := c.off
	n := c.u64()
	if n > uint64(len(c.data)-c.off) {
		c.fail(at, "text of %d bytes where %d are left", n, len(c.data)-c.off)
		return nil
	}
	c.next(int(n))
	if c.err != nil {
		return nil
	}
	return c.data[at:c.off:c.off]
}

// name reads the name of a tensor or key.
func (c *cursor) name(what string) string {
	at := c.off
	b := c.text()
	if c.err != nil {
		return ""
	}
	if len(b)-8 > maxName {
		c.fail(at, "%s of %d bytes", what, len(b)-8)
		return ""
	}
	s := string(b[8:])
	if msg := checkName(s); msg != "" {
		c.fail(at, "%s: %s", what, msg)
	}
	return s
}

// kv reads one metadata entry.
func (c *cursor) kv() KV {
	key := c.name("key")
	c.item = keyItem(key)
	v := Value{typ: c.valueType()}
	if v.typ != TypeArray {
		at := c.off
		c.walk(v.typ, 0)
		v.raw = c.data[at:c.off:c.off]
	} else {
		v.elem, v.n = c.arrayHead()
		at := c.off
		c.walkArray(v.elem, v.n, 1)
		v.raw = c.data[at:c.off:c.off]
	}
	if c.err == nil {
		c.item = item{}
	}
	return KV{key, v}
}

func (c *cursor) valueType() ValueType {
	at := c.off
	t := c.u32()
	if t >= uint32(numTypes) {
		c.fail(at, "unknown value type %d", t)
		return TypeUint8
	}
	return ValueType(t)
}

// arrayHead reads type and number of an array's elements.
func (c *cursor) arrayHead() (ValueType, int) {
	elem := c.valueType()
	at := c.off
	n := c.u64()
	if n > uint64((len(c.data)-c.off)/typeSizes[elem]) {
		c.fail(at, "array of %d %s where %d bytes are left", n, elem, len(c.data)-c.off)
		return elem, 0
	}
	return elem, int(n)
}

// walk checks one value and moves behind it.
func (c *cursor) walk(t ValueType, depth int) {
	switch t {
	case TypeString:
		c.text()
	case TypeArray:
		elem, n := c.arrayHead()
		c.walkArray(elem, n, depth+1)
	case TypeBool:
		if b := c.next(1); b != nil && b[0] > 1 {
			c.fail(c.off-1, "bool is %d", b[0])
		}
	default:
		c.next(typeSizes[t])
	}
}

func (c *cursor) walkArray(elem ValueType, n, depth int) {
	if depth > maxNesting {
		c.fail(c.off, "arrays nested more than %d deep", maxNesting)
	}
	switch elem {
	case TypeString, TypeArray, TypeBool:
		for ; n > 0 && c.err == nil; n-- {
			c.walk(elem, depth)
		}
	default:
		c.next(n * typeSizes[elem]) // arrayHead has compared it with the rest of the file
	}
}

// tensor reads one entry of the tensor list. Offset and data are completed by
// parseGGUF.
func (c *cursor) tensor(src *source) Tensor {
	t := Tensor{Name: c.name("tensor name"), src: src}
	c.item = tensorItem(t.Name)
	at := c.off
	dims := c.u32()
	if dims > ggufDims {
		c.fail(at, "%d dimensions", dims)
		return t
	}
	t.Shape = make([]int, dims)
	for i := range t.Shape {
		at := c.off
		n := c.u64()
		if n > math.MaxInt {
			c.fail(at, "dimension of %d", n)
			return t
		}
		t.Shape[len(t.Shape)-1-i] = int(n)
	}
	at = c.off
	t.Type = DType(c.u32())
	if c.err == nil && !t.Type.GGML() {
		c.fail(at, "unknown element type %d", uint32(t.Type))
	}
	if c.err == nil {
		if _, err := t.Type.Size(t.Shape); err != nil {
			c.fail(at, "%v", err)
		}
	}
	at = c.off
	off := c.u64()
	if off > uint64(len(c.data)) {
		c.fail(at, "data at offset %d in a file of %d bytes", off, len(c.data))
		return t
	}
	t.off = int64(off)
	if c.err == nil {
		c.item = item{}
	}
	return t
}
