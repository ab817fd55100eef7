package rwkv

import (
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// crossMix is the sub-layer of cross state mixing: a gated read of the image
// state with a token shift of its own and no recurrence.
//
//	r = W_r h^(r), g = silu(W_g h^(g)), p = rᵀ S_img per head, out = W_o(GN(p) ⊙ g)
//
// GN(0) is the norm's bias, so that a zero image state is not without effect.
type crossMix struct {
	lerp   lerp          // branches r, g
	recept *quant.Matrix // [C, C], as the next two
	gate   *quant.Matrix
	output *quant.Matrix
	lnx    norm
}

func bindCrossMix(b *binder, d Dims) *crossMix {
	return &crossMix{
		lerp:   b.lerp(d.C, "cross.time_maa_x", "cross.time_maa_w", "cross.time_maa_r", "cross.time_maa_g"),
		recept: b.matrix("cross.receptance.weight", d.C, d.C),
		gate:   b.matrix("cross.gate.weight", d.C, d.C),
		output: b.matrix("cross.output.weight", d.C, d.C),
		lnx:    b.norm("cross.ln_x", d.C),
	}
}

// forward takes the n layer-normed rows in w.h and leaves the sub-layer's output
// in w.eps.
func (m *crossMix) forward(w *Work, d Dims, layer, n int, segs []Seg) {
	grow(&w.q, n*d.C)
	w.shift(d.C, segs, func(s *State) []float32 { return s.blocks[layer].shiftX })
	m.lerp.start(w, n)
	m.lerp.branch(w, 0, n)
	m.recept.Mul(w.scratch, w.q, w.in, n)
	w.emit(layer, "cross_r", w.q)
	m.lerp.branch(w, 1, n)
	m.gate.Mul(w.scratch, w.g, w.in, n)
	kernels.SiLU(w.g, w.g)
	w.emit(layer, "cross_g_silu", w.g)

	readImage(w, d, n, segs, w.y)
	w.emit(layer, "cross_read", w.y)
	groupNorm(w.y, m.lnx, d)
	kernels.Mul(w.y, w.y, w.g)
	m.output.Mul(w.scratch, w.eps, w.y, n)
	w.emit(layer, "cross_out", w.eps)
}
