package v4l2

import (
	"fmt"
	"image"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// pool keeps released pictures, so that a camera that streams does not allocate.
// Pictures are copies: what a driver maps is gone when the camera is.
type pool struct {
	decode func([]byte) (image.Image, error)
	free   chan *picture
}

// picture is a buffer and what makes a frame of it.
type picture struct {
	data    []byte            // as it came
	raw     camera.RawPicture // Format 0: data is a JPEG
	jpeg    []byte            // of data, repaired
	rgb     camera.RGB        // raw pixels, once somebody looked
	decode  func() (image.Image, error)
	release func()
}

// spare is how many released pictures are kept: one is being filled, one lies in
// a mailbox, one is in use, and one waits for the other views of its set.
const spare = 4

func newPool(decode func([]byte) (image.Image, error)) *pool {
	return &pool{decode: decode, free: make(chan *picture, spare)}
}

func (p *pool) take() *picture {
	select {
	case b := <-p.free:
		return b
	default:
	}
	b := &picture{}
	b.decode = func() (image.Image, error) {
		if b.raw.Format == 0 {
			return p.decode(b.jpeg)
		}
		w, h := b.raw.Width, b.raw.Height
		if len(b.rgb.Pix) != 3*w*h {
			b.rgb.Pix = make([]uint8, 3*w*h)
		}
		b.rgb.Width, b.rgb.Height = w, h
		return &b.rgb, b.raw.ToRGB(b.rgb.Pix, b.data)
	}
	b.release = func() {
		select {
		case p.free <- b:
		default:
		}
	}
	return b
}

// frame copies a picture: of raw pixels, size bytes, or a JPEG when raw.Format is
// 0. It fails, having kept nothing, when the picture is short or damaged.
func (p *pool) frame(raw camera.RawPicture, size int, data []byte, at time.Time, seq uint64) (camera.Frame, error) {
	if raw.Format != 0 {
		if len(data) < size {
			return camera.Frame{}, fmt.Errorf("%d bytes of a picture of %d", len(data), size)
		}
		b := p.take()
		b.raw, b.data = raw, append(b.data[:0], data[:size]...)
		return camera.NewLazyFrame(image.Pt(raw.Width, raw.Height), b.decode, at, seq, b.release), nil
	}
	b := p.take()
	b.raw, b.data = raw, append(b.data[:0], data...)
	jpeg, dim, err := camera.CutJPEG(b.data)
	if err != nil {
		b.release()
		return camera.Frame{}, err
	}
	b.jpeg = jpeg
	return camera.NewLazyFrame(dim, b.decode, at, seq, b.release), nil
}
