package rwkv

import (
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// chanMix is the feed-forward sub-layer: squared ReLU, in RWKV-6 gated by a sigmoid.
type chanMix struct {
	muK    []float32     // [C]
	key    *quant.Matrix // [F, C]
	value  *quant.Matrix // [C, F]
	muR    []float32     // [C]
	recept *quant.Matrix // [C, C]; nil in RWKV-7, which has no gate
}

func bindChanMix(b *binder, d Dims, v Variant) *chanMix {
	m := &chanMix{key: b.matrix("ffn.key.weight", d.F, d.C), value: b.matrix("ffn.value.weight", d.C, d.F)}
	if v == RWKV7 {
		m.muK = b.vector("ffn.x_k", d.C)
		return m
	}
	m.muK = b.vector("ffn.time_maa_k", d.C)
	m.muR = b.vector("ffn.time_maa_r", d.C)
	m.recept = b.matrix("ffn.receptance.weight", d.C, d.C)
	return m
}

// forward takes the n layer-normed rows in w.h and leaves the sub-layer's output
// in w.eps.
func (m *chanMix) forward(w *Work, d Dims, layer, n int, segs []Seg) {
	w.shift(d.C, segs, func(s *State) []float32 { return s.blocks[layer].shiftFFN })

	w.lerp(m.muK)
	m.key.Mul(w.scratch, w.f, w.in, n)
	kernels.SquaredReLU(w.f, w.f)
	m.value.Mul(w.scratch, w.eps, w.f, n)

	if m.recept != nil {
		w.lerp(m.muR)
		m.recept.Mul(w.scratch, w.r, w.in, n)
		kernels.Sigmoid(w.r, w.r)
		kernels.Mul(w.eps, w.eps, w.r)
	}
	w.emit(layer, "ffn_out", w.eps)
}
