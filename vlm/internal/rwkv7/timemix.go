package rwkv7

import (
	"math"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// timeMix is the recurrent sub-layer: a matrix-valued state per head from which each token
// removes what lies under one key, at a learning rate of its own, and adds its value under
// another.
type timeMix struct {
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

func bindTimeMix(b *binder, d rwkv.Dims, layer int) *timeMix {
	c := d.C
	m := &timeMix{
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

func (m *timeMix) loraWidth() int {
	w := max(m.decayLoRA.width(), m.rateLoRA.width(), m.gateLoRA.width())
	if m.residual != nil {
		w = max(w, m.residualLoRA.width())
	}
	return w
}

// forward takes the layer-normed rows in w.h and leaves the sub-layer's output in w.in.
func (m *timeMix) forward(w *Work, d rwkv.Dims, layer int, segs []rwkv.Seg) {
	w.shift(d.C, segs, func(s *rwkv.State) []float32 { att, _, _ := s.Shifts(layer); return att })

	w.lerp(m.muR)
	m.recept.Mul(w.scratch, w.r, w.in, w.n)

	// exp(-exp(-softplus(-u) - 1/2)), with exp(-softplus(-u)) = sigmoid(u).
	w.lerp(m.muW)
	w.lora(w.w, m.decayLoRA, kernels.Tanh)
	addRows(w.w, m.decay)
	kernels.Sigmoid(w.w, w.w)
	scale(w.w, -float32(math.Exp(-0.5)))
	kernels.Exp(w.w, w.w)

	w.lerp(m.muK)
	m.key.Mul(w.scratch, w.k, w.in, w.n)

	w.lerp(m.muV)
	m.value.Mul(w.scratch, w.v, w.in, w.n)
	if m.residual == nil {
		copy(w.first, w.v)
	} else {
		w.lora(w.y, m.residualLoRA, nil)
		addRows(w.y, m.residual)
		kernels.Sigmoid(w.y, w.y)
		kernels.Lerp(w.v, w.v, w.first, w.y)
	}

	w.lerp(m.muA)
	w.lora(w.a, m.rateLoRA, nil)
	addRows(w.a, m.rate)
	kernels.Sigmoid(w.a, w.a)

	w.lerp(m.muG)
	w.lora(w.g, m.gateLoRA, kernels.Sigmoid)

	mulRows(w.kappa, w.k, m.removal)
	normalize(w.kappa, d.N)
	scaleKeys(w.k, w.a, m.replace)

	recur(w, d, layer, segs)
	groupNorm(w.y, m.lnx, d)
	m.addBonus(w, d.N)
	kernels.Mul(w.y, w.y, w.g)
	m.output.Mul(w.scratch, w.in, w.y, w.n)
}

// addBonus adds what the token says of itself, (Σ_i r[i]*k[i]*bonus[i]) * v per head.
func (m *timeMix) addBonus(w *Work, size int) {
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

// scaleKeys sets k = k*(1+(a-1)*mu) in all rows.
func scaleKeys(k, a, mu []float32) {
	for o := 0; o < len(k); o += len(mu) {
		k, a := k[o:][:len(mu)], a[o:][:len(mu)]
		for i, m := range mu {
			k[i] *= 1 + float32((a[i]-1)*m)
		}
	}
}
