package vision

import (
	"fmt"

	"github.com/visualrwkv/edged/quant"
)

// Sizes are what the shapes of a tower's tensors tell of it.
type Sizes struct {
	Patch  int // side of a patch in pixels
	Width  int
	Blocks int
	Side   int // patches beside each other for which there are positions
	Heads  int // 0 where neither shapes nor a table of published towers tell

	before int // tokens before the patches
	hidden int // of the feed-forward layer
	window int // side of the largest window of SAM's, in patches
	neck   int // channels of SAM's neck
}

// Limits on sizes that come from a model file: they bound the working memory of
// a picture and are several times what any published tower uses.
const (
	maxImageSize = 4096
	maxSide      = 128
	maxTokens    = maxSide * maxSide
	maxBlocks    = 256
	maxRegisters = 64
)

// SizesOf returns the sizes of the tower of the given kind. The error names the tensor that
// is missing or has no possible shape.
func SizesOf(kind string, l quant.Loader) (Sizes, error) {
	f, ok := families[kind]
	if !ok {
		return Sizes{}, fmt.Errorf("%w %q", ErrTower, kind)
	}
	var s Sizes
	name := f.Prefix + f.Patch + ".weight"
	patch := l.Shape(name)
	if len(patch) != 4 || patch[0] < 1 || patch[1] != 3 || patch[2] < 1 || patch[2] > maxImageSize || patch[2] != patch[3] {
		return s, fmt.Errorf("tensor %s: shape %v, want [width, 3, patch, patch], patch within %d", name, patch, maxImageSize)
	}
	s.Width, s.Patch = patch[0], patch[2]
	for s.Blocks < maxBlocks && l.Shape(f.at(s.Blocks)+f.parts.norm1+".weight") != nil {
		s.Blocks++
	}
	if s.Blocks == 0 {
		return s, fmt.Errorf("tensor %s%s.weight is missing", f.at(0), f.parts.norm1)
	}
	var err error
	if s.Side, err = f.side(l.Shape(f.Prefix+f.Pos), s.Width); err != nil {
		return s, fmt.Errorf("tensor %s%s: %w", f.Prefix, f.Pos, err)
	}
	s.hidden = rows(l, f.at(0)+f.parts.fc1+".weight")
	if f.class != "" {
		s.before = 1
	}
	if r := l.Shape(f.Prefix + f.registers); f.registers != "" && len(r) == 3 {
		s.before += r[1]
	}
	s.Heads = heads[[2]int{s.Width, s.Blocks}]
	if kind == sam {
		if rel := l.Shape(f.at(0) + "attn.rel_pos_h"); len(rel) == 2 && rel[1] > 0 {
			s.Heads = s.Width / rel[1]
		}
		for i := range s.Blocks {
			s.window = max(s.window, (rows(l, f.at(i)+"attn.rel_pos_h")+1)/2)
		}
		s.neck = rows(l, f.Prefix+"neck.0.weight")
	}
	return s, nil
}

// rows returns the first dimension of a tensor, 0 where there is none.
func rows(l quant.Loader, name string) int {
	if s := l.Shape(name); len(s) > 0 {
		return s[0]
	}
	return 0
}

// side returns the side of the square grid of patches that a position embedding is for.
func (f *family) side(pos []int, width int) (int, error) {
	side, rows := 0, 0
	switch n := len(pos); {
	case f.Square:
		if n == 4 && pos[0] == 1 && pos[1] == pos[2] && pos[1]%2 == 0 && pos[1] <= maxSide {
			side, rows = pos[1], pos[1]*pos[1]
		}
	case n == 2 || n == 3 && pos[0] == 1: // [1, tokens, width] or [tokens, width]
		rows = pos[n-2] - f.Class
		side = Side(min(max(rows, 0), maxTokens))
	}
	if side < 1 || side*side != rows || pos[len(pos)-1] != width {
		return 0, fmt.Errorf("shape %v is for no square grid of width %d within %d cells", pos, width, maxTokens)
	}
	return side, nil
}

// heads has the attention heads of published towers, by width and number of blocks: unlike
// every other size they cannot be read off the shapes of the weights. For a tower that is not
// in the table, model files have to say.
var heads = map[[2]int]int{
	{384, 12}:  6,  // ViT-S
	{768, 12}:  12, // ViT-B: SigLIP base, SAM
	{1024, 24}: 16, // ViT-L: DINOv2, CLIP, SigLIP large
	{1152, 27}: 16, // SigLIP so400m
}
