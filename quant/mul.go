package quant

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
)

// Scratch is the working memory of multiplications: quantised activations and the
// description of the product in progress. It serves one goroutine at a time, grows
// to the largest product it has seen and does not allocate after that.
type Scratch struct {
	pool  *Pool
	done  <-chan struct{}
	q     []int8
	scale []float32
	sum   []int32

	product product
	run     func(int) // product.strip, made once: a closure per call would allocate

	packed    packedProduct
	runPacked func(int)        // packedStrip
	runTiles  func(int)        // quantizeTile
	unpacked  buffers[int8]    // for row tiles of int4
	padded    buffers[float32] // for tiles of vectors of a matrix with added columns

	columns, squares []float32 // of a Hessian and its factor
}

// NewScratch returns a Scratch whose products run on p; nil means the calling
// goroutine alone.
func NewScratch(p *Pool) *Scratch {
	s := &Scratch{pool: p}
	s.run, s.runPacked, s.runTiles = s.strip, s.packedStrip, s.quantizeTile
	return s
}

// Pool returns the pool given to NewScratch.
func (s *Scratch) Pool() *Pool { return s.pool }

// Until makes the products that follow, and what else goes through Run, end between two
// strips once done is closed. Results are then incomplete, and whoever closed it has to
// look after each computation whether it did. Nil ends that.
func (s *Scratch) Until(done <-chan struct{}) { s.done = done }

// Ended reports whether what was given to Until is closed.
func (s *Scratch) Ended() bool { return closed(s.done) }

// Run runs strips on the pool, until what was given to Until.
func (s *Scratch) Run(strips int, f func(strip int)) { s.pool.RunUntil(s.done, strips, f) }

// product is one Mul: a grid of strips, each a tile of some rows of the matrix by
// some of the vectors.
type product struct {
	m       *Matrix
	dst, x  []float32
	n       int
	rows    int // rows of a strip
	vectors int // vectors of a strip
	across  int // strips that cover all rows
}

// stripWork bounds the multiplications of one strip, so that a kernel call stays
// well below 100 microseconds; stripLeast keeps the bookkeeping small beside it.
const (
	stripWork  = 1 << 18
	stripLeast = 1 << 13
)

// Mul computes dst = x Wᵀ: dst [n, Rows], x [n, Cols], so that dst[i] = W x[i]. dst
// must not overlap x. For Q8_0 and Q4_0 the activations are first quantised to
// int8, 32 values to a scale (kernels.QuantizeActs), for P8 and P4 256 values to a
// scale (kernels.QuantizeTile). Every row of the result has the same bits whatever n
// and whatever the number of workers.
//
// Mul panics when n < 1 or a length does not match.
func (m *Matrix) Mul(s *Scratch, dst, x []float32, n int) {
	if n < 1 || len(dst) != n*m.rows || len(x) != n*m.cols {
		panic(fmt.Sprintf("quant: Mul: dst %d, x %d values for %d vectors and a %d x %d matrix", len(dst), len(x), n, m.rows, m.cols))
	}
	if m.rows == 0 {
		return
	}
	if m.observe != nil {
		m.observe(x, n)
	}
	if m.t.Packed() {
		s.mulPacked(m, dst, x, n)
		return
	}
	if m.t == Q8_0 || m.t == Q4_0 {
		s.quantize(x)
	}
	p := &s.product
	*p = product{m: m, dst: dst, x: x, n: n}
	p.split(s.pool.Workers())
	s.Run(p.across*((n+p.vectors-1)/p.vectors), s.run)
	*p = product{} // keep nothing of the caller's alive
}

// split chooses the strips: about four per worker, within the bounds, eight rows and
// twelve vectors or multiples, which divides into the tiles of every kernel.
func (p *product) split(workers int) {
	cols := int64(max(p.m.cols, 1))
	work := int64(p.m.rows) * int64(p.n) * cols / int64(4*workers)
	dots := int(max(min(work, stripWork), stripLeast) / cols)
	p.vectors = p.n
	if p.n > 12 {
		p.vectors = max(dots/16/12*12, 12)
	}
	p.rows = max(dots/p.vectors&^7, 8)
	p.across = (p.m.rows + p.rows - 1) / p.rows
}

func (s *Scratch) strip(i int) {
	p := &s.product
	m := p.m
	r0 := i % p.across * p.rows
	v0 := i / p.across * p.vectors
	rows := min(p.rows, m.rows-r0)
	n := min(p.vectors, p.n-v0)

	w := m.strip(r0, r0+rows)
	dst := p.dst[v0*m.rows+r0:]
	a, b := v0*m.cols, (v0+n)*m.cols
	switch m.t {
	case F32:
		kernels.MulF32(dst, m.rows, w, p.x[a:b], rows, m.cols, n)
	case F16:
		kernels.MulF16(dst, m.rows, w, p.x[a:b], rows, m.cols, n)
	case BF16:
		kernels.MulBF16(dst, m.rows, w, p.x[a:b], rows, m.cols, n)
	case Q8_0:
		kernels.MulQ8(dst, m.rows, w, s.q[a:b], s.scale[a/kernels.Block:b/kernels.Block], s.sum[a/kernels.Block:b/kernels.Block], rows, m.cols, n)
	case Q4_0:
		kernels.MulQ4(dst, m.rows, w, s.q[a:b], s.scale[a/kernels.Block:b/kernels.Block], s.sum[a/kernels.Block:b/kernels.Block], rows, m.cols, n)
	}
}

// quantize fills the activation buffers from x.
func (s *Scratch) quantize(x []float32) {
	s.grow(len(x), len(x)/kernels.Block)
	kernels.QuantizeActs(s.q, s.scale, s.sum, x)
}

// grow gives the activation buffers room for n values with that many scales.
func (s *Scratch) grow(n, scales int) {
	if cap(s.q) < n {
		s.q = make([]int8, n)
		s.scale = make([]float32, n/kernels.Block)
		s.sum = make([]int32, n/kernels.Block)
	}
	s.q, s.scale, s.sum = s.q[:n], s.scale[:scales], s.sum[:n/kernels.Block]
}
