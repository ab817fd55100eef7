package rwkv

import (
	"fmt"
	"strconv"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// Block is one block: weights only, safe for concurrent use.
type Block struct {
	dims  Dims
	layer int
	lora  int // widest LoRA

	ln0   *norm // block 0 only
	ln1   norm
	att   timeMixing
	ln3   norm      // with cross
	cross *crossMix // cross state mixing only
	ln2   norm      // with ffn
	ffn   *chanMix  // nil where only the state is wanted
}

// timeMixing is the recurrent sub-layer, that of RWKV-6 or of RWKV-7.
type timeMixing interface {
	// forward takes the n layer-normed rows in w.h and leaves the sub-layer's output in
	// w.eps.
	forward(w *Work, d Dims, layer, n int, segs []Seg)
	loraWidth() int
}

// Bind reads block i under prefix ("rwkv.", "state_encoder."). With stateOnly
// everything that does not advance the wkv state is left out, and
// [Block.Forward] produces no output.
func Bind(l quant.Loader, prefix string, i int, d Dims, v Variant, stateOnly bool) (*Block, error) {
	d = d.withDefaults()
	b := &binder{l: l, prefix: prefix + "blocks." + strconv.Itoa(i) + "."}
	k := &Block{dims: d, layer: i, ln1: b.norm("ln1", d.C)}
	if i == 0 {
		n := b.norm("ln0", d.C)
		k.ln0 = &n
	}
	if v == RWKV7 {
		k.att = bindDeltaMix(b, d, i)
	} else {
		k.att = bindTimeMix(b, d, v, stateOnly)
	}
	if !stateOnly {
		if v == Cross {
			k.ln3 = b.norm("ln3", d.C)
			k.cross = bindCrossMix(b, d)
		}
		if d.F <= 0 {
			return nil, fmt.Errorf("tensor %sffn.key.weight: missing or not a matrix", b.prefix)
		}
		k.ln2 = b.norm("ln2", d.C)
		k.ffn = bindChanMix(b, d, v)
	}
	if b.err != nil {
		return nil, b.err
	}
	k.lora = k.att.loraWidth()
	if k.cross != nil {
		k.lora = max(k.lora, k.cross.lerp.down.out)
	}
	return k, nil
}

// Dims returns the block's sizes.
func (b *Block) Dims() Dims { return b.dims }

// Forward runs the block over the rows of segs, one after another in x [rows,
// C], in place, and advances their states. The rows may be at most what the
// caller wants w to hold; [MaxRows] is the intended unit.
func (b *Block) Forward(w *Work, x []float32, segs []Seg) {
	n := 0
	for i := range segs {
		n += segs[i].N
	}
	d := b.dims
	x = x[:n*d.C]
	w.need(n, d, b.lora)

	if b.ln0 != nil {
		layerNorm(x, x, *b.ln0, d)
		w.emit(b.layer, "ln0", x)
	}
	layerNorm(w.h, x, b.ln1, d)
	w.emit(b.layer, "ln1", w.h)
	b.att.forward(w, d, b.layer, n, segs)
	if b.ffn == nil {
		return
	}
	kernels.Add(x, x, w.eps)

	if b.cross != nil {
		layerNorm(w.h, x, b.ln3, d)
		w.emit(b.layer, "ln3", w.h)
		b.cross.forward(w, d, b.layer, n, segs)
		kernels.Add(x, x, w.eps)
	}

	layerNorm(w.h, x, b.ln2, d)
	w.emit(b.layer, "ln2", w.h)
	b.ffn.forward(w, d, b.layer, n, segs)
	kernels.Add(x, x, w.eps)
	w.emit(b.layer, "out", x)
}

func (w *Work) emit(layer int, name string, rows []float32) {
	if w.trace != nil {
		w.trace(layer, name, rows)
	}
}
