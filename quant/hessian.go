package quant

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
)

// Observed returns m with an observer: f is called with the n vectors x [n, Cols] of
// every product, before it is computed and in the goroutine that computes it. x is
// borrowed for the call.
func (m *Matrix) Observed(f func(x []float32, n int)) *Matrix {
	o := *m
	o.observe = f
	return &o
}

// Hessian is Σ xxᵀ over the vectors that a matrix is multiplied with: half the second
// derivative, for each of its rows, of the squared error of the products. It belongs to
// one goroutine at a time.
type Hessian struct {
	size    int
	sum     []float32 // the lower triangle, row after row; see at
	count   int       // vectors taken in
	scratch *Scratch

	pending int       // vectors that wait in rows
	rows    []float32 // [hessianWaiting, size]
}

const (
	hessianWaiting = 128 // vectors that are added together
	hessianRows    = 128 // rows of the sum that are computed together
)

// NewHessian returns the sum over no vectors of size values. Its products run on s, which
// it may share with others of the same goroutine.
func NewHessian(size int, s *Scratch) *Hessian {
	return &Hessian{size: size, sum: make([]float32, at(size, 0)), scratch: s}
}

// HessianBytes returns the memory that a Hessian of vectors of size values takes, without
// its scratch.
func HessianBytes(size int) int64 { return 4 * int64(at(size, 0)+hessianWaiting*size) }

// at returns the index of row i, column j of a lower triangle.
func at(i, j int) int { return i*(i+1)/2 + j }

// Add takes in n vectors, x [n, size]. It panics when the length does not match.
func (h *Hessian) Add(x []float32, n int) {
	if len(x) != n*h.size {
		panic(fmt.Sprintf("quant: Hessian.Add: %d values for %d vectors of %d", len(x), n, h.size))
	}
	if h.rows == nil {
		h.rows = make([]float32, hessianWaiting*h.size)
	}
	h.count += n
	for len(x) > 0 {
		copied := copy(h.rows[h.pending*h.size:], x)
		x = x[copied:]
		if h.pending += copied / h.size; h.pending == hessianWaiting {
			h.flush()
		}
	}
}

// Count returns the number of vectors taken in.
func (h *Hessian) Count() int { return h.count }

// flush adds the vectors that wait.
func (h *Hessian) flush() {
	t, c, s := h.pending, h.size, h.scratch
	if t == 0 {
		return
	}
	columns := grown(&s.columns, t*c)
	transpose(columns, h.rows, t, c, s.pool)
	for r := 0; r < c; r += hessianRows {
		n := min(hessianRows, c-r)
		// Rows r to r+n of the triangle, with what is right of the diagonal in them.
		p := grown(&s.squares, n*(r+n))
		FromF32(r+n, t, columns[:(r+n)*t]).Mul(s, p, columns[r*t:][:n*t], n)
		s.pool.Run(n, func(i int) {
			row := h.sum[at(r+i, 0):][:r+i+1]
			kernels.Add(row, row, p[i*(r+n):][:r+i+1])
		})
	}
	h.pending = 0
}

// transpose sets dst [cols, rows] to src [rows, cols].
func transpose(dst, src []float32, rows, cols int, p *Pool) {
	const strip = 16 // columns, a line of the cache
	p.Run((cols+strip-1)/strip, func(i int) {
		for c := i * strip; c < min((i+1)*strip, cols); c++ {
			d := dst[c*rows:][:rows]
			for r := range d {
				d[r] = src[r*cols+c]
			}
		}
	})
}

// diagonal returns the sum of squares of each value, and their mean.
func (h *Hessian) diagonal() (d []float32, mean float64) {
	d = make([]float32, h.size)
	for i := range d {
		d[i] = h.sum[at(i, i)]
		mean += float64(d[i]) / float64(h.size)
	}
	return d, mean
}

// grown returns a buffer of n values, *p if that is large enough.
func grown(p *[]float32, n int) []float32 {
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	return (*p)[:n]
}
