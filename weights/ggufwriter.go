package weights

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// TensorInfo describes a tensor that a GGUF file will hold.
type TensorInfo struct {
	Name  string
	Type  DType
	Shape []int // PyTorch's order
}

// GGUFWriter writes a GGUF version 3 file front to back, without seeking and
// without holding tensor data. The layout is that of ggml's own writers: the
// same input gives the same bytes.
type GGUFWriter struct {
	w       *bufio.Writer
	tensors []TensorInfo
	sizes   []int
	align   int
	pos     int64 // bytes written
	next    int   // tensors begun
	left    int   // bytes that the current tensor lacks
	err     error // the first of w
}

// NewGGUFWriter writes header, metadata and tensor list to w, all in the order
// given. The data of each tensor follows by [GGUFWriter.Begin] and
// [GGUFWriter.Write], and [GGUFWriter.Close] completes the file.
//
// The alignment is 32, or the u32 general.alignment if meta has it.
func NewGGUFWriter(w io.Writer, meta Meta, tensors []TensorInfo) (*GGUFWriter, error) {
	g := &GGUFWriter{w: bufio.NewWriterSize(w, chunk), tensors: tensors, align: defaultAlign}
	if err := g.check(meta); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	head := []byte(magicGGUF)
	head = le.AppendUint32(head, versionGGUF)
	head = le.AppendUint64(head, uint64(len(tensors)))
	head = le.AppendUint64(head, uint64(len(meta)))
	for _, kv := range meta {
		head = appendString(head, kv.Key)
		head = le.AppendUint32(head, uint32(kv.Value.typ))
		if kv.Value.typ == TypeArray {
			head = le.AppendUint32(head, uint32(kv.Value.elem))
			head = le.AppendUint64(head, uint64(kv.Value.n))
		}
		head = append(head, kv.Value.raw...)
	}
	off := uint64(0)
	for i, t := range tensors {
		head = appendString(head, t.Name)
		head = le.AppendUint32(head, uint32(len(t.Shape)))
		for j := range t.Shape {
			head = le.AppendUint64(head, uint64(t.Shape[len(t.Shape)-1-j]))
		}
		head = le.AppendUint32(head, uint32(t.Type))
		head = le.AppendUint64(head, off)
		off += padded(uint64(g.sizes[i]), uint64(g.align))
	}
	g.put(head)
	g.pad()
	return g, g.err
}

// Size returns the bytes of the file when it is complete.
func (g *GGUFWriter) Size() int64 {
	n := g.pos + int64(padded(uint64(g.left), uint64(g.align)))
	for _, size := range g.sizes[g.next:] {
		n += int64(padded(uint64(size), uint64(g.align)))
	}
	return n
}

// check validates the input by the reader's rules and fills align and sizes.
func (g *GGUFWriter) check(meta Meta) error {
	if len(meta) > maxKeys || len(g.tensors) > maxTensors {
		return badFile("", -1, "%d keys and %d tensors, more than %d and %d", len(meta), len(g.tensors), maxKeys, maxTensors)
	}
	for _, kv := range meta {
		if msg := checkName(kv.Key); msg != "" {
			return badItem("", keyItem(kv.Key), -1, "%s", msg)
		}
		if len(kv.Value.raw) == 0 && kv.Value.typ != TypeArray {
			return badItem("", keyItem(kv.Key), -1, "has no value")
		}
	}
	if err := meta.checkUnique("", nil); err != nil {
		return err
	}
	g.align = defaultAlign
	if v, ok := meta.Get(keyAlign); ok {
		a, err := alignment("", -1, v)
		if err != nil {
			return err
		}
		g.align = int(a)
	}
	seen := make(map[string]bool, len(g.tensors))
	for _, t := range g.tensors {
		size, err := t.Type.Size(t.Shape)
		switch {
		case checkName(t.Name) != "":
			return badItem("", tensorItem(t.Name), -1, "%s", checkName(t.Name))
		case seen[t.Name]:
			return badItem("", tensorItem(t.Name), -1, "is there twice")
		case len(t.Shape) > ggufDims:
			return badItem("", tensorItem(t.Name), -1, "%d dimensions where GGUF has %d", len(t.Shape), ggufDims)
		case !t.Type.GGML():
			return badItem("", tensorItem(t.Name), -1, "GGUF has no type %s", t.Type)
		case err != nil:
			return badItem("", tensorItem(t.Name), -1, "%v", err)
		}
		seen[t.Name] = true
		g.sizes = append(g.sizes, size)
	}
	return nil
}

// put writes to the buffer; the first error sticks.
func (g *GGUFWriter) put(p []byte) {
	if g.err == nil {
		var n int
		n, g.err = g.w.Write(p)
		g.pos += int64(n)
	}
}

var zeros [1 << 10]byte

// pad fills up to the alignment.
func (g *GGUFWriter) pad() {
	for n := int(-g.pos & int64(g.align-1)); n > 0 && g.err == nil; {
		m := min(n, len(zeros))
		g.put(zeros[:m])
		n -= m
	}
}

// Begin starts the data of the next tensor, which must be the one called name.
func (g *GGUFWriter) Begin(name string) error {
	switch {
	case g.left > 0:
		return fmt.Errorf("weights: tensor %s begins, %d bytes of %s are missing", quote(name), g.left, quote(g.tensors[g.next-1].Name))
	case g.next == len(g.tensors) || g.tensors[g.next].Name != name:
		return fmt.Errorf("weights: tensor %s is not number %d of the list", quote(name), g.next)
	}
	g.left = g.sizes[g.next]
	g.next++
	return g.err
}

// Write appends data to the current tensor: little endian, row-major, in any
// pieces, not more than the tensor takes.
func (g *GGUFWriter) Write(p []byte) (int, error) {
	if len(p) > g.left {
		return 0, fmt.Errorf("weights: %d bytes for a tensor that lacks %d", len(p), g.left)
	}
	g.put(p)
	if g.left -= len(p); g.left == 0 {
		g.pad()
	}
	if g.err != nil {
		return 0, g.err
	}
	return len(p), nil
}

// Close checks that all tensors are complete and flushes. It does not close
// the underlying writer.
func (g *GGUFWriter) Close() error {
	if g.err != nil {
		return g.err
	}
	if g.left > 0 || g.next != len(g.tensors) {
		return fmt.Errorf("weights: %d of %d tensors begun, %d bytes missing", g.next, len(g.tensors), g.left)
	}
	return g.w.Flush()
}

// WriteGGUF writes a GGUF file atomically: see [WriteFile]. The function data
// is called once to write the tensors.
func WriteGGUF(path string, meta Meta, tensors []TensorInfo, data func(*GGUFWriter) error) error {
	return WriteFile(path, func(w io.Writer) error {
		g, err := NewGGUFWriter(w, meta, tensors)
		if err != nil {
			return err
		}
		if err := data(g); err != nil {
			return err
		}
		return g.Close()
	})
}
