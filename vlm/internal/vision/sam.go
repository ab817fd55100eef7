package vision

import (
	"fmt"

	"github.com/visualrwkv/edged/quant"
)

// SAM is the image encoder of segment-anything: a ViT whose blocks attend within windows or
// among all tokens, with relative positions, and a neck of two convolutions; section 7. The
// features are those of the neck, 2 x 2 cells side by side in the channels of one.
//
// For pictures of T tokens of width D, SAM ViT-B: 4096 of 768, Forward needs 5*T*D values
// besides what a worker needs for attention, 66 MB and 2.3 MB for every worker, however many
// pictures there are.
type SAM struct {
	stem   // its grid has twice the side of that of the features
	blocks []block
	neck   neck
}

// OpenSAM binds the weights under vit.sam_featurizer. Sizes come from their shapes; the
// picture's has to be that of the position embedding. c.FeatureBlock does not matter, since
// the neck follows the last block.
func OpenSAM(l quant.Loader, c Config) (*SAM, error) {
	t := &SAM{}
	if err := t.bind(l, c); err != nil {
		return nil, fmt.Errorf("sam tower: %w", err)
	}
	return t, nil
}

func (t *SAM) bind(l quant.Loader, c Config) error {
	s, err := SizesOf(sam, l)
	if err != nil {
		return err
	}
	if int(c.Activation) >= len(activations) {
		return fmt.Errorf("activation %d", c.Activation)
	}
	if size := s.Side * s.Patch; c.ImageSize != 0 && c.ImageSize != size {
		return fmt.Errorf("image size %d, positions are for %d", c.ImageSize, size)
	}
	f := families[sam]
	eps := c.Eps
	if eps == 0 {
		eps = f.eps
	}
	b := &binder{l: l}
	t.stem = bindStem(b, &f, s, 0)
	for i := range s.Blocks {
		b.prefix = f.at(i)
		k := bindBlock(b, &f.parts, t.dim, 0, c.Activation, eps)
		k.bindRelative(b, c.Heads)
		t.blocks = append(t.blocks, k)
	}
	b.prefix = f.Prefix + "neck."
	t.neck = bindNeck(b, t.dim, eps)
	return b.err
}

// bindRelative reads relative positions, which give the size of a head and of the window.
// heads is 0, or the number that there has to be.
func (k *block) bindRelative(b *binder, heads int) {
	if b.err != nil {
		return
	}
	dim, shape := len(k.norm1.weight), b.l.Shape(b.prefix+"attn.rel_pos_h")
	if len(shape) != 2 || shape[0]%2 != 1 || shape[0] > 2*maxSide-1 ||
		shape[1] < 1 || dim%shape[1] != 0 || heads != 0 && heads*shape[1] != dim {
		b.err = fmt.Errorf("%sattn.rel_pos_h has shape %v, want [2*window-1 width/heads] for width %d and %d heads", b.prefix, shape, dim, heads)
		return
	}
	k.heads = dim / shape[1]
	h := b.vector("attn.rel_pos_h", shape[0]*shape[1])
	w := b.vector("attn.rel_pos_w", shape[0]*shape[1])
	if b.err == nil {
		k.rel = newRelative(h, w, shape[1])
	}
}

// Name returns "sam".
func (t *SAM) Name() string { return sam }

// Grid returns the side of the grid of features.
func (t *SAM) Grid() int { return t.grid / 2 }

// Tokens returns the number of rows of features of a picture.
func (t *SAM) Tokens() int { return t.Grid() * t.Grid() }

// Dim returns the width of a feature vector.
func (t *SAM) Dim() int { return 4 * t.neck.out() }

// Forward implements [Tower].
func (t *SAM) Forward(w *Work, dst []float32, stride int, pixels []float32, n int) {
	check(t, dst, stride, pixels, n)
	cells, picture := t.Grid()*t.Grid(), 3*t.size*t.size
	batch := max(1, batchTokens/(t.grid*t.grid))
	for n > 0 {
		c := min(n, batch)
		z := t.some(w, pixels[:c*picture], c)
		if w.scratch.Ended() {
			return
		}
		for i := range c {
			t.fold(dst[i*cells*stride:], stride, z[i*4*cells*t.neck.out():])
		}
		if n -= c; n > 0 {
			pixels, dst = pixels[c*picture:], dst[c*cells*stride:]
		}
	}
}

// some returns the output of the neck for n pictures, [n*grid*grid, out], unless it was ended.
func (t *SAM) some(w *Work, pixels []float32, n int) []float32 {
	t.forward(w, pixels, n)
	tokens := t.tokens()
	w.traceTokens("embed", n, tokens, t.dim)
	for i := range t.blocks {
		if w.scratch.Ended() {
			return nil
		}
		t.blocks[i].forward(w, n, tokens)
		if w.Trace != nil {
			w.traceTokens(fmt.Sprintf("block%d", i), n, tokens, t.dim)
		}
	}
	if w.scratch.Ended() {
		return nil
	}
	return t.neck.forward(w, n, t.grid)
}

// fold turns z [grid, grid, out] into a grid of half the side, in which feature 4*c+2*dy+dx
// of a cell is channel c of the cell dy further down and dx to the right.
func (t *SAM) fold(dst []float32, stride int, z []float32) {
	out, half := t.neck.out(), t.grid/2
	for y := range t.grid {
		for x := range t.grid {
			d := dst[(y/2*half+x/2)*stride:][:4*out]
			at := y%2*2 + x%2
			for _, v := range z[:out] {
				d[at] = v
				at += 4
			}
			z = z[out:]
		}
	}
}
