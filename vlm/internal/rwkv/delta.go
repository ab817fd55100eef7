package rwkv

import (
	"math"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// deltaMix is the time mixing of RWKV-7 (section 8.3), the generalised delta rule: a
// matrix-valued state per head from which each token removes what lies under one key, at a
// learning rate of its own, and adds its value under another. The token shift is a plain
// interpolation.
type deltaMix struct {
	muR, muW, muK, muV, muA, muG []float32 // [C], of the token shift

	decay, rate []float32 // w0, a0 [C]
	decayLoRA   lora      // w1, w2
	rateLoRA    lora      // a1, a2
	gateLoRA    lora      // g1, g2

	residual     []float32 // v0 [C]; nil in block 0, whose values the others mix in
	residualLoRA lora      // v1, v2

	removal []float32 // k_k [C]: removal key from key
	replace []float32 // k_a [C]: how far the rate scales the key
	bonus   []float32 // r_k [H,N]

	recept, key, value, output *quant.Matrix // [C, C]
	lnx                        norm
}

func bindDeltaMix(b *binder, d Dims, layer int) *deltaMix {
	c := d.C
	m := &deltaMix{
		muR: b.vector("att.x_r", c), muW: b.vector("att.x_w", c), muK: b.vector("att.x_k", c),
		muV: b.vector("att.x_v", c), muA: b.vector("att.x_a", c), muG: b.vector("att.x_g", c),
		decay: b.vector("att.w0", c), decayLoRA: b.lora("att.w", c, c),
		rate: b.vector("att.a0", c), rateLoRA: b.lora("att.a", c, c),
		gateLoRA: b.lora("att.g", c, c),
		removal:  b.vector("att.k_k", c), replace: b.vector("att.k_a", c), bonus: b.vector("att.r_k", c),
		recept: b.matrix("att.receptance.weight", c, c), key: b.matrix("att.key.weight", c, c),
		value: b.matrix("att.value.weight", c, c), output: b.matrix("att.output.weight", c, c),
		lnx: b.norm("att.ln_x", c),
	}
	if layer > 0 {
		m.residual, m.residualLoRA = b.vector("att.v0", c), b.lora("att.v", c, c)
	}
	return m
}

func (m *deltaMix) loraWidth() int {
	return max(m.decayLoRA.down.out, m.rateLoRA.down.out, m.gateLoRA.down.out, m.residualLoRA.down.out)
}

// forward takes the n layer-normed rows in w.h and leaves the sub-layer's output in w.eps.
// In block 0 it leaves the values of the rows in w.first, for the blocks that follow.
func (m *deltaMix) forward(w *Work, d Dims, layer, n int, segs []Seg) {
	for _, p := range []*[]float32{&w.a, &w.kappa, &w.first} {
		grow(p, n*d.C)
	}
	w.shift(d.C, segs, func(s *State) []float32 { return s.blocks[layer].shiftAtt })

	w.lerp(m.muR)
	m.recept.Mul(w.scratch, w.r, w.in, n)

	// exp(-exp(-softplus(-u) - 1/2)), with exp(-softplus(-u)) = sigmoid(u).
	w.lerp(m.muW)
	m.decayLoRA.mul(w, w.w, n, kernels.Tanh)
	addRows(w.w, m.decay)
	kernels.Sigmoid(w.w, w.w)
	scale(w.w, -float32(math.Exp(-0.5)))
	kernels.Exp(w.w, w.w)

	w.lerp(m.muK)
	m.key.Mul(w.scratch, w.k, w.in, n)

	w.lerp(m.muV)
	m.value.Mul(w.scratch, w.v, w.in, n)
	if m.residual == nil {
		copy(w.first, w.v)
	} else {
		m.residualLoRA.mul(w, w.y, n, nil)
		addRows(w.y, m.residual)
		kernels.Sigmoid(w.y, w.y)
		kernels.Lerp(w.v, w.v, w.first, w.y)
	}

	w.lerp(m.muA)
	m.rateLoRA.mul(w, w.a, n, nil)
	addRows(w.a, m.rate)
	kernels.Sigmoid(w.a, w.a)

	w.lerp(m.muG)
	m.gateLoRA.mul(w, w.g, n, kernels.Sigmoid)

	mulRows(w.kappa, w.k, m.removal)
	normalize(w.kappa, d.N)
	m.scaleKeys(w)

	j := &w.delta
	j.w, j.d, j.layer, j.segs = w, d, layer, segs
	w.strips(len(segs)*d.H, n*d.StateLen(), j.run)
	j.segs = nil
	groupNorm(w.y, m.lnx, d)
	m.addBonus(w, d.N)
	kernels.Mul(w.y, w.y, w.g)
	m.output.Mul(w.scratch, w.eps, w.y, n)
	w.emit(layer, "att_out", w.eps)
}

// deltaJob is one pass of the recurrence over all rows, in the strips of wkvJob. It reads
// w.r, w.k, w.v, w.w (the decay), w.kappa and w.a and writes w.y.
type deltaJob struct {
	w     *Work
	d     Dims
	layer int
	segs  []Seg
	run   func(strip int)
}

func (j *deltaJob) head(strip int) {
	w, c, n := j.w, j.d.C, j.d.N
	seg, head, row := place(j.segs, j.d.H, strip)
	s := seg.State.blocks[j.layer].wkv[head*n*n:][:n*n]
	o := row*c + head*n
	kernels.WKV7(w.y[o:], s, w.r[o:], w.k[o:], w.v[o:], w.w[o:], w.kappa[o:], w.a[o:], seg.N, c, 1, n)
}

// addBonus adds what the token says of itself, (Σ_i r[i]*k[i]*bonus[i]) * v per head.
func (m *deltaMix) addBonus(w *Work, size int) {
	c := len(m.bonus)
	for o := 0; o < len(w.y); o += size {
		u := m.bonus[o%c:][:size]
		r, k, v, y := w.r[o:][:size], w.k[o:][:size], w.v[o:][:size], w.y[o:][:size]
		var sum float32
		for i, b := range u {
			sum += float32(float32(r[i]*k[i]) * b)
		}
		for i, x := range v {
			y[i] += float32(sum * x)
		}
	}
}

// scaleKeys sets k = k*(1+(a-1)*replace) in all rows.
func (m *deltaMix) scaleKeys(w *Work) {
	c := len(m.replace)
	for o := 0; o < len(w.k); o += c {
		k, a := w.k[o:][:c], w.a[o:][:c]
		for i, mu := range m.replace {
			k[i] *= 1 + float32((a[i]-1)*mu)
		}
	}
}

// l2Eps is the least length that a removal key is divided by.
const l2Eps = 1e-12

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

func scale(x []float32, by float32) {
	for i := range x {
		x[i] *= by
	}
}

func mulRows(dst, x, v []float32) {
	c := len(v)
	for o := 0; o < len(x); o += c {
		kernels.Mul(dst[o:o+c], x[o:o+c], v)
	}
}
