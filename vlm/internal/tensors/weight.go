package tensors

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/weights"
)

// The parts of a packed matrix called NAME are the tensor NAME of I8, NAME+ScaleSuffix
// of F16, if it is int4, NAME+GroupSuffix of I8 and, if columns were added to store it,
// NAME+ColumnsSuffix of I32, one value: how many it has without them.
const (
	ScaleSuffix   = ".scale"
	GroupSuffix   = ".group"
	ColumnsSuffix = ".columns"
)

// Weight is what a layer sees as one tensor: a tensor of the file, or the parts of a
// packed matrix.
type Weight struct {
	Name  string
	Type  quant.Type // by number; may be one that package quant does not know
	Shape []int      // PyTorch's order; [rows, cols] of a packed matrix

	Tensor                *weights.Tensor // of a packed matrix, the weights
	Scale, Group, Columns *weights.Tensor // nil where there are none
}

// List returns the weights of a file in its order.
func List(f *weights.File) []Weight {
	var all []Weight
	for _, t := range f.Tensors() {
		if !isPart(f, t.Name) {
			w, err := weigh(f, t)
			if err != nil { // its parts are tensors like others then
				w = plain(t)
			}
			all = append(all, w)
		}
	}
	return all
}

// isPart reports whether the tensor called name belongs to a packed matrix.
func isPart(f *weights.File, name string) bool {
	for _, suffix := range []string{ScaleSuffix, GroupSuffix, ColumnsSuffix} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			if t := f.Lookup(base); t != nil {
				w, err := weigh(f, t)
				return err == nil && w.Type.Packed()
			}
		}
	}
	return false
}

func plain(t *weights.Tensor) Weight {
	return Weight{Name: t.Name, Type: quant.Type(t.Type), Shape: t.Shape, Tensor: t}
}

// weigh puts the parts of a packed matrix together, if t is one.
func weigh(f *weights.File, t *weights.Tensor) (Weight, error) {
	scale := f.Lookup(t.Name + ScaleSuffix)
	if t.Type != weights.I8 || scale == nil {
		return plain(t), nil
	}
	w := Weight{Name: t.Name, Type: quant.P8, Tensor: t, Scale: scale, Group: f.Lookup(t.Name + GroupSuffix)}
	columns := 4 // of a unit
	if w.Group != nil {
		w.Type, columns = quant.P4, 8
	}
	// Both products are smaller than that of all dimensions, which fits an int.
	if s := t.Shape; len(s) == 4 && s[0] > 0 && s[1] > 0 {
		w.Shape = []int{s[0] * kernels.PackRows, s[1] * columns}
	}
	if w.Shape == nil || w.Shape[1] != quant.StoredCols(w.Shape[1]) {
		return w, fmt.Errorf("tensor %s: shape %v is not that of packed %v weights", t.Name, t.Shape, w.Type)
	}
	if w.Columns = f.Lookup(t.Name + ColumnsSuffix); w.Columns != nil {
		cols, err := columnsOf(w.Columns, w.Shape[1])
		if err != nil {
			return w, err
		}
		w.Shape[1] = cols
	}
	have := w.Tensors()
	for i, shape := range Parts(w.Type, w.Shape[0], w.Shape[1]) {
		p := have[i]
		if p.Type != shape.Type || !slices.Equal(p.Shape, shape.Shape) {
			return w, fmt.Errorf("tensor %s: %v of shape %v, want %v of shape %v", p.Name, p.Type, p.Shape, shape.Type, shape.Shape)
		}
	}
	return w, nil
}

// columnsOf reads how many of the stored columns a matrix has.
func columnsOf(t *weights.Tensor, stored int) (int, error) {
	if t.Type != weights.I32 || !slices.Equal(t.Shape, []int{1}) {
		return 0, fmt.Errorf("tensor %s: %v of shape %v, want I32 of shape [1]", t.Name, t.Type, t.Shape)
	}
	data, err := t.Data()
	if err != nil {
		return 0, err
	}
	cols := int(int32(binary.LittleEndian.Uint32(data)))
	if cols < 1 || cols >= stored || quant.StoredCols(cols) != stored {
		return 0, fmt.Errorf("tensor %s: %d columns cannot be those of a matrix stored with %d", t.Name, cols, stored)
	}
	return cols, nil
}

// Parts describes the tensors of a packed matrix, weights first; names are suffixes.
func Parts(t quant.Type, rows, cols int) []weights.TensorInfo {
	tiles, columns, stored := rows/kernels.PackRows, 4, quant.StoredCols(cols)
	if t == quant.P4 {
		columns = 8
	}
	parts := []weights.TensorInfo{
		{Type: weights.I8, Shape: []int{tiles, stored / columns, kernels.PackRows, 4}},
		{Name: ScaleSuffix, Type: weights.F16, Shape: []int{tiles, kernels.PackBlocks(stored), kernels.PackRows}},
	}
	if t == quant.P4 {
		parts = append(parts, weights.TensorInfo{Name: GroupSuffix, Type: weights.I8, Shape: []int{tiles, stored / (2 * kernels.PackGroup), kernels.PackRows}})
	}
	if stored > cols {
		parts = append(parts, weights.TensorInfo{Name: ColumnsSuffix, Type: weights.I32, Shape: []int{1}})
	}
	return parts
}

// Tensors returns the tensors of the file that make the weight.
func (w Weight) Tensors() []*weights.Tensor {
	all := []*weights.Tensor{w.Tensor}
	for _, t := range []*weights.Tensor{w.Scale, w.Group, w.Columns} {
		if t != nil {
			all = append(all, t)
		}
	}
	return all
}

// Size returns the number of bytes of all parts.
func (w Weight) Size() int64 {
	var n int64
	for _, t := range w.Tensors() {
		n += int64(t.Size())
	}
	return n
}

// TypeName is the name of the type in capitals, as weights.DType writes it.
func (w Weight) TypeName() string {
	if w.Type.Packed() {
		return strings.ToUpper(w.Type.String())
	}
	return w.Tensor.Type.String()
}

// Dims returns rows and columns: the first dimension and the product of the others.
func (w Weight) Dims() (rows, cols int) {
	rows, cols = 1, 1 // products checked when the file was opened
	if len(w.Shape) > 0 {
		rows = w.Shape[0]
	}
	for _, d := range w.Shape[min(1, len(w.Shape)):] {
		cols *= d
	}
	return rows, cols
}

// Len returns the number of values.
func (w Weight) Len() int {
	rows, cols := w.Dims()
	return rows * cols
}

// Matrix returns the weight as rows and columns of Dims.
func (w Weight) Matrix() (*quant.Matrix, error) {
	rows, cols := w.Dims()
	var parts [3][]byte
	for i, t := range []*weights.Tensor{w.Tensor, w.Scale, w.Group} {
		if t == nil {
			continue
		}
		var err error
		if parts[i], err = t.Data(); err != nil {
			return nil, err
		}
	}
	var m *quant.Matrix
	var err error
	if w.Type.Packed() {
		m, err = quant.NewPacked(w.Type, rows, cols, parts[0], parts[1], parts[2])
	} else {
		m, err = quant.NewMatrix(w.Type, rows, cols, parts[0])
	}
	if err != nil {
		return nil, fmt.Errorf("tensor %s of type %s: %w", w.Name, w.TypeName(), err)
	}
	return m, nil
}
