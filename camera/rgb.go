package camera

import (
	"image"
	"image/color"
)

// RGB is a picture of packed 8-bit pixels, R, G, B: what [RawPicture.ToRGB] writes, and what
// a vision tower is given.
type RGB struct {
	// Pix holds pixel x, y of Rect at (y-Rect.Min.Y)*Stride + (x-Rect.Min.X)*3.
	Pix    []uint8
	Stride int
	Rect   image.Rectangle
}

// Reset makes m a picture of w x h pixels, rows without padding. Its pixels are kept, or
// new, and mean nothing yet.
func (m *RGB) Reset(w, h int) {
	if cap(m.Pix) < 3*w*h {
		m.Pix = make([]uint8, 3*w*h)
	}
	m.Pix, m.Stride, m.Rect = m.Pix[:3*w*h], 3*w, image.Rect(0, 0, w, h)
}

// ColorModel implements [image.Image].
func (m *RGB) ColorModel() color.Model { return color.RGBAModel }

// Bounds implements [image.Image].
func (m *RGB) Bounds() image.Rectangle { return m.Rect }

func (m *RGB) offset(x, y int) int { return (y-m.Rect.Min.Y)*m.Stride + (x-m.Rect.Min.X)*3 }

// At implements [image.Image].
func (m *RGB) At(x, y int) color.Color {
	if !image.Pt(x, y).In(m.Rect) {
		return color.RGBA{}
	}
	p := m.Pix[m.offset(x, y):]
	return color.RGBA{p[0], p[1], p[2], 0xff}
}

// RGBA64At implements [image.RGBA64Image], which does not allocate.
func (m *RGB) RGBA64At(x, y int) color.RGBA64 {
	if !image.Pt(x, y).In(m.Rect) {
		return color.RGBA64{}
	}
	p := m.Pix[m.offset(x, y):]
	return color.RGBA64{uint16(p[0]) * 0x101, uint16(p[1]) * 0x101, uint16(p[2]) * 0x101, 0xffff}
}

// SubImage returns the part of the picture within r, of the same pixels.
func (m *RGB) SubImage(r image.Rectangle) image.Image {
	r = r.Intersect(m.Rect)
	if r.Empty() {
		return &RGB{}
	}
	return &RGB{Pix: m.Pix[m.offset(r.Min.X, r.Min.Y):], Stride: m.Stride, Rect: r}
}

// RowsRGB returns the pixels and the distance of rows in bytes; it is how packages that do
// not know this one find out that they need not convert.
func (m *RGB) RowsRGB() (pix []uint8, stride int) { return m.Pix, m.Stride }
