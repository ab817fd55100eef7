package vision

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// sigLIPPrefix is where the authors' checkpoints keep the tower.
const sigLIPPrefix = "vit.siglip_featurizer."

// SigLIP is a plain ViT without class token, as timm builds SigLIP's; section 7.
// The features are the output of one of its blocks, without the final norm.
type SigLIP struct {
	size, patch, grid, dim int
	embed                  *quant.Matrix // [dim, 3*patch*patch]
	pos                    []float32     // [grid*grid, dim], with the bias of embed added
	blocks                 []vitBlock
}

// OpenSigLIP binds the weights under vit.siglip_featurizer. Width, patch size,
// depth and hidden width come from their shapes. Blocks after the feature block,
// the final norm and the attention pool are not read. A position embedding for
// another grid is resampled.
func OpenSigLIP(l quant.Loader, c Config) (*SigLIP, error) {
	t := &SigLIP{size: c.ImageSize}
	if err := t.bind(l, c); err != nil {
		return nil, fmt.Errorf("siglip tower: %w", err)
	}
	return t, nil
}

func (t *SigLIP) bind(l quant.Loader, c Config) error {
	shape := l.Shape(sigLIPPrefix + "patch_embed.proj.weight")
	if len(shape) != 4 || shape[0] < 1 || shape[1] != 3 || shape[2] < 1 || shape[2] != shape[3] {
		return fmt.Errorf("%spatch_embed.proj.weight has shape %v, want [width 3 patch patch]", sigLIPPrefix, shape)
	}
	t.dim, t.patch = shape[0], shape[2]
	if t.patch > maxImageSize || int(c.Activation) >= len(activations) {
		return fmt.Errorf("patch size %d, activation %d", t.patch, c.Activation)
	}
	depth := 0
	for l.Shape(fmt.Sprintf("%sblocks.%d.norm1.weight", sigLIPPrefix, depth)) != nil {
		depth++
	}
	last := c.FeatureBlock
	if last < 0 {
		last = depth - 2
	}
	if last < 0 || last >= depth {
		return fmt.Errorf("features of block %d of %d", last, depth)
	}
	heads := c.Heads
	if heads == 0 {
		heads, _ = Heads(t.dim, depth)
	}
	if heads < 1 || t.dim%heads != 0 {
		return fmt.Errorf("%d heads for width %d and %d blocks", heads, t.dim, depth)
	}
	eps := c.Eps
	if eps == 0 {
		eps = 1e-6
	}

	b := &binder{l: l, prefix: sigLIPPrefix}
	embed := b.linear("patch_embed.proj", t.dim, 3*t.patch*t.patch)
	pos := b.vector("pos_embed", -1)
	if b.err != nil {
		return b.err
	}
	t.embed = embed.w
	if err := t.positions(pos, embed.bias); err != nil {
		return err
	}
	for i := range last + 1 {
		b.prefix = fmt.Sprintf("%sblocks.%d.", sigLIPPrefix, i)
		t.blocks = append(t.blocks, bindViTBlock(b, t.dim, heads, c.Activation, eps))
	}
	return b.err
}

// positions fixes the grid and fits the position embedding to it.
func (t *SigLIP) positions(pos, bias []float32) error {
	tokens := len(pos) / t.dim
	n := Side(tokens)
	if n < 1 || n*n*t.dim != len(pos) || tokens > maxTokens {
		return fmt.Errorf("%spos_embed has %d values, which is no square grid of width %d within %d cells", sigLIPPrefix, len(pos), t.dim, maxTokens)
	}
	if t.size == 0 {
		t.size = n * t.patch
	}
	t.grid = t.size / t.patch
	if t.size < 0 || t.size > maxImageSize || t.grid < 1 || t.grid*t.grid > maxTokens {
		return fmt.Errorf("image size %d for patches of %d", t.size, t.patch)
	}
	t.pos = Resample(pos, n, t.grid, t.dim)
	for i := 0; i < len(t.pos); i += t.dim {
		kernels.Add(t.pos[i:i+t.dim], t.pos[i:i+t.dim], bias)
	}
	return nil
}

// Name returns "siglip".
func (t *SigLIP) Name() string { return "siglip" }

// ImageSize returns the side of the pictures in pixels.
func (t *SigLIP) ImageSize() int { return t.size }

// Grid returns the side of the grid of features.
func (t *SigLIP) Grid() int { return t.grid }

// Dim returns the width of a feature vector.
func (t *SigLIP) Dim() int { return t.dim }

// batchTokens bounds how many tokens are in flight: pictures with few tokens go
// through the tower together, so that the weights are read less often, and the
// working memory stays that of one picture of this many tokens.
const batchTokens = 1024

// Forward implements [Tower].
func (t *SigLIP) Forward(w *Work, dst []float32, stride int, pixels []float32, n int) {
	check(t, dst, stride, pixels, n)
	tokens := t.grid * t.grid
	batch := max(1, batchTokens/tokens)
	picture := 3 * t.size * t.size
	for n > 0 {
		c := min(n, batch)
		t.some(w, pixels[:c*picture], c)
		for i := range c * tokens {
			copy(dst[i*stride:][:t.dim], w.x[i*t.dim:])
		}
		if n -= c; n > 0 {
			pixels, dst = pixels[c*picture:], dst[c*tokens*stride:]
		}
	}
}

// some leaves the features of n pictures in w.x.
func (t *SigLIP) some(w *Work, pixels []float32, n int) {
	tokens := t.grid * t.grid
	rows := n * tokens
	grow(&w.x, rows*t.dim)
	grow(&w.h, rows*t.dim)
	in := 3 * t.patch * t.patch
	grow(&w.big, rows*max(3*t.dim, in))
	for i := range n {
		patches(w.big[i*tokens*in:][:tokens*in], pixels[i*3*t.size*t.size:], t.size, t.patch)
	}
	w.mul(t.embed, w.x, w.big[:rows*in], rows)
	for i := range n {
		x := w.x[i*tokens*t.dim:][:tokens*t.dim]
		kernels.Add(x, x, t.pos)
	}
	w.traceTokens("embed", n, tokens, t.dim)
	for i := range t.blocks {
		t.blocks[i].forward(w, n, tokens)
		if w.Trace != nil {
			w.traceTokens(fmt.Sprintf("block%d", i), n, tokens, t.dim)
		}
	}
}
