package vlm

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// Sizes are the names, shapes and types of a model's tensors: those of a file, or of one that
// [Source.Convert] would make.
type Sizes struct {
	file  int64 // bytes
	list  []sized
	index map[string]int
}

type sized struct {
	name  string
	typ   quant.Type
	shape []int
}

// FileSizes returns those of a file.
func FileSizes(f *weights.File) *Sizes {
	z := &Sizes{file: f.Size()}
	for _, t := range tensors.List(f) {
		z.list = append(z.list, sized{t.Name, t.Type, t.Shape})
	}
	return z.indexed()
}

// Sizes returns those of the file that Convert would make. The error is a [*Problems] where
// tensors are missing or of wrong shapes; values are not looked at.
func (s *Source) Sizes(c Config, typ quant.Type) (*Sizes, error) {
	var p Problems
	list := s.weights(c, &p)
	if p.N > 0 {
		p.Notes = s.Notes(c)
		return nil, &p
	}
	z := &Sizes{}
	var infos []weights.TensorInfo
	for i := range list {
		t := tensorType(&list[i], typ)
		z.list = append(z.list, sized{list[i].Name, t, list[i].Shape})
		infos = append(infos, tensorInfos(&list[i], t)...)
	}
	g, err := weights.NewGGUFWriter(io.Discard, fileMeta(s.ckpt.Meta, c, typ, nil), infos)
	if err != nil {
		return nil, err
	}
	z.file = g.Size()
	return z.indexed(), nil
}

func (z *Sizes) indexed() *Sizes {
	z.index = make(map[string]int, len(z.list))
	for i, t := range z.list {
		z.index[t.name] = i
	}
	return z
}

// Shape implements [quant.Loader].
func (z *Sizes) Shape(name string) []int {
	if i, ok := z.index[name]; ok {
		return z.list[i].shape
	}
	return nil
}

// Vector implements [quant.Loader].
func (z *Sizes) Vector(string, int) ([]float32, error) { return nil, errShapes }

// Matrix implements [quant.Loader].
func (z *Sizes) Matrix(string, int, int) (*quant.Matrix, error) { return nil, errShapes }

// invented gives weights of some sizes values: what computes with them takes as long as with
// the model's own, and no file has to be read, or even be there.
type invented struct{ *Sizes }

// Vector implements [quant.Loader].
func (z invented) Vector(name string, n int) ([]float32, error) {
	t, err := z.find(name, wanted{name, 0, n})
	if err != nil {
		return nil, err
	}
	return slices.Repeat([]float32{0.01}, t.len()), nil
}

// Matrix implements [quant.Loader].
func (z invented) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	t, err := z.find(name, wanted{name, rows, cols})
	if err != nil {
		return nil, err
	}
	rows, cols = tensors.Weight{Shape: t.shape}.Dims()
	if t.typ.Packed() {
		data, scale, group, err := t.typ.PackedSize(rows, cols)
		if err != nil {
			return nil, err
		}
		return quant.NewPacked(t.typ, rows, cols, t.values(data), t.values(scale), t.values(group))
	}
	row, err := t.typ.RowBytes(cols)
	if err != nil {
		return nil, err
	}
	return quant.NewMatrix(t.typ, rows, cols, t.values(rows*row))
}

func (z invented) find(name string, w wanted) (*sized, error) {
	i, ok := z.index[name]
	if !ok {
		return nil, fmt.Errorf("tensor %s: %w", name, tensors.ErrMissing)
	}
	t := &z.list[i]
	if !w.fits(t.shape) {
		return nil, fmt.Errorf("tensor %s: shape %v, want %s", name, t.shape, w)
	}
	return t, nil
}

// values makes n bytes that are small numbers in the type, its scales included. They are
// written, since memory that never was is not read like other memory; of an embedding only a
// row is read.
func (t *sized) values(n int) []byte {
	if strings.HasSuffix(t.name, "emb.weight") {
		return make([]byte, n)
	}
	b := byte(0x11)
	if t.typ == quant.F32 || t.typ == quant.BF16 {
		b = 0x3c
	}
	return slices.Repeat([]byte{b}, n)
}

func (t *sized) len() int {
	rows, cols := tensors.Weight{Shape: t.shape}.Dims()
	return rows * cols
}

// bytes returns the bytes of a matrix, about.
func (t *sized) bytes() float64 {
	rows, cols := tensors.Weight{Shape: t.shape}.Dims()
	if data, scale, group, err := t.typ.PackedSize(rows, cols); err == nil {
		return float64(data + scale + group)
	}
	row, err := t.typ.RowBytes(cols)
	if err != nil {
		return 0
	}
	return float64(rows) * float64(row)
}

// shortened returns sizes in which embedding and head have no more rows than take up limit
// bytes, and by how much the head is shorter.
func (z *Sizes) shortened(embedding, head string, limit float64) (short *Sizes, factor float64) {
	i, ok := z.index[head]
	if !ok || len(z.list[i].shape) != 2 {
		return z, 1
	}
	t := z.list[i]
	factor = t.bytes() / limit
	rows := t.shape[0]
	if factor <= 1 {
		return z, 1
	}
	less := max(64, int(math.Ceil(float64(rows)/factor))/64*64) // whole row tiles
	short = &Sizes{file: z.file, list: slices.Clone(z.list), index: z.index}
	for _, name := range []string{embedding, head} {
		if i, ok := z.index[name]; ok && len(z.list[i].shape) == 2 {
			short.list[i].shape = []int{less, z.list[i].shape[1]}
		}
	}
	return short, float64(rows) / float64(less)
}
