package rwkv

import "github.com/visualrwkv/edged/kernels"

// wkvJob is one pass of the recurrence over all rows, split into strips of one
// head of one sequence. It reads w.r, w.k, w.v, w.w (the decay) and writes w.y.
type wkvJob struct {
	w     *Work
	d     Dims
	layer int
	segs  []Seg
	bonus []float32 // nil: advance the state only
	run   func(strip int)
}

// recur runs the recurrence. Without a bonus only the states are advanced and
// w.y is not meaningful.
func recur(w *Work, d Dims, layer, n int, segs []Seg, bonus []float32) {
	j := &w.wkv
	j.w, j.d, j.layer, j.segs, j.bonus = w, d, layer, segs, bonus
	w.strips(len(segs)*d.H, n*d.StateLen(), j.run)
	j.segs = nil
}

func (j *wkvJob) head(strip int) {
	w, c, n := j.w, j.d.C, j.d.N
	seg, head, row := place(j.segs, j.d.H, strip)
	s := seg.State.blocks[j.layer].wkv[head*n*n:][:n*n]
	o := row*c + head*n
	r, k, u := w.r[o:], w.k[o:], j.bonus
	if u == nil {
		// What is read is thrown away, so anything will do as a query.
		r, u = k, k[:n]
	} else {
		u = u[head*n:][:n]
	}
	kernels.WKV6(w.y[o:], s, r, k, w.v[o:], w.w[o:], u, seg.N, c, 1, n)
}

// readJob reads the image states with the queries in w.q, in the strips of
// wkvJob.
type readJob struct {
	w    *Work
	d    Dims
	segs []Seg
	dst  []float32
	run  func(strip int)
}

// readImage leaves p[j] = Σ_i q[i]·S_img[i,j], per head, in dst for the queries
// q in w.q.
func readImage(w *Work, d Dims, n int, segs []Seg, dst []float32) {
	j := &w.read
	j.w, j.d, j.segs, j.dst = w, d, segs, dst
	w.strips(len(segs)*d.H, n*d.StateLen(), j.run)
	j.segs = nil
}

func (j *readJob) head(strip int) {
	c, n := j.d.C, j.d.N
	seg, head, row := place(j.segs, j.d.H, strip)
	for t := row; t < row+seg.N; t++ {
		o := t*c + head*n
		p := j.dst[o : o+n]
		if seg.Image == nil {
			clear(p)
			continue
		}
		kernels.StateRead(p, seg.Image[head*n*n:][:n*n], j.w.q[o:o+n], 1, n)
	}
}

// place finds the sequence, the head and the first row of a strip.
func place(segs []Seg, heads, strip int) (seg *Seg, head, row int) {
	for i := range strip / heads {
		row += segs[i].N
	}
	return &segs[strip/heads], strip % heads, row
}

// parallelFrom is the number of multiplications from which sharing the work with
// other workers pays: some microseconds of it.
const parallelFrom = 1 << 15

// strips calls f for each of n strips, on the workers if the multiplications
// in all are worth it.
func (w *Work) strips(n, work int, f func(strip int)) {
	if work >= parallelFrom {
		w.scratch.Run(n, f)
		return
	}
	for i := range n {
		f(i)
	}
}
