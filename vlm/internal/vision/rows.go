package vision

import (
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// rowJob runs one elementwise operation over the rows of a matrix, a strip of
// rows at a time on the workers of a pool.
type rowJob struct {
	run func(int)

	op          rowOp
	dst, src    []float32 // [n, width]
	n, width    int
	weight      []float32
	bias        []float32
	eps         float32
	act         Activation
	rowsInStrip int
}

type rowOp uint8

const (
	opNorm     rowOp = iota // dst = norm(src)
	opBias                  // dst += bias
	opActivate              // dst = act(dst + bias)
	opResidual              // dst += weight*(src + bias), nil weight for 1; overwrites src
	opGate                  // dst *= sigmoid(src); overwrites src
)

// stripValues is the size of a strip: small enough for the cost of the most
// expensive operation, an activation, to stay near 100 microseconds.
const stripValues = 1 << 13

func (j *rowJob) do(s *quant.Scratch) {
	j.n = len(j.dst) / j.width
	j.rowsInStrip = max(1, stripValues/j.width)
	s.Run((j.n+j.rowsInStrip-1)/j.rowsInStrip, j.run)
	*j = rowJob{run: j.run} // keep nothing of the caller's alive
}

func (j *rowJob) strip(i int) {
	a := i * j.rowsInStrip
	for b := min(a+j.rowsInStrip, j.n); a < b; a++ {
		d := j.dst[a*j.width:][:j.width]
		switch j.op {
		case opNorm:
			kernels.LayerNorm(d, j.src[a*j.width:][:j.width], j.weight, j.bias, j.eps)
		case opBias:
			kernels.Add(d, d, j.bias)
		case opActivate:
			kernels.Add(d, d, j.bias)
			activations[j.act].apply(d, d)
		case opResidual:
			s := j.src[a*j.width:][:j.width]
			kernels.Add(s, s, j.bias)
			if j.weight != nil {
				kernels.Mul(s, s, j.weight)
			}
			kernels.Add(d, d, s)
		case opGate:
			s := j.src[a*j.width:][:j.width]
			kernels.Sigmoid(s, s)
			kernels.Mul(d, d, s)
		}
	}
}

// norm writes the layer norm of the rows of src to dst.
func (w *Work) norm(dst, src []float32, n *norm) {
	j := &w.rows
	j.op, j.dst, j.src, j.width = opNorm, dst, src, len(n.weight)
	j.weight, j.bias, j.eps = n.weight, n.bias, n.eps
	j.do(w.scratch)
}

// addBias adds a vector to every row of dst.
func (w *Work) addBias(dst, bias []float32) {
	j := &w.rows
	j.op, j.dst, j.width, j.bias = opBias, dst, len(bias), bias
	j.do(w.scratch)
}

// activate adds a bias to the rows of dst and applies the activation.
func (w *Work) activate(dst, bias []float32, a Activation) {
	j := &w.rows
	j.op, j.dst, j.width, j.bias, j.act = opActivate, dst, len(bias), bias, a
	j.do(w.scratch)
}

// residual adds src and a bias, times scale unless that is nil, to dst; it overwrites src.
func (w *Work) residual(dst, src, bias, scale []float32) {
	j := &w.rows
	j.op, j.dst, j.src, j.width, j.bias, j.weight = opResidual, dst, src, len(bias), bias, scale
	j.do(w.scratch)
}

// gate multiplies dst by the sigmoid of src, rows of width values; it overwrites
// src.
func (w *Work) gate(dst, src []float32, width int) {
	j := &w.rows
	j.op, j.dst, j.src, j.width = opGate, dst, src, width
	j.do(w.scratch)
}
