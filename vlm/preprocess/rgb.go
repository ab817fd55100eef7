package preprocess

import (
	"fmt"
	"image"
	"image/color"

	"github.com/visualrwkv/edged/kernels"
)

// rowsRGB is a picture of packed RGB: rows of 3*width bytes, stride bytes apart. Cameras with
// raw pixels make such.
type rowsRGB interface {
	RowsRGB() (pix []uint8, stride int)
}

// RGB writes img to dst as packed 8-bit RGB, rows top to bottom, without
// padding. dst holds 3*width*height bytes of img.Bounds(); another length
// panics.
//
// Colours are what PIL's convert("RGB") gives: grey is repeated, palettes are
// looked up, alpha is dropped rather than blended (premultiplied colours are
// divided by it first), CMYK uses Pillow's integer formula, 16-bit samples keep
// their high byte. YCbCr is converted as package image/color does, which can
// differ from libjpeg by one level.
func RGB(dst []uint8, img image.Image) {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if len(dst) != 3*w*h {
		panic(fmt.Sprintf("preprocess: %d bytes for a picture of %dx%d", len(dst), w, h))
	}
	if w == 0 || h == 0 {
		return
	}
	switch m := img.(type) {
	case rowsRGB:
		pix, stride := m.RowsRGB()
		for y := range h {
			copy(dst[y*3*w:][:3*w], pix[y*stride:])
		}
	case *image.RGBA:
		for y := range h {
			rgba(dst[y*3*w:][:3*w], m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:4*w])
		}
	case *image.NRGBA:
		for y := range h {
			rgbx(dst[y*3*w:][:3*w], m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:4*w])
		}
	case *image.YCbCr:
		for y := range h {
			ycbcr(dst[y*3*w:][:3*w], m, b.Min.Y+y)
		}
	case *image.Gray:
		for y := range h {
			kernels.GreyToRGB(dst[y*3*w:][:3*w], m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:w])
		}
	case *image.Gray16:
		for y := range h {
			gray16(dst[y*3*w:][:3*w], m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:2*w])
		}
	case *image.Paletted:
		table := palette(m.Palette)
		for y := range h {
			lookup(dst[y*3*w:][:3*w], m.Pix[m.PixOffset(b.Min.X, b.Min.Y+y):][:w], table)
		}
	default:
		for y := range h {
			d := dst[y*3*w:][:3*w]
			for x := range w {
				d[3*x], d[3*x+1], d[3*x+2] = opaque(img.At(b.Min.X+x, b.Min.Y+y))
			}
		}
	}
}

// rgba drops alpha from one row of premultiplied pixels.
func rgba(dst, src []uint8) {
	for len(src) >= 4 && len(dst) >= 3 {
		if a := uint32(src[3]); a == 255 {
			dst[0], dst[1], dst[2] = src[0], src[1], src[2]
		} else {
			a *= 0x101
			dst[0] = divide(uint32(src[0])*0x101, a)
			dst[1] = divide(uint32(src[1])*0x101, a)
			dst[2] = divide(uint32(src[2])*0x101, a)
		}
		src, dst = src[4:], dst[3:]
	}
}

// rgbx drops the fourth byte of each pixel of one row.
func rgbx(dst, src []uint8) {
	for len(src) >= 4 && len(dst) >= 3 {
		dst[0], dst[1], dst[2] = src[0], src[1], src[2]
		src, dst = src[4:], dst[3:]
	}
}

// gray16 keeps the first, more significant, byte of each big-endian sample.
func gray16(dst, src []uint8) {
	for i := 0; i < len(src)/2; i++ {
		d, v := (*[3]uint8)(dst[3*i:]), src[2*i]
		d[0], d[1], d[2] = v, v, v
	}
}

// palette expands p to 256 entries; indices beyond it are black.
func palette(p color.Palette) *[256][3]uint8 {
	var t [256][3]uint8
	for i, c := range p[:min(len(p), 256)] {
		t[i][0], t[i][1], t[i][2] = opaque(c)
	}
	return &t
}

func lookup(dst, src []uint8, table *[256][3]uint8) {
	for i, v := range src {
		*(*[3]uint8)(dst[3*i:]) = table[v]
	}
}

// opaque returns the colour of c with its alpha dropped.
func opaque(c color.Color) (r, g, b uint8) {
	switch c := c.(type) {
	case color.NRGBA:
		return c.R, c.G, c.B
	case color.NRGBA64:
		return uint8(c.R >> 8), uint8(c.G >> 8), uint8(c.B >> 8)
	case color.NYCbCrA:
		return color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
	case color.CMYK:
		w := 255 - uint32(c.K)
		return ink(c.C, w), ink(c.M, w), ink(c.Y, w)
	}
	r16, g16, b16, a := c.RGBA()
	return divide(r16, a), divide(g16, a), divide(b16, a)
}

// divide undoes the premultiplication of a 16-bit sample by alpha a and keeps
// the high byte; where nothing of the colour is left it is black.
func divide(v, a uint32) uint8 {
	switch a {
	case 0:
		return 0
	case 0xffff:
		return uint8(v >> 8)
	}
	return uint8(min(v, a) * 0xffff / a >> 8)
}

// ink is what a layer of ink v leaves of the white w: w - round(v*w/255).
func ink(v uint8, w uint32) uint8 {
	t := uint32(v)*w + 128
	return uint8(w - (t>>8+t)>>8)
}

// ycbcr converts row y of m, with the fixed-point formula of image/color.
func ycbcr(dst []uint8, m *image.YCbCr, y int) {
	x0, w := m.Rect.Min.X, m.Rect.Dx()
	ys := m.Y[m.YOffset(x0, y):][:w]
	c0 := m.COffset(x0, y)
	// Chroma columns are counted from the absolute x, so an odd left edge
	// starts in the middle of a chroma sample.
	var shift, odd uint
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		shift, odd = 1, uint(x0)&1
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		shift, odd = 2, uint(x0)&3
	}
	n := (w-1+int(odd))>>shift + 1
	cbs, crs := m.Cb[c0:][:n], m.Cr[c0:][:n]
	if shift == 1 && odd == 0 {
		kernels.I420ToRGB(dst, ys, cbs, crs, true)
		return
	}
	for i, v := range ys {
		c := (uint(i) + odd) >> shift
		d := (*[3]uint8)(dst[3*i:])
		yy := int32(v) * 0x10101
		cb, cr := int32(cbs[c])-128, int32(crs[c])-128
		d[0] = top8(yy + 91881*cr)
		d[1] = top8(yy - 22554*cb - 46802*cr)
		d[2] = top8(yy + 116130*cb)
	}
}

// top8 returns bits 16 to 23 of v, saturated.
func top8(v int32) uint8 {
	if uint32(v)&0xff000000 != 0 {
		return uint8(^(v >> 31))
	}
	return uint8(v >> 16)
}
