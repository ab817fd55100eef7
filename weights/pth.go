package weights

import (
	"errors"
	"strings"

	"github.com/visualrwkv/edged/weights/internal/pickle"
)

// storageTypes maps the storage classes of a .pth to element types.
var storageTypes = map[string]DType{
	"torch FloatStorage":    F32,
	"torch HalfStorage":     F16,
	"torch BFloat16Storage": BF16,
	"torch LongStorage":     I64,
}

// pth reads the archive that torch.save writes: STEM/data.pkl, a pickle of the
// state dict, and STEM/data/KEY, the raw little-endian storages that it refers
// to. STEM is the file's name when it was written, or "archive".
type pth struct {
	src     *source
	entries map[string]entry
	prefix  string // of the names of storages: "STEM/data/"
	pickled entry
	at      int64 // byte of the name of the tensor being read; before the first, of the pickle
}

func parsePth(src *source, data []byte) ([]Tensor, error) {
	entries, err := readZip(src.name, data)
	if err != nil {
		return nil, err
	}
	p := &pth{src: src, entries: entries}
	if err := p.findPickle(); err != nil {
		return nil, err
	}
	root, err := pickle.Parse(p.pickled.data)
	if err != nil {
		var pe *pickle.Error
		if errors.As(err, &pe) {
			return nil, badItem(src.name, pickleItem, int64(p.pickled.off)+int64(pe.Offset), "%s", pe.Msg)
		}
		return nil, err
	}
	if root.Kind() != pickle.Dict {
		return nil, p.bad(pickleItem, "holds no dict but %s", root.Kind())
	}
	if root.Len() > maxTensors {
		return nil, p.bad(pickleItem, "%d tensors, more than %d", root.Len(), maxTensors)
	}
	tensors := make([]Tensor, 0, root.Len())
	for key, val := range root.Pairs() {
		if key.Kind() != pickle.Str {
			return nil, p.bad(pickleItem, "a key of the dict is no text but %s", key.Kind())
		}
		p.at = int64(p.pickled.off) + int64(key.Offset())
		name := string(key.Str())
		if msg := checkName(name); msg != "" {
			return nil, p.bad(pickleItem, "tensor %s: %s", quote(name), msg)
		}
		t, err := p.tensor(name, val)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, t)
	}
	return tensors, nil
}

// bad is an error about the pickle. Of a tensor its values have lost their offsets;
// that of its name is near.
func (p *pth) bad(it item, format string, args ...any) error {
	return badItem(p.src.name, it, p.at, format, args...)
}

// findPickle finds the one data.pkl and checks the archive's byte order.
func (p *pth) findPickle() error {
	found := ""
	for name := range p.entries {
		stem, file, ok := strings.Cut(name, "/")
		if !ok || file != "data.pkl" {
			continue
		}
		if found != "" && found != stem {
			return badFile(p.src.name, -1, "two pickles, under %s and %s", quote(min(found, stem)), quote(max(found, stem)))
		}
		found = stem
		p.pickled = p.entries[name]
	}
	if p.pickled.data == nil {
		return badFile(p.src.name, -1, "a zip archive without the STEM/data.pkl that torch.save writes")
	}
	p.prefix, p.at = found+"/data/", int64(p.pickled.off)
	if e, ok := p.entries[found+"/byteorder"]; ok && string(e.data) != "little" {
		return badFile(p.src.name, int64(e.off), "byte order is %s, not little", quote(string(e.data[:min(len(e.data), 16)])))
	}
	return nil
}

