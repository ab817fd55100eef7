package camera

import (
	"errors"
	"fmt"

	"github.com/visualrwkv/edged/kernels"
)

// ErrPixels is wrapped by the error for raw pixels that cannot be what they are said to be.
var ErrPixels = errors.New("bad pixels")

// PixelFormat is a layout of raw pixels.
type PixelFormat uint8

// The formats of webcams and CSI cameras, under the names of V4L2 (V4L2_PIX_FMT_...).
const (
	YUYV PixelFormat = 1 + iota // 4:2:2, Y0 U Y1 V
	UYVY                        // 4:2:2, U Y0 V Y1
	NV12                        // 4:2:0, a plane of Y, then one of U V pairs
	I420                        // 4:2:0, planes of Y, U and V; V4L2 calls it YUV420, YU12
	Grey                        // 8 bits of luma, of full range
)

// String returns the four characters by which V4L2 and UVC know the format.
func (f PixelFormat) String() string {
	switch f {
	case YUYV:
		return "YUYV"
	case UYVY:
		return "UYVY"
	case NV12:
		return "NV12"
	case I420:
		return "YU12"
	case Grey:
		return "GREY"
	}
	return fmt.Sprintf("pixel format %d", uint8(f))
}

// maxSide bounds width and height of raw pictures, so that no size overflows 31 bits.
const maxSide = 1 << 14

// RawPicture tells what raw pixels mean.
type RawPicture struct {
	Format        PixelFormat
	Width, Height int

	// Stride is the distance of rows in bytes, V4L2's bytesperline, which may be longer than
	// a row. It is that of the first plane; planes of NV12 have the same, those of U and V
	// in I420 half of it. Each plane follows Height (or Height/2) rows of the one before.
	Stride int

	// FullRange says that samples use all of 0..255, as in JPEG, and not the 16..235 and
	// 16..240 of BT.601, which V4L2 takes the raw formats of webcams to have.
	FullRange bool
}

// Size returns the bytes that a picture has at least: up to the last pixel of the last
// row. It fails where the sizes cannot belong together; a width must be even in 4:2:2 and
// 4:2:0, where two pixels share their colour, and a height in 4:2:0.
func (p RawPicture) Size() (int, error) {
	w, h, row := p.Width, p.Height, p.Width
	if w < 1 || h < 1 || w > maxSide || h > maxSide {
		return 0, fmt.Errorf("%w: %v of %dx%d", ErrPixels, p.Format, w, h)
	}
	switch p.Format {
	case YUYV, UYVY:
		row = 2 * w
	case NV12, I420, Grey:
	default:
		return 0, fmt.Errorf("%w: %v", ErrPixels, p.Format)
	}
	planar := p.Format == NV12 || p.Format == I420
	if p.Format != Grey && w%2 != 0 || planar && h%2 != 0 {
		return 0, fmt.Errorf("%w: %v of %dx%d, which cannot share colour by twos", ErrPixels, p.Format, w, h)
	}
	if p.Stride < row || p.Stride > 4*maxSide || p.Format == I420 && p.Stride%2 != 0 {
		return 0, fmt.Errorf("%w: %v of width %d with rows %d bytes apart", ErrPixels, p.Format, w, p.Stride)
	}
	switch p.Format {
	case NV12:
		return p.Stride*(h+h/2-1) + w, nil
	case I420:
		return p.Stride*h + p.Stride/2*(h-1) + w/2, nil
	}
	return p.Stride*(h-1) + row, nil
}

// ToRGB converts raw pixels to packed 8-bit RGB, 3*Width*Height bytes in dst, with the
// arithmetic of package kernels: BT.601, chroma taken from the nearest sample. src may
// be longer than a picture, as buffers of drivers are; what is too short is an error.
func (p RawPicture) ToRGB(dst, src []uint8) error {
	size, err := p.Size()
	if err != nil {
		return err
	}
	w, h, stride := p.Width, p.Height, p.Stride
	if len(src) < size || len(dst) != 3*w*h {
		return fmt.Errorf("%w: %d bytes of %v for %dx%d, want %d; %d of RGB, want %d", ErrPixels, len(src), p.Format, w, h, size, len(dst), 3*w*h)
	}
	for y := range h {
		d, s := dst[3*w*y:][:3*w], src[stride*y:]
		switch p.Format {
		case YUYV:
			kernels.YUYVToRGB(d, s[:2*w], p.FullRange)
		case UYVY:
			kernels.UYVYToRGB(d, s[:2*w], p.FullRange)
		case NV12:
			kernels.NV12ToRGB(d, s[:w], src[stride*(h+y/2):][:w], p.FullRange)
		case I420:
			u := stride*h + stride/2*(y/2)
			v := u + stride/2*(h/2)
			kernels.I420ToRGB(d, s[:w], src[u:][:w/2], src[v:][:w/2], p.FullRange)
		case Grey:
			kernels.GreyToRGB(d, s[:w])
		}
	}
	return nil
}
