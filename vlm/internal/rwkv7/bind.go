package rwkv7

import (
	"fmt"

	"github.com/visualrwkv/edged/quant"
)

// binder reads weights and keeps the first error, so that a block's fields can
// be listed without a check after each.
type binder struct {
	l      quant.Loader
	prefix string
	err    error
}

func (b *binder) matrix(name string, rows, cols int) *quant.Matrix {
	if b.err != nil {
		return nil
	}
	var m *quant.Matrix
	m, b.err = b.l.Matrix(b.prefix+name, rows, cols)
	return m
}

func (b *binder) vector(name string, n int) []float32 {
	if b.err != nil {
		return nil
	}
	var v []float32
	v, b.err = b.l.Vector(b.prefix+name, n)
	return v
}

// norm is the affine part of a layer norm or group norm.
type norm struct{ w, b []float32 }

func (b *binder) norm(name string, n int) norm {
	return norm{b.vector(name+".weight", n), b.vector(name+".bias", n)}
}

// lora is a product of two small matrices, with whatever comes between.
type lora struct{ down, up *quant.Matrix }

// lora reads the pair name1 [in, width] and name2 [width, out]. Files have them the other
// way round than a [quant.Matrix] acts, so they are copied.
func (b *binder) lora(name string, in, out int) lora {
	shape := b.l.Shape(b.prefix + name + "1")
	if b.err == nil && (len(shape) != 2 || shape[0] != in || shape[1] < 1) {
		b.err = fmt.Errorf("tensor %s1: shape %v, want [%d, width]", b.prefix+name, shape, in)
	}
	if b.err != nil {
		return lora{}
	}
	return lora{b.transposed(name+"1", in, shape[1]), b.transposed(name+"2", shape[1], out)}
}

func (l lora) width() int { return l.down.Rows() }

// transposed reads a matrix [rows, cols] as [cols, rows]; half precision stays that.
func (b *binder) transposed(name string, rows, cols int) *quant.Matrix {
	m := b.matrix(name, rows, cols)
	if b.err != nil {
		return nil
	}
	size := map[quant.Type]int{quant.F32: 4, quant.F16: 2, quant.BF16: 2}[m.Type()]
	if size == 0 {
		src, dst := b.vector(name, rows*cols), make([]float32, rows*cols)
		if b.err != nil {
			return nil
		}
		for i := range rows {
			for j := range cols {
				dst[j*rows+i] = src[i*cols+j]
			}
		}
		return quant.FromF32(cols, rows, dst)
	}
	src, dst := m.Bytes(), make([]byte, len(m.Bytes()))
	for i := range rows {
		for j := range cols {
			copy(dst[(j*rows+i)*size:][:size], src[(i*cols+j)*size:])
		}
	}
	m, b.err = quant.NewMatrix(m.Type(), cols, rows, dst)
	return m
}
