package camera

import (
	"fmt"
	"image"
	"time"
)

// spare is how many released buffers are kept: one is being filled, one lies in a mailbox,
// one is in use, and one waits for the other views of its set.
const spare = 4

// Pool keeps what frames were made of and was released, so that a camera that streams does
// not allocate. One goroutine takes; others may give back.
type Pool[T any] struct {
	free  chan *T
	fresh func(release func()) *T
}

// NewPool returns an empty pool. Where nothing was given back, fresh makes a T; release
// gives that back, and is for the frame.
func NewPool[T any](fresh func(release func()) *T) *Pool[T] {
	return &Pool[T]{free: make(chan *T, spare), fresh: fresh}
}

// Take returns what was released, or something new.
func (p *Pool[T]) Take() *T {
	select {
	case t := <-p.free:
		return t
	default:
	}
	var t *T
	t = p.fresh(func() {
		select {
		case p.free <- t:
		default:
		}
	})
	return t
}

// Pictures makes frames of what cameras send, JPEG or raw pixels. Pixels are made when
// somebody wants them, and buffers are used again: see [Pool].
type Pictures struct {
	pool   *Pool[Picture]
	decode func([]byte) (image.Image, error)
	draft  func([]byte, *image.YCbCr) error
}

// Picture is a buffer of [Pictures]. It is used for one frame, by JPEG or Raw, or released.
type Picture struct {
	Data    []byte // as it came
	Release func()

	raw   RawPicture
	jpeg  []byte // of Data, repaired
	size  image.Point
	rgb   RGB         // raw pixels, once somebody looked
	means image.YCbCr // of the draft, once somebody looked
	toJPG func() (image.Image, error)
	toRGB func() (image.Image, error)
	draft func() (Draft, bool)
}

// NewPictures returns an empty pool for pictures of sources with these options. Without a
// decoder no JPEG may come.
func NewPictures(o *Options) *Pictures {
	s := &Pictures{decode: o.Decode, draft: o.Draft}
	s.pool = NewPool(func(release func()) *Picture {
		p := &Picture{Release: release}
		p.toJPG = func() (image.Image, error) { return s.decode(p.jpeg) }
		p.toRGB = p.convert
		if s.draft != nil {
			p.draft = func() (Draft, bool) {
				return Draft{&p.means, image.Rectangle{Max: p.size}}, s.draft(p.jpeg, &p.means) == nil
			}
		}
		return p
	})
	return s
}

// Take returns a buffer without data.
func (s *Pictures) Take() *Picture {
	p := s.pool.Take()
	p.Data = p.Data[:0]
	return p
}

// JPEG makes a frame of the picture in Data, cut out by [CutJPEG], or releases it.
func (p *Picture) JPEG(at time.Time, seq uint64) (Frame, error) {
	jpeg, size, err := CutJPEG(p.Data)
	if err != nil {
		p.Release()
		return Frame{}, err
	}
	p.jpeg, p.size = jpeg, size
	f := NewLazyFrame(size, p.toJPG, at, seq, p.Release)
	f.draft = p.draft
	return f, nil
}

// Raw makes a frame of the raw pixels in Data, or releases it where they are too few.
func (p *Picture) Raw(raw RawPicture, at time.Time, seq uint64) (Frame, error) {
	size, err := raw.Size()
	if err == nil && len(p.Data) < size {
		err = fmt.Errorf("%w: %d bytes of a picture of %d", ErrPixels, len(p.Data), size)
	}
	if err != nil {
		p.Release()
		return Frame{}, err
	}
	p.raw = raw
	return NewLazyFrame(image.Pt(raw.Width, raw.Height), p.toRGB, at, seq, p.Release), nil
}

func (p *Picture) convert() (image.Image, error) {
	p.rgb.Reset(p.raw.Width, p.raw.Height)
	return &p.rgb, p.raw.ToRGB(p.rgb.Pix, p.Data)
}
