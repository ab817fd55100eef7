package rwkv

import "github.com/visualrwkv/edged/quant"

// binder reads weights and keeps the first error, so that a block's fields can
// be listed without a check after each.
type binder struct {
	l      quant.Loader
	prefix string
	err    error
}

func (b *binder) at(name string) string { return b.prefix + name }

func (b *binder) matrix(name string, rows, cols int) *quant.Matrix {
	if b.err != nil {
		return nil
	}
	var m *quant.Matrix
	m, b.err = b.l.Matrix(b.at(name), rows, cols)
	return m
}

func (b *binder) vector(name string, n int) []float32 {
	if b.err != nil {
		return nil
	}
	var v []float32
	v, b.err = b.l.Vector(b.at(name), n)
	return v
}

// norm reads the weight and bias of a norm over n channels.
func (b *binder) norm(name string, n int) norm {
	return norm{w: b.vector(name+".weight", n), b: b.vector(name+".bias", n)}
}

// norm is the affine part of a layer norm or group norm.
type norm struct{ w, b []float32 }

// Norm is a layer norm outside a block.
type Norm struct {
	n norm
	d Dims
}

// BindNorm reads the weight and bias of a layer norm over d.C channels.
func BindNorm(l quant.Loader, name string, d Dims) (*Norm, error) {
	b := &binder{l: l}
	n := b.norm(name, d.C)
	return &Norm{n, d.withDefaults()}, b.err
}

// Apply normalises the rows x [n, C] in place.
func (n *Norm) Apply(x []float32) { layerNorm(x, x, n.n, n.d) }