// tensor decodes the call of _rebuild_tensor_v2(storage, offset, size, stride,
// requires_grad, hooks).
func (p *pth) tensor(name string, v pickle.Value) (Tensor, error) {
	t := Tensor{Name: name, src: p.src}
	it := tensorItem(name)
	args := v.Args()
	if v.Kind() != pickle.Object {
		return t, p.bad(it, "is no tensor but %s", v.Kind())
	}
	if args.Len() != 6 {
		return t, p.bad(it, "_rebuild_tensor_v2 with %d arguments, not 6", args.Len())
	}
	storage, numel, err := p.storage(it, args.At(0))
	if err != nil {
		return t, err
	}
	t.Type = storage.dtype
	offset, ok := size(args.At(1))
	if !ok {
		return t, p.bad(it, "storage offset is no size")
	}
	if args.At(2).Kind() != pickle.Tuple || args.At(3).Kind() != pickle.Tuple ||
		args.At(2).Len() != args.At(3).Len() || args.At(2).Len() > maxDims {
		return t, p.bad(it, "shape and strides are no tuples of one length up to %d", maxDims)
	}
	if args.At(4).Kind() != pickle.Bool || args.At(5).Kind() != pickle.Dict || args.At(5).Len() != 0 {
		return t, p.bad(it, "requires_grad is no bool or the hooks are no empty dict")
	}
	t.Shape = make([]int, args.At(2).Len())
	var strides [maxDims]int
	for i := range t.Shape {
		var ok1, ok2 bool
		t.Shape[i], ok1 = size(args.At(2).At(i))
		strides[i], ok2 = size(args.At(3).At(i))
		if !ok1 || !ok2 {
			return t, p.bad(it, "dimension %d has no valid size or stride", i)
		}
	}
	if msg := t.view(storage.entry, numel, offset, strides[:len(t.Shape)]); msg != "" {
		return t, badItem(p.src.name, it, int64(storage.off), "%s", msg)
	}
	return t, nil
}

// size converts a non-negative integer that fits an int.
func size(v pickle.Value) (int, bool) {
	n, ok := v.Int()
	return int(n), ok && n >= 0 && int64(int(n)) == n
}

// storage is an archive entry with the type of its elements.
type storage struct {
	entry
	dtype DType
}

// storage resolves the persistent id ('storage', class, key, location, numel).
// The location, such as "cuda:0", says where the tensor was and is ignored.
func (p *pth) storage(it item, v pickle.Value) (storage, int, error) {
	id := v.Args()
	if v.Kind() != pickle.Persistent || id.Len() != 5 || string(id.At(0).Str()) != "storage" ||
		id.At(3).Kind() != pickle.Str {
		return storage{}, 0, p.bad(it, "storage is no ('storage', class, key, location, numel)")
	}
	dtype, ok := storageTypes[id.At(1).Global()]
	if !ok {
		return storage{}, 0, p.bad(it, "storage class is %s", id.At(1).Kind())
	}
	numel, ok := size(id.At(4))
	if !ok {
		return storage{}, 0, p.bad(it, "storage has no valid number of elements")
	}
	// Most of a checkpoint's tensors have a storage each: no string per lookup.
	var buf [128]byte
	e, ok := p.entries[string(append(append(buf[:0], p.prefix...), id.At(2).Str()...))]
	if !ok {
		return storage{}, 0, p.bad(it, "storage %s is not in the archive", quote(string(id.At(2).Str())))
	}
	if n, ok := mulSize(numel, layouts[dtype].bytes); !ok || n != len(e.data) {
		return storage{}, 0, badItem(p.src.name, it, int64(e.off), "storage of %d x %s has %d bytes", numel, dtype, len(e.data))
	}
	return storage{e, dtype}, numel, nil
}

// view makes t the view of a storage of numel elements that begins at offset
// and has these strides. It returns what is wrong.
func (t *Tensor) view(e entry, numel, offset int, strides []int) string {
	n, ok := count(t.Shape)
	if !ok {
		return "shape overflows"
	}
	t.off = int64(e.off)
	if n == 0 {
		t.data = e.data[:0:0]
		return ""
	}
	last := offset // of the view's elements
	contiguous, dense := true, 1
	for i := len(strides) - 1; i >= 0; i-- {
		// A dimension of one element may have any stride.
		if t.Shape[i] > 1 {
			contiguous = contiguous && strides[i] == dense
			span, ok := mulSize(t.Shape[i]-1, strides[i])
			if !ok || span > numel-last {
				return "view ends behind its storage"
			}
			last += span
		}
		dense *= t.Shape[i]
	}
	if offset >= numel || last >= numel {
		return "view ends behind its storage"
	}
	es := layouts[t.Type].bytes
	t.off += int64(offset) * int64(es)
	t.data = e.data[offset*es : (last+1)*es : (last+1)*es]
	if contiguous {
		return ""
	}
	// Strides of zero repeat elements. Bounding the view by its storage bounds
	// what gathering it can take by the size of the file.
	if n > numel {
		return "view repeats elements to more than its storage holds"
	}
	t.strides = new([maxDims]int)
	copy(t.strides[:], strides)
	return ""
}
