package rwkv

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// lowRank is one matrix of a LoRA, stored [in, out] and applied as xᵀW. In half
// precision, as model files have it, it is used where the file lies.
type lowRank struct {
	in, out int
	w       []float32
	half    []byte // instead of w
}

// down reads the first matrix of a LoRA, [in, width] with a width that is a
// multiple of branches.
func (b *binder) down(name string, in, branches int) lowRank {
	if b.err != nil {
		return lowRank{}
	}
	shape := b.l.Shape(b.at(name))
	if len(shape) != 2 || shape[0] != in || shape[1] <= 0 || shape[1]%branches != 0 {
		b.err = fmt.Errorf("tensor %s: shape %v, want [%d, %d x width]", b.at(name), shape, in, branches)
		return lowRank{}
	}
	return b.lowRanks(name, 1, in, shape[1])[0]
}

// ups reads the second matrices of a LoRA, [branches, width, out] or [width,
// out].
func (b *binder) ups(name string, branches, width, out int) []lowRank {
	return b.lowRanks(name, branches, width, out)
}

// lowRanks reads n matrices that lie one after another in one tensor.
func (b *binder) lowRanks(name string, n, in, out int) []lowRank {
	ms := make([]lowRank, n)
	size := in * out
	if m := b.matrix(name, -1, -1); b.err == nil && m.Type() == quant.F16 && m.Rows()*m.Cols() == n*size {
		for i := range ms {
			ms[i] = lowRank{in: in, out: out, half: m.Bytes()[2*i*size:][:2*size]}
		}
		return ms
	}
	w := b.vector(name, n*size)
	if b.err != nil {
		return ms
	}
	for i := range ms {
		ms[i] = lowRank{in: in, out: out, w: w[i*size:][:size]}
	}
	return ms
}

// lowRankJob is one product with a lowRank, in strips of some columns of one row, or of a
// few. With mu it is the second product of an interpolation, and a strip goes on to leave
// h + (prev-h)*(mu+product) in w.in while the product is in the nearest cache.
type lowRankJob struct {
	w       *Work
	m       lowRank
	dst, x  []float32
	mu      []float32
	n, rows int // in all, and in a strip
	parts   int // strips of a row
	run     func(strip int)
}

// stripRows is how many rows a strip has, where there are so many: kernels convert weights
// once for that many.
const stripRows = 4

// partColumns is the least number of columns in a strip of one row: shorter pieces of the
// weights' rows would leave the machine's prefetching behind. Several rows at a time read
// weights more slowly than memory gives them.
const (
	partColumns     = 64
	partColumnsMany = 32
)

func (j *lowRankJob) strip(i int) {
	m, t, part := &j.m, i/j.parts*j.rows, i%j.parts
	rows := min(j.rows, j.n-t)
	dst, x := j.dst[t*m.out:][:rows*m.out], j.x[t*m.in:][:rows*m.in]
	width := (m.out/j.parts + 7) &^ 7
	from, to := min(part*width, m.out), min((part+1)*width, m.out)
	if part == j.parts-1 {
		to = m.out
	}
	if m.half != nil {
		kernels.LowRankF16(dst, x, m.half, rows, m.in, m.out, from, to)
	} else {
		kernels.LowRank(dst, x, m.w, rows, m.in, m.out, from, to)
	}
	if j.mu == nil {
		return
	}
	w := j.w
	for r := t; r < t+rows; r++ {
		a, b := r*m.out+from, r*m.out+to
		kernels.LerpAdd(w.in[a:b], w.h[a:b], w.prev[a:b], j.mu[from:to], j.dst[a:b])
	}
}

// mul sets dst [n, out] = x [n, in] W.
func (m lowRank) mul(w *Work, dst, x []float32, n int) { m.mulLerp(w, dst, x, n, nil) }

// mulLerp is mul, and with mu leaves h + (prev-h)*(mu+dst) in w.in.
func (m lowRank) mulLerp(w *Work, dst, x []float32, n int, mu []float32) {
	j := &w.low
	j.w, j.m, j.dst, j.x, j.mu, j.n, j.rows, j.parts = w, m, dst, x, mu, n, 1, 1
	columns := partColumns
	if n >= stripRows {
		j.rows, columns = stripRows, partColumnsMany
	}
	strips, workers := (n+j.rows-1)/j.rows, w.scratch.Pool().Workers()
	if strips < workers {
		j.parts = max(min((2*workers+strips-1)/strips, m.out/columns), 1)
	}
	w.strips(strips*j.parts, n*m.in*m.out, j.run)
}

// lora is a product of two small matrices, with whatever comes between.
type lora struct{ down, up lowRank }

// lora reads the pair name1 [in, width] and name2 [width, out].
func (b *binder) lora(name string, in, out int) lora {
	l := lora{down: b.down(name+"1", in, 1)}
	l.up = b.ups(name+"2", 1, l.down.out, out)[0]
	return l
}

// mul sets dst [n, out] = up(f(down(w.in))); f may be nil.
func (l lora) mul(w *Work, dst []float32, n int, f func(dst, x []float32)) {
	z := w.zb[:n*l.down.out]
	l.down.mul(w, z, w.in, n)
	if f != nil {
		f(z, z)
	}
	l.up.mul(w, dst, z, n)
}

// lerp is the data-dependent interpolation between a token x and the one
// before it (ddlerp): with δ = before - x,
//
//	z = tanh((x + δ⊙μ_x)ᵀ A), split into branches,
//	branch b = x + δ⊙(μ_b + z_bᵀ B_b)
type lerp struct {
	base []float32   // μ_x [C]
	down lowRank     // A [C, branches*width]
	mu   [][]float32 // μ_b [C]
	up   []lowRank   // B_b [width, C]
}

// lerp binds the branches, in the order in which they lie in the LoRA. base is
// the name of μ_x, lora the common start of the names of A and B, and mus name
// the μ_b.
func (b *binder) lerp(c int, base, lora string, mus ...string) lerp {
	l := lerp{base: b.vector(base, c), down: b.down(lora+"1", c, len(mus))}
	l.up = b.ups(lora+"2", len(mus), l.down.out/len(mus), c)
	for _, m := range mus {
		l.mu = append(l.mu, b.vector(m, c))
	}
	return l
}

// start computes z for n rows.
func (l *lerp) start(w *Work, n int) {
	w.lerp(l.base)
	z := w.z[:n*l.down.out]
	l.down.mul(w, z, w.in, n)
	kernels.Tanh(z, z)
}

// branch leaves the input of branch b in w.in.
func (l *lerp) branch(w *Work, b, n int) {
	width, m := l.down.out, l.up[b].in
	z := w.z[b*m : (b+1)*m]
	if n > 1 {
		z = w.zb[:n*m]
		for t := range n {
			copy(z[t*m:(t+1)*m], w.z[t*width+b*m:])
		}
	}
	l.up[b].mulLerp(w, w.eps, z, n, l.mu[b])
}
