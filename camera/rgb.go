package camera

import (
	"image"
	"image/color"
)

// RGB is a picture of packed 8-bit pixels, R, G, B, rows without padding: what
// [RawPicture.ToRGB] writes, and what a vision tower is given.
type RGB struct {
	Pix           []uint8 // 3*Width*Height
	Width, Height int
}

// ColorModel implements [image.Image].
func (m *RGB) ColorModel() color.Model { return color.RGBAModel }

// Bounds implements [image.Image].
func (m *RGB) Bounds() image.Rectangle { return image.Rect(0, 0, m.Width, m.Height) }

// At implements [image.Image].
func (m *RGB) At(x, y int) color.Color {
	if !image.Pt(x, y).In(m.Bounds()) {
		return color.RGBA{}
	}
	p := m.Pix[3*(y*m.Width+x):]
	return color.RGBA{p[0], p[1], p[2], 0xff}
}

// RGBA64At implements [image.RGBA64Image], which does not allocate.
func (m *RGB) RGBA64At(x, y int) color.RGBA64 {
	if !image.Pt(x, y).In(m.Bounds()) {
		return color.RGBA64{}
	}
	p := m.Pix[3*(y*m.Width+x):]
	return color.RGBA64{uint16(p[0]) * 0x101, uint16(p[1]) * 0x101, uint16(p[2]) * 0x101, 0xffff}
}

// Set implements [image/draw.Image], without the transparency of c.
func (m *RGB) Set(x, y int, c color.Color) {
	if image.Pt(x, y).In(m.Bounds()) {
		r, g, b, _ := c.RGBA()
		p := m.Pix[3*(y*m.Width+x):]
		p[0], p[1], p[2] = uint8(r>>8), uint8(g>>8), uint8(b>>8)
	}
}

// PackedRGB returns the pixels; it is how packages that do not know this one
// find out that they need not convert.
func (m *RGB) PackedRGB() []uint8 { return m.Pix }
