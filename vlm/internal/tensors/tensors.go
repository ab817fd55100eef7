// Package tensors lets the layers of a model bind their weights from an open
// weights file: it is the [quant.Loader] over [weights.File].
package tensors

import (
	"errors"
	"fmt"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/weights"
)

// ErrMissing is wrapped by errors about tensors that a file does not have.
var ErrMissing = errors.New("missing tensor")

// Loader reads weights from a file. Matrices borrow the file's memory wherever
// their tensors lie in one piece; they are gone when it is closed.
type Loader struct{ f *weights.File }

// New returns a loader for f.
func New(f *weights.File) *Loader { return &Loader{f} }

func (l *Loader) lookup(name string) (Weight, error) {
	t := l.f.Lookup(name)
	if t == nil {
		return Weight{}, fmt.Errorf("tensor %s: %w", name, ErrMissing)
	}
	return weigh(l.f, t)
}

// Matrix implements [quant.Loader].
func (l *Loader) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	w, err := l.lookup(name)
	if err != nil {
		return nil, err
	}
	r, c := w.Dims()
	if r < 1 || c < 1 || rows >= 0 && rows != r || cols >= 0 && cols != c {
		return nil, fmt.Errorf("tensor %s: shape %v, want %s", name, w.Shape, wanted(rows, cols))
	}
	return w.Matrix()
}

func wanted(rows, cols int) string {
	side := func(n int) string {
		if n < 0 {
			return "any"
		}
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("[%s, %s]", side(rows), side(cols))
}

// Vector implements [quant.Loader].
func (l *Loader) Vector(name string, n int) ([]float32, error) {
	w, err := l.lookup(name)
	if err != nil {
		return nil, err
	}
	size := w.Len()
	if size < 1 || n >= 0 && n != size {
		return nil, fmt.Errorf("tensor %s: shape %v has %d values, want %d", name, w.Shape, size, n)
	}
	if w.Type.Packed() {
		m, err := w.Matrix()
		if err != nil {
			return nil, err
		}
		v := make([]float32, size)
		for i := range m.Rows() {
			m.Row(v[i*m.Cols():][:m.Cols()], i)
		}
		return v, nil
	}
	if t := w.Tensor; !t.Borrowed() {
		v := make([]float32, size)
		return v, t.Float32(v)
	}
	data, err := w.Tensor.Data()
	if err != nil {
		return nil, err
	}
	// A tensor's values take at least half a byte each, so this cannot ask for
	// more than eight times the file.
	v := make([]float32, size)
	if err := quant.Dequantize(w.Type, v, data); err != nil {
		return nil, fmt.Errorf("tensor %s of type %s: %w", name, w.TypeName(), err)
	}
	return v, nil
}

// Shape implements [quant.Loader].
func (l *Loader) Shape(name string) []int {
	t := l.f.Lookup(name)
	if t == nil {
		return nil
	}
	if w, err := weigh(l.f, t); err == nil {
		return w.Shape
	}
	return t.Shape
}
