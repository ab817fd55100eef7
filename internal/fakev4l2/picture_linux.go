//go:build amd64 || arm64

package fakev4l2

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
)

// shades is how many pictures differ: their luma tells their number modulo this.
const shades = 8

// Luma is the brightness of the picture with a sequence number, in the whole of it for
// MJPG, and in its upper left 16x16 pixels for raw formats; below and beside is a gradient.
func Luma(seq uint64) uint8 { return uint8(40 + 20*(seq%shades)) }

// size is the bytes of a buffer.
func size(f Format) int {
	switch f.FourCC {
	case "YUYV":
		return (2*f.Width + f.Pad) * f.Height
	case "NV12":
		return (f.Width + f.Pad) * f.Height * 3 / 2
	}
	return f.Width * f.Height
}

// stock makes pictures of a format at little cost.
type stock struct {
	f     Format
	plain []byte   // a raw picture without its number
	jpegs [][]byte // by shade
}

// stock returns that of a format; it is made once.
func (k *kernel) stock(f Format) *stock {
	key := fmt.Sprint(f.FourCC, f.Width, f.Height, f.Pad)
	if k.stocks[key] == nil {
		k.stocks[key] = newStock(f)
	}
	return k.stocks[key]
}

func newStock(f Format) *stock {
	s := &stock{f: f}
	if f.FourCC == "MJPG" {
		for i := range shades {
			img := image.NewYCbCr(image.Rect(0, 0, f.Width, f.Height), image.YCbCrSubsampleRatio422)
			fill(img.Y, Luma(uint64(i)))
			for j := range img.Cb {
				img.Cb[j], img.Cr[j] = uint8(96+j%64), uint8(96+j/64%64) // something to encode
			}
			var b bytes.Buffer
			if err := jpeg.Encode(&b, img, nil); err != nil {
				panic(err) // a Buffer takes everything
			}
			s.jpegs = append(s.jpegs, b.Bytes())
		}
		return s
	}
	s.plain = make([]byte, size(f))
	fill(s.plain, 128)
	stride, step := f.Width+f.Pad, 1
	if f.FourCC == "YUYV" {
		stride, step = stride+f.Width, 2
	}
	for y := range f.Height {
		for x := range f.Width {
			s.plain[y*stride+x*step] = uint8(16 + (x+y)%200)
		}
	}
	return s
}

// write puts the picture with a number into a buffer and returns its bytes. Where the buffer
// has an earlier picture of the stock only the number is written.
func (s *stock) write(b []byte, seq uint32, again bool) int {
	if s.jpegs != nil {
		return copy(b, s.jpegs[seq%shades])
	}
	if !again {
		copy(b, s.plain)
	}
	stride, step := s.f.Width+s.f.Pad, 1
	if s.f.FourCC == "YUYV" {
		stride, step = stride+s.f.Width, 2
	}
	for y := range min(16, s.f.Height) {
		for x := range min(16, s.f.Width) {
			b[y*stride+x*step] = Luma(uint64(seq))
		}
	}
	return len(s.plain)
}

func fill(b []byte, v uint8) {
	for i := range b {
		b[i] = v
	}
}
