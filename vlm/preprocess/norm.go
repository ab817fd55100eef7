package preprocess

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
)

// Mean and standard deviation per channel (R, G, B), in units of full scale,
// of the towers this project knows: spec section 7.
var (
	HalfMean, HalfStd         = [3]float32{.5, .5, .5}, [3]float32{.5, .5, .5}
	ImageNetMean, ImageNetStd = [3]float32{.485, .456, .406}, [3]float32{.229, .224, .225}
	CLIPMean, CLIPStd         = [3]float32{.48145466, .4578275, .40821073}, [3]float32{.26862954, .26130258, .27577711}
)

// Norm maps 8-bit samples to (v/255 - mean)/std, in float32 as torchvision
// computes it. It is safe for concurrent use.
type Norm struct{ n *kernels.Norm }

// NewNorm fails where std is not positive or a value is not finite.
func NewNorm(mean, std [3]float32) (*Norm, error) {
	for c := range 3 {
		if m, s := mean[c], std[c]; !(s > 0) || m-m != 0 || s-s != 0 {
			return nil, fmt.Errorf("normalisation of channel %d: mean %g, std %g", c, m, s)
		}
	}
	return &Norm{kernels.NewNorm(mean, std)}, nil
}

// Planar writes packed RGB to dst in planes: dst[c*pixels+i], 3*pixels values.
// dst and rgb have the same length, a multiple of three, or Planar panics.
func (n *Norm) Planar(dst []float32, rgb []uint8) {
	if len(dst) != len(rgb) || len(rgb)%3 != 0 {
		panic(fmt.Sprintf("preprocess: %d values for %d samples", len(dst), len(rgb)))
	}
	px := len(rgb) / 3
	r, g, b := dst[:px], dst[px:][:px], dst[2*px:]
	for i := 0; i < px; i += callWork / 4 {
		j := min(i+callWork/4, px)
		kernels.Normalize(r[i:j], g[i:j], b[i:j], rgb[3*i:3*j], n.n)
	}
}
