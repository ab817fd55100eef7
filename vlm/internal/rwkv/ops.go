package rwkv

import "github.com/visualrwkv/edged/kernels"

// The kernels work on one row where the other operand is per channel; these
// run them over all rows.

// shift fills w.prev with the row before each row of w.h in its sequence. What
// lies before the first is kept in prev(state), which becomes the last row.
func (w *Work) shift(c int, segs []Seg, prev func(*State) []float32) {
	row := 0
	for i := range segs {
		a, b := row*c, (row+segs[i].N)*c
		p := prev(segs[i].State)
		copy(w.prev[a:], p)
		copy(w.prev[a+c:b], w.h[a:])
		copy(p, w.h[b-c:b])
		row += segs[i].N
	}
}

// lerp leaves h + (prev-h)*mu in w.in.
func (w *Work) lerp(mu []float32) {
	c := len(mu)
	for o := 0; o < len(w.in); o += c {
		kernels.Lerp(w.in[o:o+c], w.h[o:o+c], w.prev[o:o+c], mu)
	}
}

// addRows adds v to every row of x.
func addRows(x, v []float32) {
	c := len(v)
	for o := 0; o < len(x); o += c {
		kernels.Add(x[o:o+c], x[o:o+c], v)
	}
}

func layerNorm(dst, x []float32, nm norm, d Dims) {
	c := d.C
	for o := 0; o < len(x); o += c {
		kernels.LayerNorm(dst[o:o+c], x[o:o+c], nm.w, nm.b, d.LNEps)
	}
}

func groupNorm(x []float32, nm norm, d Dims) {
	c := d.C
	for o := 0; o < len(x); o += c {
		kernels.GroupNorm(x[o:o+c], x[o:o+c], nm.w, nm.b, d.H, d.GNEps)
	}
}
