package edge

import (
	"image"
	"image/color"
)

// A picture is looked at through a coarse grid of cells, of 8x8 samples each: enough to see
// whether it changed and whether it is any good. Samples are pairs of neighbouring pixels,
// so that they show how sharp the picture is.
const (
	thumbW, thumbH = 16, 12
	thumbSamples   = 8 // per cell and axis

	cells       = thumbW * thumbH
	cellSamples = thumbSamples * thumbSamples
	samples     = cells * cellSamples
)

// thumb holds the means of the cells, R, G, B in 0..255: sensor noise shrinks by eight, an
// object in the room covers several.
type thumb [cells][3]float32

// difference is the largest change of any cell and channel, 0..255.
func (t *thumb) difference(o *thumb) float32 {
	var most float32
	for i := range t {
		for c := range 3 {
			d := t[i][c] - o[i][c]
			most = max(most, d, -d)
		}
	}
	return most
}

// look is what is kept of a picture.
type look struct {
	thumb  thumb
	luma   [samples]uint8
	detail [cells]float32 // means of the squared differences of neighbours
}

// fill sets l from img and allocates nothing for the standard picture types.
func (l *look) fill(img image.Image) {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w <= 0 || h <= 0 {
		*l = look{}
		return
	}
	at := sampler(img)
	i := 0
	for cy := range thumbH {
		for cx := range thumbW {
			var sum [3]uint32
			var squares int32
			for sy := range thumbSamples {
				y := b.Min.Y + sample(cy*thumbSamples+sy, thumbH*thumbSamples, h)
				for pair := range thumbSamples / 2 {
					x := b.Min.X + sample(cx*thumbSamples/2+pair, thumbW*thumbSamples/2, w)
					left := add(&sum, at(x, y))
					right := add(&sum, at(min(x+1, b.Max.X-1), y))
					l.luma[i], l.luma[i+1] = left, right
					d := int32(left) - int32(right)
					squares += d * d
					i += 2
				}
			}
			cell := cy*thumbW + cx
			for c, s := range sum {
				l.thumb[cell][c] = float32(s) / cellSamples
			}
			l.detail[cell] = float32(squares) / (cellSamples / 2)
		}
	}
}

// add adds a sample to a cell's sums and returns its luma, as image/color weighs it.
func add(sum *[3]uint32, c color.RGBA64) uint8 {
	r, g, b := uint32(c.R>>8), uint32(c.G>>8), uint32(c.B>>8)
	sum[0] += r
	sum[1] += g
	sum[2] += b
	return uint8((19595*r + 38470*g + 7471*b + 1<<15) >> 16)
}

// sample is the pixel at the middle of the i-th of n equal parts of size.
func sample(i, n, size int) int {
	return int(int64(2*i+1) * int64(size) / int64(2*n))
}

func sampler(img image.Image) func(x, y int) color.RGBA64 {
	if p, ok := img.(image.RGBA64Image); ok {
		return p.RGBA64At
	}
	return func(x, y int) color.RGBA64 {
		r, g, b, a := img.At(x, y).RGBA()
		return color.RGBA64{R: uint16(r), G: uint16(g), B: uint16(b), A: uint16(a)}
	}
}
