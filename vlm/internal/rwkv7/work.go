package rwkv7

import (
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// Work holds the buffers for one caller of [Model.Forward]. They grow to what
// is asked of them once; after that nothing is allocated.
type Work struct {
	scratch *quant.Scratch
	trace   rwkv.Tracer

	n                                              int       // rows
	h, prev, in, r, k, v, w, a, g, kappa, y, first []float32 // [n, C]; first: the values of block 0
	z                                              []float32 // [n, LoRA width]
	f                                              []float32 // [n, F]

	wkv wkvJob
}

// NewWork returns buffers whose matrix products run on the workers of s.
// trace may be nil.
func NewWork(s *quant.Scratch, trace rwkv.Tracer) *Work {
	w := &Work{scratch: s, trace: trace}
	w.wkv.w = w
	w.wkv.run = w.wkv.head // once: a method value per call would be an allocation
	return w
}

func (w *Work) need(n int, m *Model) {
	width := 0
	for _, b := range m.blocks {
		width = max(width, b.att.loraWidth())
	}
	w.n = n
	for _, p := range []*[]float32{&w.h, &w.prev, &w.in, &w.r, &w.k, &w.v, &w.w, &w.a, &w.g, &w.kappa, &w.y, &w.first} {
		grow(p, n*m.dims.C)
	}
	grow(&w.z, n*width)
	grow(&w.f, n*m.dims.F)
}

// grow makes *p n long, reusing what is there.
func grow(p *[]float32, n int) {
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	*p = (*p)[:n]
}

func (w *Work) emit(layer int, name string, rows []float32) {
	if w.trace != nil {
		w.trace(layer, name, rows)
	}
}

// wkvJob is one pass of the recurrence over all rows, split into strips of one
// head of one sequence.
type wkvJob struct {
	w     *Work
	d     rwkv.Dims
	layer int
	segs  []rwkv.Seg
	run   func(strip int)
}

// parallelFrom is the number of multiplications from which sharing the work with
// other workers pays: some microseconds of it.
const parallelFrom = 1 << 15

// recur runs the recurrence over w.r, w.k, w.v, w.w, w.kappa and w.a into w.y.
func recur(w *Work, d rwkv.Dims, layer int, segs []rwkv.Seg) {
	j := &w.wkv
	j.d, j.layer, j.segs = d, layer, segs
	strips := len(segs) * d.H
	if w.n*d.StateLen() >= parallelFrom {
		w.scratch.Run(strips, j.run)
	} else {
		for i := range strips {
			j.run(i)
		}
	}
	j.segs = nil
}

func (j *wkvJob) head(strip int) {
	w, c, n := j.w, j.d.C, j.d.N
	seg, head := &j.segs[strip/j.d.H], strip%j.d.H
	o := head * n
	for i := range strip / j.d.H {
		o += j.segs[i].N * c
	}
	s := seg.State.WKV(j.layer)[head*n*n:][:n*n]
	kernels.WKV7(w.y[o:], s, w.r[o:], w.k[o:], w.v[o:], w.w[o:], w.kappa[o:], w.a[o:], seg.N, c, 1, n)
}
