package vision

import (
	"errors"
	"fmt"

	"github.com/visualrwkv/edged/quant"
)

// A Tower turns square pictures into a G x G grid of feature vectors.
type Tower interface {
	// Name is the tower's name in model files, such as "siglip".
	Name() string
	// ImageSize is the side of the pictures, in pixels.
	ImageSize() int
	// Grid is the side G of the grid.
	Grid() int
	// Dim is the number of features per cell.
	Dim() int
	// Tokens is the number of rows of features of a picture: one for each of the
	// G*G cells, in raster order, and with CLIP one more, the class token, which
	// comes last as in the image tokens of v6.0.
	Tokens() int
	// Forward computes the features of n pictures: pixels [n, 3, ImageSize,
	// ImageSize], normalised. Row t of picture i goes to
	// dst[(i*Tokens+t)*stride:][:Dim], so that several towers can fill one row of
	// channels side by side. A row's bits do not depend on n or on the number of
	// workers. Once what [quant.Scratch.Until] was given for w is closed, no further
	// block is begun, and dst is of no use.
	Forward(w *Work, dst []float32, stride int, pixels []float32, n int)
}

// ErrTower is wrapped by the error for a tower this package does not know.
var ErrTower = errors.New("unknown vision tower")

// Config is what a tower's tensors do not say. Zero values stand for what is
// usual for the tower.
type Config struct {
	ImageSize    int        // pixels; 0: what the position embedding was made for
	Heads        int        // 0: what the shapes or the table of published towers tell
	FeatureBlock int        // index of the block whose output is taken; negative: second to last
	Activation   Activation // of the feed-forward layers
	Eps          float32    // of layer norms; 0: the tower's own
}

// Open binds the weights of the tower with the given name.
func Open(name string, l quant.Loader, c Config) (Tower, error) {
	if name == sam {
		return OpenSAM(l, c)
	}
	return OpenViT(name, l, c)
}

// check panics unless the arguments of Forward fit t.
func check(t Tower, dst []float32, stride int, pixels []float32, n int) {
	s, rows := t.ImageSize(), n*t.Tokens()
	if n < 1 || stride < t.Dim() || len(dst) < (rows-1)*stride+t.Dim() || len(pixels) != n*3*s*s {
		panic(fmt.Sprintf("vision: %s: %d values at stride %d for %d pictures of %d values", t.Name(), len(dst), stride, n, len(pixels)))
	}
}
