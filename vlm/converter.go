package vlm

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/checkpoint"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/vlm/internal/vision"
	"github.com/visualrwkv/edged/weights"
)

// converter converts tensors piece by piece.
type converter struct {
	ctx         context.Context
	done, total int64
	progress    func(done, total int64)
	problems    Problems
	files       []*weights.File
	packed      map[string]*quant.Matrix
	pool        *quant.Pool
	values      []float32
	bytes       []byte
}

// errValues says that values of a tensor are among the problems.
var errValues = errors.New("bad values")

// pieceValues is how many values are converted at a time, if rows are not
// longer.
const pieceValues = 1 << 20

// weight writes t as type to. Values that cannot be written are problems, after which the
// tensor is incomplete.
func (w *converter) weight(g *weights.GGUFWriter, t *checkpoint.Weight, to quant.Type) error {
	defer w.release()
	if m := w.packed[t.Name]; m != nil {
		if err := w.report(t.Size()); err != nil {
			return err
		}
		data, scale, group := m.Parts()
		if err := writePart(g, t.Name, data); err != nil {
			return err
		}
		return writeScales(g, t.Name, m.Cols(), scale, group)
	}
	read, err := t.Open()
	if err != nil {
		return err
	}
	if from, ok := t.Plain(); ok && from.Type == to {
		return w.copy(g, t, from, read)
	}
	if to.Packed() {
		return w.pack(g, t, to, read)
	}
	if err := g.Begin(t.Name); err != nil {
		return err
	}
	rows, cols := lines(t)
	return w.pieces(t, rows, cols, 1, read, func(v []float32, r int) error {
		if to == quant.F16 {
			if i := slices.IndexFunc(v, tooLargeForHalf); i >= 0 {
				w.problems.add("tensor %s: value %d, %g, does not fit half precision; convert to bf16 or f32", t.Name, r*cols+i, v[i])
				return errValues
			}
		}
		size, err := to.RowBytes(len(v))
		if err != nil {
			return err
		}
		w.bytes = slices.Grow(w.bytes[:0], size)[:size]
		if err := quant.Quantize(to, w.bytes, v); err != nil {
			w.problems.add("tensor %s: from value %d: %v", t.Name, r*cols, err)
			return errValues
		}
		_, err = g.Write(w.bytes)
		return err
	})
}

// copy writes a tensor, or the parts of a packed matrix, as they are.
func (w *converter) copy(g *weights.GGUFWriter, t *checkpoint.Weight, from tensors.Weight, read checkpoint.Values) error {
	rows, cols := lines(t)
	if err := w.pieces(t, rows, cols, 1, read, func([]float32, int) error { return nil }); err != nil {
		return err
	}
	for _, part := range from.Tensors() {
		if err := g.Begin(t.Name + strings.TrimPrefix(part.Name, from.Name)); err != nil {
			return err
		}
		if _, err := part.WriteTo(g); err != nil {
			return err
		}
	}
	return nil
}

// pack writes the parts of a packed matrix, in the order of tensors.Parts. The scales, a
// fortieth of the weights, wait in memory until those are written.
func (w *converter) pack(g *weights.GGUFWriter, t *checkpoint.Weight, to quant.Type, read checkpoint.Values) error {
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
				w.problems.add("tensor %s: from row %d: %v", t.Name, (first+i)*kernels.PackRows, err)
				return errValues
			}
		}
		_, err := g.Write(w.bytes)
		return err
	})
	if err != nil {
		return err
	}
	return writeScales(g, t.Name, cols, scales, groups)
}

// writeScales writes the parts of a packed matrix that follow its weights.
func writeScales(g *weights.GGUFWriter, name string, cols int, scale, group []byte) error {
	if err := writePart(g, name+tensors.ScaleSuffix, scale); err != nil {
		return err
	}
	if len(group) > 0 {
		if err := writePart(g, name+tensors.GroupSuffix, group); err != nil {
			return err
		}
	}
	if cols == quant.StoredCols(cols) {
		return nil
	}
	return writePart(g, name+tensors.ColumnsSuffix, binary.LittleEndian.AppendUint32(nil, uint32(cols)))
}

