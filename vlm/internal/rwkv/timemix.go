package rwkv

import (
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// timeMix is the time mixing of RWKV-6: a matrix-valued state per head that
// decays per key channel at a rate that depends on the token.
type timeMix struct {
	lerp      lerp          // branches w, k, v, r, g
	decay     []float32     // [C]
	decayLoRA lora          // [C, d], [d, C]
	bonus     []float32     // u [H,N]
	key       *quant.Matrix // [C, C], as the next four
	value     *quant.Matrix
	recept    *quant.Matrix
	gate      *quant.Matrix
	output    *quant.Matrix
	lnx       norm

	mem *memRead // hybrid variants only
}

// Branches in the order of time_maa_w1's columns.
const (
	branchW = iota
	branchK
	branchV
	branchR
	branchG
)

// bindTimeMix reads the sub-layer; with stateOnly only what advances the state.
func bindTimeMix(b *binder, d Dims, v Variant, stateOnly bool) *timeMix {
	m := &timeMix{
		lerp: b.lerp(d.C, "att.time_maa_x", "att.time_maa_w",
			"att.time_maa_w", "att.time_maa_k", "att.time_maa_v", "att.time_maa_r", "att.time_maa_g"),
		decay:     b.vector("att.time_decay", d.C),
		decayLoRA: b.lora("att.time_decay_w", d.C, d.C),
		key:       b.matrix("att.key.weight", d.C, d.C),
		value:     b.matrix("att.value.weight", d.C, d.C),
	}
	if stateOnly {
		return m
	}
	m.bonus = b.vector("att.time_faaaa", d.C)
	m.recept = b.matrix("att.receptance.weight", d.C, d.C)
	m.gate = b.matrix("att.gate.weight", d.C, d.C)
	m.output = b.matrix("att.output.weight", d.C, d.C)
	m.lnx = b.norm("att.ln_x", d.C)
	m.mem = bindMemRead(b, d, v)
	return m
}

func (m *timeMix) loraWidth() int {
	w := max(m.lerp.down.out, m.decayLoRA.down.out)
	if m.mem != nil {
		w = max(w, m.mem.lerp.down.out)
	}
	return w
}

// forward takes the n layer-normed rows in w.h and leaves the sub-layer's
// output in w.eps.
func (m *timeMix) forward(w *Work, d Dims, layer, n int, segs []Seg) {
	w.shift(d.C, segs, func(s *State) []float32 { return s.blocks[layer].shiftAtt })
	m.lerp.start(w, n)

	m.lerp.branch(w, branchW, n)
	m.decayLoRA.mul(w, w.w, n, kernels.Tanh)
	addRows(w.w, m.decay)
	w.emit(layer, "w_raw", w.w)
	kernels.Decay(w.w, w.w)
	w.emit(layer, "decay", w.w)

	m.project(w, branchK, m.key, w.k, n)
	w.emit(layer, "k", w.k)
	m.project(w, branchV, m.value, w.v, n)
	w.emit(layer, "v", w.v)
	if m.output == nil {
		recur(w, d, layer, n, segs, nil)
		return
	}
	m.project(w, branchR, m.recept, w.r, n)
	w.emit(layer, "r", w.r)
	m.project(w, branchG, m.gate, w.g, n)
	kernels.SiLU(w.g, w.g)
	w.emit(layer, "g_silu", w.g)

	recur(w, d, layer, n, segs, m.bonus)
	w.emit(layer, "wkv", w.y)
	if m.mem != nil {
		m.mem.blend(w, d, layer, n, segs)
		w.emit(layer, "mixed", w.y)
	}
	groupNorm(w.y, m.lnx, d)
	kernels.Mul(w.y, w.y, w.g)
	m.output.Mul(w.scratch, w.eps, w.y, n)
	w.emit(layer, "att_out", w.eps)
}

func (m *timeMix) project(w *Work, branch int, weight *quant.Matrix, dst []float32, n int) {
	m.lerp.branch(w, branch, n)
	weight.Mul(w.scratch, dst, w.in, n)
}
