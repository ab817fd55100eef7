package edge

import (
	"image"
	"image/color"
)

// A thumb is a picture reduced to a coarse grid, to see whether it changed.
// Cells are means of 8x8 samples: sensor noise shrinks by eight, an object in
// the room covers several cells.
const (
	thumbW, thumbH = 16, 12
	thumbSamples   = 8 // per cell and axis
)

type thumb [thumbW * thumbH][3]float32 // R, G, B in 0..255

// fill sets t from img and allocates nothing for the standard picture types.
func (t *thumb) fill(img image.Image) {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w <= 0 || h <= 0 {
		*t = thumb{}
		return
	}
	at := sampler(img)
	const n = thumbSamples * thumbSamples
	for cy := range thumbH {
		for cx := range thumbW {
			var sum [3]uint32
			for sy := range thumbSamples {
				y := b.Min.Y + sample(cy*thumbSamples+sy, thumbH*thumbSamples, h)
				for sx := range thumbSamples {
					x := b.Min.X + sample(cx*thumbSamples+sx, thumbW*thumbSamples, w)
					c := at(x, y)
					sum[0] += uint32(c.R >> 8)
					sum[1] += uint32(c.G >> 8)
					sum[2] += uint32(c.B >> 8)
				}
			}
			for i, s := range sum {
				t[cy*thumbW+cx][i] = float32(s) / n
			}
		}
	}
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
