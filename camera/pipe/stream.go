package pipe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// How long a helper may take to its first picture, which with RTSP comes after
// connecting and waiting for a key frame, and from one picture to the next.
const (
	firstPatience = 20 * time.Second
	patience      = 8 * time.Second
)

// format is how pictures follow one another in the output of a helper. The pictures are
// planes of Y, U and V in 4:2:0, of full range as in JPEG.
type format struct {
	// head reads what comes before the first picture and returns the size; mark reads what
	// comes before each picture.
	head func(*bufio.Reader) (image.Point, error)
	mark func(*bufio.Reader) error
}

// stream is a [camera.Source] of what a helper writes.
type stream struct {
	p      *process
	format format
	r      *bufio.Reader
	size   image.Point // known after the head
	seq    uint64
	free   *camera.Pool[picture]
	now    func() time.Time

	first, next time.Duration // patience
}

// picture is a buffer and what makes a frame of it, made once.
type picture struct {
	img     *image.YCbCr
	data    []byte // all planes of img
	release func()
}

func newStream(p *process, f format) *stream {
	s := &stream{
		p: p, format: f, r: bufio.NewReaderSize(p.out, 64<<10), now: time.Now,
		first: firstPatience, next: patience,
	}
	s.free = camera.NewPool(s.picture)
	return s
}

// Next implements [camera.Source]. The time of a frame is that at which its first byte
// came: neither helper tells the time of exposure on its standard output.
func (s *stream) Next(ctx context.Context) (camera.Frame, error) {
	limit := s.next
	if s.seq == 0 {
		limit = s.first
	}
	defer s.p.within(ctx, limit)()
	pic, at, err := s.read(ctx)
	switch {
	case err == nil:
		f := camera.NewFrame(pic.img, at, s.seq, pic.release)
		s.seq++
		return f, nil
	case ctx.Err() != nil:
		return camera.Frame{}, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("no picture for %v", limit)
		if s.seq == 0 {
			err = fmt.Errorf("no picture within %v of its start", limit)
		}
	}
	return camera.Frame{}, s.p.fail(err)
}

// Close implements [camera.Source].
func (s *stream) Close() error { return s.p.stop() }

// read reads one picture.
func (s *stream) read(ctx context.Context) (*picture, time.Time, error) {
	if err := ctx.Err(); err != nil { // before within, which set another deadline
		return nil, time.Time{}, err
	}
	if s.size == (image.Point{}) {
		size, err := s.format.head(s.r)
		if err != nil {
			return nil, time.Time{}, err
		}
		s.size = size
	}
	if err := s.format.mark(s.r); err != nil {
		return nil, time.Time{}, err
	}
	if _, err := s.r.Peek(1); err != nil {
		return nil, time.Time{}, err
	}
	at := s.now()
	pic := s.free.Take()
	if _, err := io.ReadFull(s.r, pic.data); err != nil {
		pic.release()
		return nil, time.Time{}, err
	}
	return pic, at, nil
}

// picture makes a buffer.
func (s *stream) picture(release func()) *picture {
	w, h := s.size.X, s.size.Y
	y, c := w*h, (w/2)*(h/2)
	p := &picture{data: make([]byte, y+2*c), release: release}
	p.img = &image.YCbCr{
		Y: p.data[:y:y], Cb: p.data[y : y+c : y+c], Cr: p.data[y+c:], YStride: w, CStride: w / 2,
		SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, w, h),
	}
	return p
}

// maxSide bounds the width and the height of pictures; it is the most that the resizer of
// package preprocess takes.
const maxSide = 1 << 14

// maxPixels bounds the memory for one picture to 48 MiB.
const maxPixels = 1 << 25

// checkSize refuses sizes whose chroma cannot be half of it, and what is too large.
func checkSize(w, h int) error {
	if w < 2 || h < 2 || w > maxSide || h > maxSide || w*h > maxPixels || w%2 != 0 || h%2 != 0 {
		return fmt.Errorf("pictures of %dx%d: want even sides, at most %d and %d pixels in all", w, h, maxSide, maxPixels)
	}
	return nil
}
