package kernels

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels/portable"
)

// Norm holds a normalisation of 8-bit RGB for Normalize.
type Norm = portable.Norm

// NewNorm prepares a normalisation: sample v of channel c becomes (v/255 - mean)/std, each
// operation rounded to float32.
func NewNorm(mean, std [3]float32) *Norm { return portable.NewNorm(mean, std) }

// Normalize writes packed RGB to three planes, one value to a pixel, exactly as NewNorm
// says.
//
//go:noinline
func Normalize(r, g, b []float32, rgb []uint8, n *Norm) {
	if len(g) != len(r) || len(b) != len(r) || len(rgb) != 3*len(r) {
		panic(fmt.Sprintf("kernels: Normalize: %d, %d and %d values for %d bytes", len(r), len(g), len(b), len(rgb)))
	}
	if race {
		raceWrite(r)
		raceWrite(g)
		raceWrite(b)
		raceRead(rgb)
	}
	done := normalize(r, g, b, rgb, n)
	portable.Normalize(r[done:], g[done:], b[done:], rgb[3*done:], n)
}
