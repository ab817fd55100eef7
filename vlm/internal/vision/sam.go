package vision

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
)

// samPrefix is where the authors' checkpoints keep the tower.
const samPrefix = "vit.sam_featurizer."

// SAM is the image encoder of segment-anything: a ViT whose blocks attend within windows or
// among all tokens, with relative positions, and a neck of two convolutions; section 7. The
// features are those of the neck, 2 x 2 cells side by side in the channels of one.
//
// For pictures of T tokens of width D, SAM ViT-B: 4096 of 768, Forward needs 5*T*D values
// besides what a worker needs for attention, 66 MB and 2.3 MB for every worker, however many
// pictures there are.
type SAM struct {
	size, patch, grid, dim int           // grid: tokens in a row, twice the cells of the result
	embed                  *quant.Matrix // [dim, 3*patch*patch]
	pos                    []float32     // [grid*grid, dim], with the bias of embed added
	blocks                 []vitBlock
	neck                   neck
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
	shape := l.Shape(samPrefix + "patch_embed.proj.weight")
	if len(shape) != 4 || shape[0] < 1 || shape[1] != 3 || shape[2] < 1 || shape[2] != shape[3] {
		return fmt.Errorf("%spatch_embed.proj.weight has shape %v, want [width 3 patch patch]", samPrefix, shape)
	}
	t.dim, t.patch = shape[0], shape[2]
	pos := l.Shape(samPrefix + "pos_embed")
	if len(pos) != 4 || pos[0] != 1 || pos[1] != pos[2] || pos[1] < 2 || pos[1]%2 != 0 || pos[1] > maxTokens/pos[1] || pos[3] != t.dim {
		return fmt.Errorf("%spos_embed has shape %v, want [1 grid grid %d], an even grid within %d cells", samPrefix, pos, t.dim, maxTokens)
	}
	t.grid = pos[1]
	if t.patch > maxImageSize/t.grid || int(c.Activation) >= len(activations) {
		return fmt.Errorf("patch size %d, activation %d", t.patch, c.Activation)
	}
	t.size = t.grid * t.patch
	if c.ImageSize != 0 && c.ImageSize != t.size {
		return fmt.Errorf("image size %d, positions are for %d", c.ImageSize, t.size)
	}
	eps := c.Eps
	if eps == 0 {
		eps = 1e-6
	}

	b := &binder{l: l, prefix: samPrefix}
	embed := b.linear("patch_embed.proj", t.dim, 3*t.patch*t.patch)
	t.embed, t.pos = embed.w, b.vector("pos_embed", -1)
	if b.err != nil {
		return b.err
	}
	for i := 0; i < len(t.pos); i += t.dim {
		kernels.Add(t.pos[i:i+t.dim], t.pos[i:i+t.dim], embed.bias)
	}
	for i := 0; b.err == nil; i++ {
		b.prefix = fmt.Sprintf("%sblocks.%d.", samPrefix, i)
		if l.Shape(b.prefix+"norm1.weight") == nil {
			break
		}
		t.blocks = append(t.blocks, bindSAMBlock(b, t.dim, c, eps))
	}
	if b.err == nil && len(t.blocks) == 0 {
		return fmt.Errorf("%snorm1.weight is missing", b.prefix)
	}
	b.prefix = samPrefix + "neck."
	t.neck = bindNeck(b, t.dim, eps)
	return b.err
}

// bindSAMBlock reads a block under segment-anything's names. The relative positions give
// the size of a head and of the window.
func bindSAMBlock(b *binder, dim int, c Config, eps float32) vitBlock {
	k := vitBlock{
		norm1: b.norm("norm1", dim, eps),
		qkv:   b.linear("attn.qkv", 3*dim, dim),
		proj:  b.linear("attn.proj", dim, dim),
		norm2: b.norm("norm2", dim, eps),
		fc1:   b.linear("mlp.lin1", -1, dim),
		act:   c.Activation,
	}
	if b.err != nil {
		return k
	}
	k.hidden = k.fc1.w.Rows()
	k.fc2 = b.linear("mlp.lin2", dim, k.hidden)
	shape := b.l.Shape(b.prefix + "attn.rel_pos_h")
	if b.err == nil && (len(shape) != 2 || shape[0]%2 != 1 || shape[0] > 2*maxSide-1 ||
		shape[1] < 1 || dim%shape[1] != 0 || c.Heads != 0 && c.Heads*shape[1] != dim) {
		b.err = fmt.Errorf("%sattn.rel_pos_h has shape %v, want [2*window-1 width/heads] for width %d and %d heads", b.prefix, shape, dim, c.Heads)
	}
	if b.err != nil {
		return k
	}
	k.heads = dim / shape[1]
	h := b.vector("attn.rel_pos_h", shape[0]*shape[1])
	w := b.vector("attn.rel_pos_w", shape[0]*shape[1])
	if b.err == nil {
		k.rel = newRelative(h, w, shape[1])
	}
	return k
}

// Name returns "sam".
func (t *SAM) Name() string { return "sam" }

// ImageSize returns the side of the pictures in pixels.
func (t *SAM) ImageSize() int { return t.size }

// Grid returns the side of the grid of features.
func (t *SAM) Grid() int { return t.grid / 2 }

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
		for i := range c {
			t.fold(dst[i*cells*stride:], stride, z[i*4*cells*t.neck.out():])
		}
		if n -= c; n > 0 {
			pixels, dst = pixels[c*picture:], dst[c*cells*stride:]
		}
	}
}

// some returns the output of the neck for n pictures, [n*grid*grid, out].
func (t *SAM) some(w *Work, pixels []float32, n int) []float32 {
	tokens, in := t.grid*t.grid, 3*t.patch*t.patch
	rows := n * tokens
	grow(&w.x, rows*t.dim)
	grow(&w.h, rows*t.dim)
	grow(&w.big, rows*max(3*t.dim, in))
	for i := range n {
		patches(w.big[i*tokens*in:][:tokens*in], pixels[i*3*t.size*t.size:], t.size, t.patch)
	}
	w.mul(t.embed, w.x, w.big[:rows*in], rows)
	for i := range rows {
		x := w.x[i*t.dim:][:t.dim]
		kernels.Add(x, x, t.pos[i%tokens*t.dim:][:t.dim])
	}
	w.traceTokens("embed", n, tokens, t.dim)
	for i := range t.blocks {
		t.blocks[i].forward(w, n, tokens)
		if w.Trace != nil {
			w.traceTokens(fmt.Sprintf("block%d", i), n, tokens, t.dim)
		}
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
