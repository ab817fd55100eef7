package vision

import "github.com/visualrwkv/edged/quant"

// binder reads weights below a prefix and keeps the first error, so that the
// fields of a layer can be listed without a check after each.
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

// linear is a matrix with a bias.
type linear struct {
	w    *quant.Matrix
	bias []float32
}

// linear reads name.weight [out, in] and name.bias [out]; -1 accepts any size.
func (b *binder) linear(name string, out, in int) linear {
	w := b.matrix(name+".weight", out, in)
	if w != nil {
		out = w.Rows()
	}
	return linear{w, b.vector(name+".bias", out)}
}

// norm is a layer norm with its affine part.
type norm struct {
	weight, bias []float32
	eps          float32
}

func (b *binder) norm(name string, n int, eps float32) norm {
	return norm{b.vector(name+".weight", n), b.vector(name+".bias", n), eps}
}
