package rwkv7

import (
	"strconv"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// block is time mixing and channel mixing, each added to its input.
type block struct {
	ln0      *norm // block 0 only
	ln1, ln2 norm
	att      *timeMix
	ffn      *chanMix
}

func bindBlock(l quant.Loader, prefix string, i int, d rwkv.Dims) (*block, error) {
	b := &binder{l: l, prefix: prefix + "blocks." + strconv.Itoa(i) + "."}
	k := &block{ln1: b.norm("ln1", d.C), ln2: b.norm("ln2", d.C), att: bindTimeMix(b, d, i), ffn: bindChanMix(b, d)}
	if i == 0 {
		n := b.norm("ln0", d.C)
		k.ln0 = &n
	}
	return k, b.err
}

func (b *block) forward(w *Work, d rwkv.Dims, layer int, x []float32, segs []rwkv.Seg) {
	if b.ln0 != nil {
		layerNorm(x, x, *b.ln0, d)
		w.emit(layer, "ln0", x)
	}
	layerNorm(w.h, x, b.ln1, d)
	w.emit(layer, "ln1", w.h)
	b.att.forward(w, d, layer, segs)
	w.emit(layer, "att", w.in)
	kernels.Add(x, x, w.in)

	layerNorm(w.h, x, b.ln2, d)
	w.emit(layer, "ln2", w.h)
	b.ffn.forward(w, d, layer, segs)
	w.emit(layer, "ffn", w.in)
	kernels.Add(x, x, w.in)
}

// chanMix is the feed-forward sub-layer: squared ReLU, no gate.
type chanMix struct {
	mu    []float32     // [C]
	key   *quant.Matrix // [F, C]
	value *quant.Matrix // [C, F]
}

func bindChanMix(b *binder, d rwkv.Dims) *chanMix {
	return &chanMix{b.vector("ffn.x_k", d.C), b.matrix("ffn.key.weight", d.F, d.C), b.matrix("ffn.value.weight", d.C, d.F)}
}

// forward takes the layer-normed rows in w.h and leaves the sub-layer's output in w.in.
func (m *chanMix) forward(w *Work, d rwkv.Dims, layer int, segs []rwkv.Seg) {
	w.shift(d.C, segs, func(s *rwkv.State) []float32 { _, _, ffn := s.Shifts(layer); return ffn })
	w.lerp(m.mu)
	m.key.Mul(w.scratch, w.f, w.in, w.n)
	kernels.SquaredReLU(w.f, w.f)
	m.value.Mul(w.scratch, w.in, w.f, w.n)
}