func writePart(g *weights.GGUFWriter, name string, data []byte) error {
	if err := g.Begin(name); err != nil {
		return err
	}
	_, err := g.Write(data)
	return err
}

// pieces reads t and calls f with so many rows, a multiple of unit, from row r on. Values
// that are not finite are a problem; f is not called with them, nor with what follows.
func (w *converter) pieces(t *checkpoint.Weight, rows, cols, unit int, read checkpoint.Values, f func(v []float32, r int) error) error {
	step := max(1, pieceValues/max(cols*unit, 1)) * unit
	bad, first := 0, 0
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		v := grow(&w.values, n*cols)
		if err := read(v, r*cols); err != nil {
			return err
		}
		for i, x := range v {
			if x-x != 0 { // infinite or NaN
				if bad++; bad == 1 {
					first = r*cols + i
				}
			}
		}
		if bad == 0 {
			if err := f(v, r); err != nil {
				return err
			}
		}
		if err := w.report(t.Size()*int64(r+n)/int64(rows) - t.Size()*int64(r)/int64(rows)); err != nil {
			return err
		}
	}
	if bad > 0 {
		w.problems.add("tensor %s: %d of %d values are not finite, the first is number %d", t.Name, bad, rows*cols, first)
		return errValues
	}
	return nil
}

// lines returns the number and length of rows along the last dimension, in which blocks run.
func lines(t *checkpoint.Weight) (rows, cols int) {
	cols = 1
	if len(t.Shape) > 0 {
		cols = t.Shape[len(t.Shape)-1]
	}
	return t.Len() / max(cols, 1), cols
}

// scan looks for bad values in weights of which no file will be made, and returns all
// problems together.
func (w *converter) scan(list []checkpoint.Weight, notes []string) error {
	for i := range list {
		t := &list[i]
		read, err := t.Open()
		if err == nil {
			rows, cols := lines(t)
			err = w.pieces(t, rows, cols, 1, read, func([]float32, int) error { return nil })
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err != nil && !errors.Is(err, errValues) {
			w.problems.add("tensor %s: %v", t.Name, err)
		}
		w.release()
	}
	w.problems.Notes = notes
	return &w.problems
}

// maxGrid bounds the side of a grid of positions: four times that of the published towers.
const maxGrid = 128

// resample fits the position embedding of a tower to the grid of c.
func resample(t *checkpoint.Weight, c Config) {
	for _, tower := range c.Towers {
		n := vision.NamesOf(tower.Kind)
		d, to := tower.Width, tower.ImageSize/tower.PatchSize
		if t.Name != n.Prefix+n.Pos || n.Square {
			continue
		}
		class := n.Class * d
		from := vision.Side(max(t.Len()/d-n.Class, 0))
		if from == to || from < 1 || to > maxGrid || t.Len() != class+from*from*d {
			return // as it should be, or a problem
		}
		shape := slices.Clone(t.Shape)
		shape[len(shape)-2] = n.Class + to*to
		*t = t.As(shape, func(v []float32) []float32 {
			return append(slices.Clip(v[:class]), vision.Resample(v[class:], from, to, d)...)
		})
		return
	}
}

func tooLargeForHalf(v float32) bool {
	return math.Abs(float64(v)) >= 65520 && !math.IsInf(float64(v), 0)
}

// release lets go of what was read.
func (w *converter) release() {
	for _, f := range w.files {
		f.Release()
	}
}

// report tells of n more bytes, and whether to go on.
func (w *converter) report(n int64) error {
	w.done += n
	if w.progress != nil {
		w.progress(w.done, w.total)
	}
	return w.ctx.Err()
}
