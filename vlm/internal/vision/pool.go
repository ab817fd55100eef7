package vision

import (
	"fmt"
	"math"
)

// Side returns the side of the largest square grid of at most tokens cells.
func Side(tokens int) int {
	s := int(math.Sqrt(float64(tokens)))
	for s*s > tokens {
		s--
	}
	return s
}

// Pool averages a grid of g x g cells of c channels down, or up, to o x o:
// adaptive average pooling as in PyTorch, section 5. Cell i of the result covers
// rows i*g/o to (i+1)*g/o, the first rounded down and the second up, so windows
// overlap where g is no multiple of o. dst [o*o, c] must not overlap src [g*g, c].
func Pool(dst, src []float32, g, o, c int) {
	if g < 1 || o < 1 || c < 1 || len(dst) != o*o*c || len(src) != g*g*c {
		panic(fmt.Sprintf("vision: Pool: %d values for %dx%d, %d for %dx%d, %d channels", len(src), g, g, len(dst), o, o, c))
	}
	for y := range o {
		y0, y1 := y*g/o, ((y+1)*g+o-1)/o
		for x := range o {
			x0, x1 := x*g/o, ((x+1)*g+o-1)/o
			d := dst[(y*o+x)*c:][:c]
			clear(d)
			for sy := y0; sy < y1; sy++ {
				for sx := x0; sx < x1; sx++ {
					for k, v := range src[(sy*g+sx)*c:][:c] {
						d[k] += v
					}
				}
			}
			n := float32((y1 - y0) * (x1 - x0))
			for k := range d {
				d[k] /= n
			}
		}
	}
}
