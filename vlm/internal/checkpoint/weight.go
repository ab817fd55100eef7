package checkpoint

import (
	"fmt"
	"slices"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// Weight is a tensor of a model, made of tensors of files.
type Weight struct {
	Name  string
	Shape []int // PyTorch's order
	From  []tensors.Weight

	plain bool // From[0] as it is, but for name and shape
	open  func() (Values, error)
}

// Values widens elements [first, first+len(dst)), which are whole rows of the last dimension.
type Values func(dst []float32, first int) error

// Plain returns the tensor that the weight is, if nothing but name and shape differ.
func (w *Weight) Plain() (tensors.Weight, bool) {
	if !w.plain {
		return tensors.Weight{}, false
	}
	return w.From[0], true
}

// Len returns the number of values.
func (w *Weight) Len() int {
	rows, cols := w.Dims()
	return rows * cols
}

// Dims returns rows and columns: the first dimension and the product of the others.
func (w *Weight) Dims() (rows, cols int) { return tensors.Weight{Shape: w.Shape}.Dims() }

// Size returns the number of bytes that are read.
func (w *Weight) Size() int64 {
	var n int64
	for _, t := range w.From {
		n += t.Size()
	}
	return n
}

// Open returns the function that reads the weight. It may hold values of a small weight in
// memory, and is not for use by several goroutines at once.
func (w *Weight) Open() (Values, error) { return w.open() }

// As returns the weight with values that make derives from its own: for small weights, which
// are held in memory as a whole.
func (w Weight) As(shape []int, make func(v []float32) []float32) Weight {
	own := w
	w.Shape, w.plain = shape, false
	w.open = func() (Values, error) {
		v, err := own.all()
		if err != nil {
			return nil, err
		}
		return inMemory(make(v)), nil
	}
	return w
}

func (w *Weight) all() ([]float32, error) {
	read, err := w.open()
	if err != nil {
		return nil, err
	}
	v := make([]float32, w.Len()) // at most eight times the bytes in the file
	return v, read(v, 0)
}

func inMemory(v []float32) Values {
	return func(dst []float32, first int) error {
		copy(dst, v[first:])
		return nil
	}
}

// same is a tensor under another name, and in another shape of as many values.
func same(name string, shape []int, t tensors.Weight) Weight {
	return Weight{Name: name, Shape: shape, From: []tensors.Weight{t}, plain: true, open: func() (Values, error) { return valuesOf(t) }}
}

// scaled multiplies by a power of two.
func (w Weight) scaled(factor float32) Weight {
	if factor == 1 {
		return w
	}
	open := w.open
	w.plain = false
	w.open = func() (Values, error) {
		read, err := open()
		if err != nil {
			return nil, err
		}
		return func(dst []float32, first int) error {
			err := read(dst, first)
			for i := range dst {
				dst[i] *= factor
			}
			return err
		}, nil
	}
	return w
}

// part is the weight of n values of t from the first one on; both are whole rows.
func part(name string, shape []int, t tensors.Weight, first int) Weight {
	return Weight{Name: name, Shape: shape, From: []tensors.Weight{t}, open: func() (Values, error) {
		read, err := valuesOf(t)
		if err != nil {
			return nil, err
		}
		return func(dst []float32, at int) error { return read(dst, first+at) }, nil
	}}
}

// stacked has the rows of several tensors, one after another. They must agree in all other
// dimensions.
func stacked(name string, list []tensors.Weight) (Weight, error) {
	shape := slices.Clone(list[0].Shape)
	for _, t := range list[1:] {
		if len(t.Shape) != len(shape) || len(shape) == 0 || !slices.Equal(t.Shape[1:], shape[1:]) {
			return Weight{}, fmt.Errorf("tensors %s and %s: shapes %v and %v cannot be joined", list[0].Name, t.Name, list[0].Shape, t.Shape)
		}
		shape[0] += t.Shape[0]
	}
	return Weight{Name: name, Shape: shape, From: list, open: func() (Values, error) {
		reads := make([]Values, len(list))
		for i, t := range list {
			var err error
			if reads[i], err = valuesOf(t); err != nil {
				return nil, err
			}
		}
		return func(dst []float32, first int) error {
			for i, t := range list {
				n := t.Len()
				if first < n && len(dst) > 0 {
					k := min(len(dst), n-first)
					if err := reads[i](dst[:k], first); err != nil {
						return err
					}
					dst, first = dst[k:], n
				}
				first -= n
			}
			return nil
		}, nil
	}}, nil
}

// transposed exchanges the last two dimensions of a small tensor of two or three.
func transposed(name string, t tensors.Weight) (Weight, error) {
	n := len(t.Shape)
	if n != 2 && n != 3 {
		return Weight{}, fmt.Errorf("tensor %s: shape %v, want two or three dimensions", t.Name, t.Shape)
	}
	shape := slices.Clone(t.Shape)
	rows, cols := shape[n-2], shape[n-1]
	shape[n-2], shape[n-1] = cols, rows
	return same(name, t.Shape, t).As(shape, func(v []float32) []float32 {
		out := make([]float32, len(v))
		for at := 0; at < len(v); at += rows * cols {
			for i := range rows {
				for j := range cols {
					out[at+j*rows+i] = v[at+i*cols+j]
				}
			}
		}
		return out
	}), nil
}

// valuesOf returns the function that reads a tensor of a file.
func valuesOf(t tensors.Weight) (Values, error) {
	switch {
	case t.Type.Packed():
		m, err := t.Matrix()
		if err != nil {
			return nil, err
		}
		cols := m.Cols()
		return func(dst []float32, first int) error {
			for i := 0; i < len(dst); i += cols {
				m.Row(dst[i:i+cols], (first+i)/cols)
			}
			return nil
		}, nil
	case t.Type == quant.Q8_0 || t.Type == quant.Q4_0:
		data, err := t.Tensor.Data()
		if err != nil {
			return nil, err
		}
		return func(dst []float32, first int) error {
			a, err := t.Type.RowBytes(first)
			if err != nil {
				return err
			}
			n, err := t.Type.RowBytes(len(dst))
			if err != nil {
				return err
			}
			return quant.Dequantize(t.Type, dst, data[a:a+n])
		}, nil
	}
	return t.Tensor.Float32At, nil
}

// list is tensors.List by name.
func list(f *weights.File) map[string]tensors.Weight {
	all := map[string]tensors.Weight{}
	for _, t := range tensors.List(f) {
		all[t.Name] = t
	}
	return all
}
