package vision

import (
	"fmt"

	"github.com/visualrwkv/edged/quant"
)

// ViT is a plain vision transformer: SigLIP, DINOv2 with registers, or CLIP; section 7.
// The features are the output of one of its blocks, without the final norm.
type ViT struct {
	stem
	kind       string
	keepsClass bool
	pre        *norm // before the blocks; nil for none
	blocks     []block
}

// OpenViT binds the weights of a tower of kind "siglip", "dino" or "clip". Blocks after the
// feature block, the final norm and heads are not read. A position embedding for another
// grid is resampled.
func OpenViT(kind string, l quant.Loader, c Config) (*ViT, error) {
	t := &ViT{kind: kind}
	if err := t.bind(l, c); err != nil {
		return nil, fmt.Errorf("%s tower: %w", kind, err)
	}
	return t, nil
}

func (t *ViT) bind(l quant.Loader, c Config) error {
	s, err := SizesOf(t.kind, l)
	if err != nil {
		return err
	}
	if int(c.Activation) >= len(activations) {
		return fmt.Errorf("activation %d", c.Activation)
	}
	last := c.FeatureBlock
	if last < 0 {
		last = s.Blocks - 2
	}
	if last < 0 || last >= s.Blocks {
		return fmt.Errorf("features of block %d of %d", last, s.Blocks)
	}
	heads := c.Heads
	if heads == 0 {
		heads = s.Heads
	}
	if heads < 1 || s.Width%heads != 0 {
		return fmt.Errorf("%d heads for width %d and %d blocks", heads, s.Width, s.Blocks)
	}
	f := families[t.kind]
	t.keepsClass = f.keepsClass
	eps := c.Eps
	if eps == 0 {
		eps = f.eps
	}

	b := &binder{l: l}
	t.stem = bindStem(b, &f, s, c.ImageSize)
	if f.pre != "" {
		pre := b.norm(f.pre, t.dim, eps)
		t.pre = &pre
	}
	for i := range last + 1 {
		b.prefix = f.at(i)
		t.blocks = append(t.blocks, bindBlock(b, &f.parts, t.dim, heads, c.Activation, eps))
	}
	return b.err
}

// Name returns the kind of the tower.
func (t *ViT) Name() string { return t.kind }

// Grid returns the side of the grid of features.
func (t *ViT) Grid() int { return t.grid }

// Tokens returns the number of rows of features of a picture.
func (t *ViT) Tokens() int {
	if t.keepsClass {
		return t.grid*t.grid + 1
	}
	return t.grid * t.grid
}

// Dim returns the width of a feature vector.
func (t *ViT) Dim() int { return t.dim }

// batchTokens bounds how many tokens are in flight: pictures with few tokens go
// through the tower together, so that the weights are read less often, and the
// working memory stays that of one picture of this many tokens.
const batchTokens = 1024

// Forward implements [Tower].
func (t *ViT) Forward(w *Work, dst []float32, stride int, pixels []float32, n int) {
	check(t, dst, stride, pixels, n)
	batch, picture := max(1, batchTokens/t.tokens()), 3*t.size*t.size
	for n > 0 {
		c := min(n, batch)
		t.some(w, pixels[:c*picture], c)
		for i := range c {
			t.take(dst[i*t.Tokens()*stride:], stride, w.x[i*t.tokens()*t.dim:])
		}
		if n -= c; n > 0 {
			pixels, dst = pixels[c*picture:], dst[c*t.Tokens()*stride:]
		}
	}
}

// some leaves the tokens of n pictures after the last block in w.x.
func (t *ViT) some(w *Work, pixels []float32, n int) {
	t.forward(w, pixels, n)
	if t.pre != nil {
		w.norm(w.x, w.x, t.pre)
	}
	w.traceTokens("embed", n, t.tokens(), t.dim)
	for i := range t.blocks {
		if w.scratch.Ended() {
			break
		}
		t.blocks[i].forward(w, n, t.tokens())
		if w.Trace != nil {
			w.traceTokens(fmt.Sprintf("block%d", i), n, t.tokens(), t.dim)
		}
	}
}

// take copies the features of a picture with tokens x: those of the patches, then the class
// token where it is kept.
func (t *ViT) take(dst []float32, stride int, x []float32) {
	cells := t.grid * t.grid
	for i, at := 0, len(t.first); i < cells; i, at = i+1, at+t.dim {
		copy(dst[i*stride:][:t.dim], x[at:])
	}
	if t.keepsClass {
		copy(dst[cells*stride:][:t.dim], x)
	}
}
