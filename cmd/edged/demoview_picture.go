package main

import (
	"image"
	"image/color"
)

// Each cell of the terminal shows two pixels, one above the other: the upper is
// the foreground of a half block, the lower its background. Cells are about
// twice as high as wide, so such pixels are square.
const halfBlock = '▀'

// reduced copies src into dst, made smaller so that it fits into maxW x maxH;
// smaller pictures keep their size. Its memory is reused when it fits.
func reduced(dst *image.RGBA, src image.Image, maxW, maxH int) *image.RGBA {
	b := src.Bounds()
	w, h := fit(b.Dx(), b.Dy(), maxW, maxH)
	if dst == nil || dst.Rect.Dx() != w || dst.Rect.Dy() != h {
		dst = image.NewRGBA(image.Rect(0, 0, w, h))
	}
	shrink(dst, src)
	return dst
}

// fit is the largest size of the same shape as w x h within maxW x maxH, never
// enlarged and never empty.
func fit(w, h, maxW, maxH int) (int, int) {
	if w <= 0 || h <= 0 {
		return 1, 1
	}
	if w > maxW {
		w, h = maxW, int(int64(h)*int64(maxW)/int64(w))
	}
	if h > maxH {
		w, h = int(int64(w)*int64(maxH)/int64(h)), maxH
	}
	return max(1, w), max(1, h)
}

// shrink fills dst with means of the pixels of src below each of its pixels, of
// up to 8x8 of them.
func shrink(dst *image.RGBA, src image.Image) {
	b := src.Bounds()
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	if b.Empty() {
		clear(dst.Pix)
		return
	}
	at := func(x, y int) color.RGBA64 {
		r, g, b, a := src.At(x, y).RGBA()
		return color.RGBA64{R: uint16(r), G: uint16(g), B: uint16(b), A: uint16(a)}
	}
	if p, ok := src.(image.RGBA64Image); ok {
		at = p.RGBA64At
	}
	for y := range h {
		y0, y1 := span(y, h, b.Dy())
		dy := 1 + (y1-y0-1)/8
		for x := range w {
			x0, x1 := span(x, w, b.Dx())
			dx := 1 + (x1-x0-1)/8
			var sum [3]uint32
			var n uint32
			for v := y0; v < y1; v += dy {
				for u := x0; u < x1; u += dx {
					c := at(b.Min.X+u, b.Min.Y+v)
					sum[0] += uint32(c.R >> 8)
					sum[1] += uint32(c.G >> 8)
					sum[2] += uint32(c.B >> 8)
					n++
				}
			}
			p := dst.Pix[dst.PixOffset(x, y):][:4]
			for i := range sum {
				p[i] = uint8((sum[i] + n/2) / n)
			}
			p[3] = 255
		}
	}
}

// span is the part of size that the i-th of n equal parts covers, at least one.
func span(i, n, size int) (from, to int) {
	from = int(int64(i) * int64(size) / int64(n))
	to = int(int64(i+1) * int64(size) / int64(n))
	return from, max(to, from+1)
}

// picture draws img into columns x..x+w and rows y..y+h.
func (s *screen) picture(x, y, w, h int, img image.Image) {
	small := image.NewRGBA(image.Rect(0, 0, w, 2*h))
	shrink(small, img)
	pixel := func(u, v int) paint {
		p := small.Pix[small.PixOffset(u, v):]
		return rgb(p[0], p[1], p[2])
	}
	for j := range h {
		for i := range w {
			s.set(x+i, y+j, cell{ch: halfBlock, fg: pixel(i, 2*j), bg: pixel(i, 2*j+1)})
		}
	}
}
