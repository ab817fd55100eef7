package rwkv

import (
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// memRead is what makes time mixing a hybrid mixing: a read of the image state
// S_img that is blended, channel by channel, into the recurrence's output
// before the group norm.
//
//	q = W_read x^(mr), γ = gate(W_gate x^(mg)), p = qᵀ S_img per head
//	Hybrid         y ← y⊙relu(1-γ) + p⊙γ   with γ = relu(.)
//	HybridSigmoid  y ← y⊙(1-γ) + p⊙γ       with γ = σ(. + bias)
//	HybridOldest   the same, with q and γ from the unshifted input
//
// Only the ReLU form cuts and amplifies: γ has no upper bound there.
type memRead struct {
	variant Variant
	lerp    lerp // branches r, g; unused in HybridOldest
	read    *quant.Matrix
	gate    *quant.Matrix
	bias    []float32 // sigmoid gates only
}

// bindMemRead returns nil for variants whose time mixing does not read.
func bindMemRead(b *binder, d Dims, v Variant) *memRead {
	m := &memRead{variant: v}
	switch v {
	case Hybrid, HybridSigmoid:
		m.lerp = b.lerp(d.C, "att.time_maa_x", "att.time_mem_w", "att.time_mem_r", "att.time_mem_g")
		m.read = b.matrix("att.mem_read.weight", d.C, d.C)
		m.gate = b.matrix("att.mem_gate.weight", d.C, d.C)
		if v == HybridSigmoid {
			m.bias = b.vector("att.mem_gate.bias", d.C)
		}
	case HybridOldest:
		m.read = b.matrix("att.read.weight", d.C, d.C)
		m.gate = b.matrix("att.read_gate.weight", d.C, d.C)
		m.bias = b.vector("att.read_gate.bias", d.C)
	default:
		return nil
	}
	return m
}

// blend mixes the read into w.y. w.h and w.prev are those of the time mixing.
func (m *memRead) blend(w *Work, d Dims, layer, n int, segs []Seg) {
	grow(&w.q, n*d.C)
	grow(&w.gm, n*d.C)
	if m.variant == HybridOldest {
		m.read.Mul(w.scratch, w.q, w.h, n)
		m.gate.Mul(w.scratch, w.gm, w.h, n)
	} else {
		m.lerp.start(w, n)
		m.lerp.branch(w, 0, n)
		m.read.Mul(w.scratch, w.q, w.in, n)
		m.lerp.branch(w, 1, n)
		m.gate.Mul(w.scratch, w.gm, w.in, n)
	}
	if m.variant == Hybrid {
		kernels.ReLU(w.gm, w.gm)
		w.emit(layer, "mem_gate_relu", w.gm)
	} else {
		addRows(w.gm, m.bias)
		kernels.Sigmoid(w.gm, w.gm)
		w.emit(layer, "mem_gate_sigmoid", w.gm)
	}
	w.emit(layer, "mem_read", w.q)
	readImage(w, d, n, segs, w.eps)
	// relu(1-γ) is 1-γ for a sigmoid, so one form serves all.
	kernels.Blend(w.y, w.y, w.eps, w.gm)
}
