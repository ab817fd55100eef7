package vision

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// stem is how a tower begins: from pixels to tokens with their positions, first the class
// token and registers, if there are any, then the patches.
type stem struct {
	size, patch, grid, dim int
	embed                  *quant.Matrix // [dim, 3*patch*patch], and columns of zeros
	pos                    []float32     // [grid*grid, dim], with the bias of embed added
	first                  []float32     // [tokens before the patches, dim], with positions
}

// bindStem reads the stem for pictures of size pixels; 0 stands for what the positions are
// for. Those for another grid are resampled.
func bindStem(b *binder, f *family, s Sizes, size int) stem {
	t := stem{size: size, patch: s.Patch, dim: s.Width}
	if t.size == 0 {
		t.size = s.Side * s.Patch
	}
	t.grid = t.size / s.Patch
	if t.size < 0 || t.size > maxImageSize || t.grid < 1 || t.grid > maxSide {
		b.err = fmt.Errorf("image size %d for patches of %d", t.size, s.Patch)
		return t
	}
	b.prefix = f.Prefix
	if embed := b.matrix(f.Patch+".weight", t.dim, 3*s.Patch*s.Patch); embed != nil {
		t.embed = embed.Lengthened() // patches of 14 pixels have 588 values
	}
	pos := b.vector(f.Pos, (f.Class+s.Side*s.Side)*t.dim)
	var bias []float32
	if f.biased {
		bias = b.vector(f.Patch+".bias", t.dim)
	}
	if f.class != "" {
		t.first = b.vector(f.class, t.dim)
	}
	if f.registers != "" {
		t.first = append(t.first, b.vector(f.registers, -1)...)
	}
	if b.err != nil {
		return t
	}
	if len(t.first)%t.dim != 0 || len(t.first) > (1+maxRegisters)*t.dim {
		b.err = fmt.Errorf("tensor %s%s: %d values are not registers of width %d within %d", f.Prefix, f.registers, len(t.first)-t.dim, t.dim, maxRegisters)
		return t
	}
	if f.Class > 0 {
		kernels.Add(t.first[:t.dim], t.first[:t.dim], pos[:t.dim])
	}
	t.pos = Resample(pos[f.Class*t.dim:], s.Side, t.grid, t.dim)
	if bias != nil {
		for i := 0; i < len(t.pos); i += t.dim {
			kernels.Add(t.pos[i:i+t.dim], t.pos[i:i+t.dim], bias)
		}
	}
	return t
}

// tokens returns the number of tokens of a picture.
func (t *stem) tokens() int { return len(t.first)/t.dim + t.grid*t.grid }

// forward leaves the tokens of n pictures in w.x, and makes room for the blocks.
func (t *stem) forward(w *Work, pixels []float32, n int) {
	cells, in, values := t.grid*t.grid, t.embed.Cols(), n*t.tokens()*t.dim
	grow(&w.x, values)
	grow(&w.h, values)
	grow(&w.big, max(3*values, n*cells*in))
	for i := range n {
		patches(w.big[i*cells*in:][:cells*in], pixels[i*3*t.size*t.size:], t.size, t.patch, in)
	}
	w.mul(t.embed, w.h[:n*cells*t.dim], w.big[:n*cells*in], n*cells)
	x := w.x
	for i := range n * cells {
		if i%cells == 0 {
			x = x[copy(x, t.first):]
		}
		kernels.Add(x[:t.dim], w.h[i*t.dim:][:t.dim], t.pos[i%cells*t.dim:][:t.dim])
		x = x[t.dim:]
	}
}

// ImageSize returns the side of the pictures in pixels.
func (t *stem) ImageSize() int { return t.size }
