package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// maxHeader is the limit of the reference implementation.
const maxHeader = 100_000_000

const (
	// minMember is the least number of bytes that a tensor takes in the header:
	// "a":{"dtype":"I8","shape":[],"data_offsets":[0,1]},
	minMember = 50
	// maxTexts bounds the metadata; writers put one to ten texts there.
	maxTexts = 1 << 10
)

// safetypes maps the names of safetensors' element types.
var safetypes = map[string]DType{
	"F64": F64, "F32": F32, "F16": F16, "BF16": BF16, "I64": I64, "I32": I32, "I16": I16, "I8": I8,
	"U64": U64, "U32": U32, "U16": U16, "U8": U8, "BOOL": BOOL, "F8_E4M3": F8E4M3, "F8_E5M2": F8E5M2,
}

// isSafetensors reports whether data begins with the length of a JSON header
// and the header's brace.
func isSafetensors(data []byte) bool {
	return len(data) > 8 && data[8] == '{' && binary.LittleEndian.Uint64(data) <= maxHeader
}

// parseSafetensors reads the layout of github.com/huggingface/safetensors: the
// length of the header in 8 bytes, the header as JSON, the data. As in the
// reference implementation the tensors must cover the data without gaps or
// overlaps, so that a file has one meaning.
func parseSafetensors(src *source, data []byte) ([]Tensor, Meta, error) {
	size := binary.LittleEndian.Uint64(data)
	if size > uint64(len(data)-8) {
		return nil, nil, badFile(src.name, 0, "header of %d bytes in a file of %d", size, len(data))
	}
	start := 8 + int(size)
	r := &jsonReader{file: src.name, data: data[:start], off: 8}
	tensors := make([]Tensor, 0, min(maxTensors, bytes.Count(data[8:start], []byte("{")), 1+int(size)/minMember))
	var meta Meta
	seenMeta := false
	for r.open('{'); r.more('}'); {
		at := r.off
		key := r.key()
		if string(key) == "__metadata__" {
			if seenMeta {
				r.fail("__metadata__ is there twice")
			}
			seenMeta = true
			meta = r.texts()
			continue
		}
		if msg := checkName(string(key)); msg != "" && r.err == nil {
			return nil, nil, badFile(src.name, int64(at), "tensor %s: %s", quote(string(key)), msg)
		}
		if len(tensors) == maxTensors {
			return nil, nil, badFile(src.name, int64(at), "more than %d tensors", maxTensors)
		}
		name := string(key)
		r.item = tensorItem(name)
		t, err := r.tensor(name, src, data[start:], start)
		if err != nil {
			return nil, nil, err
		}
		r.item = item{}
		tensors = append(tensors, t)
	}
	r.end()
	if r.err != nil {
		return nil, nil, r.err
	}
	return tensors, meta, checkCover(src, tensors, start, len(data))
}

// tensor reads one member of the header. body is the data behind the header,
// which starts at byte start of the file.
func (r *jsonReader) tensor(name string, src *source, body []byte, start int) (Tensor, error) {
	t := Tensor{Name: name, src: src}
	var offsets []int
	seen := 0
	at := r.off
	for r.open('{'); r.more('}'); {
		bit := 0
		switch string(r.key()) {
		case "dtype":
			bit = 1
			word := r.str()
			var ok bool
			if t.Type, ok = safetypes[string(word)]; !ok {
				r.fail("element type %s is not known", quote(string(word)))
			}
		case "shape":
			bit = 2
			t.Shape = r.uints(maxDims)
		case "data_offsets":
			bit = 4
			offsets = r.uints(2)
		default:
			r.skip(0)
		}
		if seen&bit != 0 {
			r.fail("a field is there twice")
		}
		seen |= bit
	}
	if r.err != nil {
		return t, r.err
	}
	if seen != 7 || len(offsets) != 2 {
		return t, badItem(src.name, r.item, int64(at), "lacks dtype, shape or two data_offsets")
	}
	size, err := t.Type.Size(t.Shape)
	if err != nil {
		return t, badItem(src.name, r.item, int64(at), "%v", err)
	}
	begin, end := offsets[0], offsets[1]
	if begin > end || end > len(body) {
		return t, badItem(src.name, r.item, int64(at), "data_offsets %v in %d bytes of data", offsets, len(body))
	}
	if end-begin != size {
		return t, badItem(src.name, r.item, int64(at), "%d bytes for %s %v, which takes %d", end-begin, t.Type, t.Shape, size)
	}
	t.data = body[begin:end:end]
	t.off = int64(start) + int64(begin)
	return t, nil
}

// uints reads an array of at most n integers. An empty one is not nil.
func (r *jsonReader) uints(n int) []int {
	var buf [maxDims]int
	k := 0
	for r.open('['); r.more(']'); k++ {
		if k == n {
			r.fail("more than %d numbers", n)
			break
		}
		buf[k] = r.uint()
	}
	out := make([]int, k)
	copy(out, buf[:])
	return out
}

// texts reads the object of texts that is a safetensors file's metadata.
func (r *jsonReader) texts() Meta {
	var meta Meta
	var offs []int64
	for r.open('{'); r.more('}'); {
		at := int64(r.off)
		key := string(r.key())
		val := r.str()
		if msg := checkName(key); msg != "" && r.err == nil {
			r.err = badItem(r.file, keyItem(key), at, "%s", msg)
		}
		if len(meta) == maxTexts {
			r.fail("more than %d metadata keys", maxTexts)
		}
		if r.err != nil {
			return nil
		}
		meta, offs = append(meta, KV{key, String(string(val))}), append(offs, at)
	}
	if r.err == nil {
		r.err = meta.checkUnique(r.file, offs)
	}
	return meta
}

// checkCover checks that the tensors lie in [start, end) of the file one behind
// the other.
func checkCover(src *source, tensors []Tensor, start, end int) error {
	order := make([]int32, len(tensors))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		x, y := &tensors[a], &tensors[b]
		return cmp.Or(cmp.Compare(x.off, y.off), cmp.Compare(len(x.data), len(y.data)))
	})
	next := int64(start)
	for _, i := range order {
		t := &tensors[i]
		if t.off != next {
			return badItem(src.name, tensorItem(t.Name), t.off, "data begins here and the tensor before it ends at byte %d", next)
		}
		next += int64(len(t.data))
	}
	if next != int64(end) {
		return badFile(src.name, next, "%d bytes behind the last tensor", int64(end)-next)
	}
	return nil
}
