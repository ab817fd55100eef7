package vlm

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// converter converts tensors piece by piece.
type converter struct {
	done, total int64
	progress    func(done, total int64)
	pool        *quant.Pool
	values      []float32
	bytes       []byte
}

// pieceValues is how many values are converted at a time, if rows are not
// longer.
const pieceValues = 1 << 20

// weight writes t as type to.
func (w *converter) weight(g *weights.GGUFWriter, t tensors.Weight, to quant.Type) error {
	if to == t.Type {
		for _, part := range t.Tensors() {
			if err := g.Begin(part.Name); err != nil {
				return err
			}
			if _, err := part.WriteTo(g); err != nil {
				return err
			}
		}
		w.report(t.Size())
		return nil
	}
	read, err := valuesOf(t)
	if err != nil {
		return err
	}
	if to.Packed() {
		return w.pack(g, t, to, read)
	}
	if err := g.Begin(t.Name); err != nil {
		return err
	}
	cols := 1
	if len(t.Shape) > 0 {
		cols = t.Shape[len(t.Shape)-1]
	}
	return w.pieces(t, t.Len()/max(cols, 1), cols, 1, read, func(v []float32, r int) error {
		if to == quant.F16 {
			if i := slices.IndexFunc(v, tooLargeForHalf); i >= 0 {
				return fmt.Errorf("value %d, %g, does not fit half precision; convert to bf16 or f32: %w", r*cols+i, v[i], ErrConfig)
			}
		}
		size, err := to.RowBytes(len(v))
		if err != nil {
			return err
		}
		w.bytes = slices.Grow(w.bytes[:0], size)[:size]
		if err := quant.Quantize(to, w.bytes, v); err != nil {
			return fmt.Errorf("from value %d: %w", r*cols, err)
		}
		_, err = g.Write(w.bytes)
		return err
	})
}

// pack writes the parts of a packed matrix, in the order of tensors.Parts. The scales, a
// fortieth of the weights, wait in memory until those are written.
func (w *converter) pack(g *weights.GGUFWriter, t tensors.Weight, to quant.Type, read readFunc) error {
	rows, cols := t.Dims()
	data, scale, group, err := to.PackedSize(kernels.PackRows, cols)
	if err != nil {
		return err
	}
	tiles := rows / kernels.PackRows
	scales, groups := make([]byte, tiles*scale), make([]byte, tiles*group)
	if err := g.Begin(t.Name); err != nil {
		return err
	}
	err = w.pieces(t, rows, cols, kernels.PackRows, read, func(v []float32, r int) error {
		first, n := r/kernels.PackRows, len(v)/(kernels.PackRows*cols)
		w.bytes = slices.Grow(w.bytes[:0], n*data)[:n*data]
		errs := make([]error, n)
		w.pool.Run(n, func(i int) {
			k := first + i
			errs[i] = quant.Pack(to, w.bytes[i*data:][:data], scales[k*scale:][:scale], groups[k*group:][:group],
				v[i*kernels.PackRows*cols:][:kernels.PackRows*cols], kernels.PackRows, cols)
		})
		for i, err := range errs {
			if err != nil {
				return fmt.Errorf("from row %d: %w", (first+i)*kernels.PackRows, err)
			}
		}
		_, err := g.Write(w.bytes)
		return err
	})
	if err != nil {
		return err
	}
	if err := writePart(g, t.Name+tensors.ScaleSuffix, scales); err != nil {
		return err
	}
	if to == quant.P4 {
		if err := writePart(g, t.Name+tensors.GroupSuffix, groups); err != nil {
			return err
		}
	}
	if cols == quant.StoredCols(cols) {
		return nil
	}
	return writePart(g, t.Name+tensors.ColumnsSuffix, binary.LittleEndian.AppendUint32(nil, uint32(cols)))
}

func writePart(g *weights.GGUFWriter, name string, data []byte) error {
	if err := g.Begin(name); err != nil {
		return err
	}
	_, err := g.Write(data)
	return err
}

// pieces reads t and calls f with so many rows, a multiple of unit, from row r on.
func (w *converter) pieces(t tensors.Weight, rows, cols, unit int, read readFunc, f func(v []float32, r int) error) error {
	step := max(1, pieceValues/max(cols*unit, 1)) * unit
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		v := grow(&w.values, n*cols)
		if err := read(v, r*cols); err != nil {
			return err
		}
		if err := f(v, r); err != nil {
			return err
		}
		w.report(t.Size() * int64(n) / int64(rows))
	}
	return nil
}

func tooLargeForHalf(v float32) bool {
	return math.Abs(float64(v)) >= 65520 && !math.IsInf(float64(v), 0)
}

// readFunc widens values from element first on; first and the count are whole rows.
type readFunc func(dst []float32, first int) error

// valuesOf returns the function that reads t.
func valuesOf(t tensors.Weight) (readFunc, error) {
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

func (w *converter) report(n int64) {
	w.done += n
	if w.progress != nil {
		w.progress(w.done, w.total)
	}
}
