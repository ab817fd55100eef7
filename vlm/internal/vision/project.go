package vision

import (
	"fmt"

	"github.com/visualrwkv/edged/quant"
)

// Projector maps features of the towers to the width of the language model;
// section 5. There are three forms: linear, W z, the gated one of v6.x,
// W_o(h * sigmoid(W_g h)) with h = W_p z, and that of v7.00, which gates the
// features themselves (h = z) and ends in a layer norm.
type Projector struct {
	w    *quant.Matrix // [C, Dv]; nil in v7.00
	gate *quant.Matrix // [C, C], in v7.00 [Dv, Dv]; nil in the linear form
	o    *quant.Matrix // [C, C], in v7.00 [C, Dv]; nil in the linear form
	ln   *norm         // v7.00 only
}

// OpenProjector binds the projector from in features to out channels. The form
// is found from the names of the tensors.
func OpenProjector(l quant.Loader, in, out int) (*Projector, error) {
	b := &binder{l: l, prefix: "proj."}
	p := &Projector{}
	switch {
	case l.Shape("proj.ln_v.weight") != nil:
		p.o = b.matrix("o_proj.weight", out, in)
		if p.o != nil {
			in = p.o.Cols()
		}
		p.gate = b.matrix("gate.weight", in, in)
		ln := b.norm("ln_v", out, 1e-5)
		p.ln = &ln
	case l.Shape("proj.proj.weight") != nil:
		p.w = b.matrix("proj.weight", out, in)
		p.gate = b.matrix("gate.weight", out, out)
		p.o = b.matrix("o_proj.weight", out, out)
	default:
		p.w = b.matrix("weight", out, in)
	}
	if b.err != nil {
		return nil, fmt.Errorf("projector: %w", b.err)
	}
	return p, nil
}

// In returns the number of features of an input row.
func (p *Projector) In() int { return p.first().Cols() }

// Out returns the number of channels of an output row.
func (p *Projector) Out() int {
	if p.o != nil {
		return p.o.Rows()
	}
	return p.w.Rows()
}

// first is the matrix that acts on features.
func (p *Projector) first() *quant.Matrix {
	if p.w != nil {
		return p.w
	}
	return p.gate
}

// projectRows is how many rows the gated form takes at once; it bounds the two
// intermediate results.
const projectRows = 256

// Project computes dst [n, Out] from z [n, In]. They must not overlap.
func (p *Projector) Project(w *Work, dst, z []float32, n int) {
	in, out := p.In(), p.Out()
	if n < 1 || len(dst) != n*out || len(z) != n*in {
		panic(fmt.Sprintf("vision: Project: %d values to %d for %d rows, %d to %d channels", len(z), len(dst), n, in, out))
	}
	w.traceRows("proj.in", z, in)
	if p.gate == nil {
		w.mul(p.w, dst, z, n)
	}
	for r := 0; p.gate != nil && r < n; r += projectRows {
		c, width := min(projectRows, n-r), p.gate.Cols()
		hid := grow(&w.hid, 2*c*width)
		h, g := hid[:c*width], hid[c*width:]
		if rows := z[r*in:][:c*in]; p.w != nil {
			w.mul(p.w, h, rows, c)
		} else {
			copy(h, rows)
		}
		w.mul(p.gate, g, h, c)
		w.gate(h, g, width)
		w.mul(p.o, dst[r*out:][:c*out], h, c)
	}
	if p.ln != nil {
		w.norm(dst, dst, p.ln)
	}
	w.traceRows("proj.out", dst, out)
}
