package rwkv7

import (
	"math"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// The kernels work on one row where the other operand is per channel; these
// run them over all rows.

// shift fills w.prev with the row before each row of w.h in its sequence. What
// lies before the first is kept in prev(state), which becomes the last row.
func (w *Work) shift(c int, segs []rwkv.Seg, prev func(*rwkv.State) []float32) {
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

// lora leaves up(f(down(in))) in dst; f may be nil.
func (w *Work) lora(dst []float32, l lora, f func(dst, x []float32)) {
	z := w.z[:w.n*l.width()]
	l.down.Mul(w.scratch, z, w.in, w.n)
	if f != nil {
		f(z, z)
	}
	l.up.Mul(w.scratch, dst, z, w.n)
}

func addRows(x, v []float32) {
	for o := 0; o < len(x); o += len(v) {
		kernels.Add(x[o:o+len(v)], x[o:o+len(v)], v)
	}
}

func mulRows(dst, x, v []float32) {
	for o := 0; o < len(x); o += len(v) {
		kernels.Mul(dst[o:o+len(v)], x[o:o+len(v)], v)
	}
}

func scale(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}

// normalize gives each part of size values of x the length 1.
func normalize(x []float32, size int) {
	for o := 0; o < len(x); o += size {
		var sum float64
		for _, v := range x[o:][:size] {
			sum += float64(float64(v) * float64(v))
		}
		scale(x[o:][:size], float32(1/max(math.Sqrt(sum), l2Eps)))
	}
}

func layerNorm(dst, x []float32, nm norm, d rwkv.Dims) {
	for o := 0; o < len(x); o += d.C {
		kernels.LayerNorm(dst[o:o+d.C], x[o:o+d.C], nm.w, nm.b, d.LNEps)
	}
}

func groupNorm(x []float32, nm norm, d rwkv.Dims) {
	for o := 0; o < len(x); o += d.C {
		kernels.GroupNorm(x[o:o+d.C], x[o:o+d.C], nm.w, nm.b, d.H, d.GNEps)
	}
}
