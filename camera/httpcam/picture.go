package httpcam

import (
	"image"
	"time"

	"github.com/visualrwkv/edged/camera"
)

const jpegEnd = "\xff\xd9"

// maxJPEG bounds one picture: those of 4K cameras at their best have 3 MB.
const maxJPEG = 16 << 20

// pictures turns what arrived into frames, and its buffers are used again. One goroutine
// takes; frames may be released by others.
type pictures struct {
	decode func([]byte) (image.Image, error)
	free   chan *picture
	seq    uint64
}

// picture is a buffer and what makes a frame of it, made once.
type picture struct {
	data    []byte // as it arrived, and then the JPEG
	jpeg    []byte
	decode  func() (image.Image, error)
	release func()
}

// spare is how many released buffers are kept: one is being filled, one lies in a mailbox,
// one is in use, and one waits for the other views of its set.
const spare = 4

func newPictures(decode func([]byte) (image.Image, error)) *pictures {
	return &pictures{decode: decode, free: make(chan *picture, spare)}
}

// take returns a released picture, or a new one, without data.
func (s *pictures) take() *picture {
	select {
	case p := <-s.free:
		p.data = p.data[:0]
		return p
	default:
	}
	p := &picture{}
	p.decode = func() (image.Image, error) { return s.decode(p.jpeg) }
	p.release = func() {
		select {
		case s.free <- p:
		default:
		}
	}
	return p
}

// frame makes a frame of p, or gives it back.
func (s *pictures) frame(p *picture, at time.Time) (camera.Frame, error) {
	jpeg, size, err := camera.CutJPEG(p.data)
	if err != nil {
		p.release()
		return camera.Frame{}, err
	}
	p.jpeg = jpeg
	f := camera.NewLazyFrame(size, p.decode, at, s.seq, p.release)
	s.seq++
	return f, nil
}
