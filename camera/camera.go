package camera

import (
	"context"
	"image"
	"time"
)

// Frame is one picture of one view.
//
// The picture is borrowed from the source: it may be read until Release and is
// overwritten some time after it. Whoever takes a frame from a source releases
// it exactly once; who needs the pixels longer copies them.
type Frame struct {
	Image image.Image // nil in a frame of a camera until Decode
	Size  image.Point // width and height of the picture
	Time  time.Time   // the instant of exposure, by the clock that all views of the place share
	Seq   uint64      // counts the pictures of this source, gaps are pictures that were lost

	decode  func() (image.Image, error)
	draft   func() (Draft, bool) // nil where there is none
	release func()
}

// Draft is a picture at an eighth of its size, which costs a tenth of the picture.
type Draft struct {
	// Image holds the means of blocks of 8x8 pixels. Blocks of which a part may not be
	// seen are black, and their colour with that of neighbours which share it.
	Image *image.YCbCr

	// Rect is the picture, in pixels of which 8x, 8y is the first of Image's x, y.
	Rect image.Rectangle
}

// NewFrame makes a frame whose buffer goes back to its owner through release,
// which may be nil.
func NewFrame(img image.Image, at time.Time, seq uint64, release func()) Frame {
	f := Frame{Image: img, Time: at, Seq: seq, release: release}
	if img != nil {
		f.Size = img.Bounds().Size()
	}
	return f
}

// NewLazyFrame makes a frame that decode turns into pixels should somebody want
// them; most frames of a camera are overtaken by newer ones and never are.
// decode is called before release, if at all, and once.
func NewLazyFrame(size image.Point, decode func() (image.Image, error), at time.Time, seq uint64, release func()) Frame {
	return Frame{Size: size, Time: at, Seq: seq, decode: decode, release: release}
}

// Decode sets Image where it is nil. A picture that turns out to be damaged is
// an error, and the frame is to be released like any other.
func (f *Frame) Decode() error {
	if f.Image != nil || f.decode == nil {
		return nil
	}
	img, err := f.decode()
	if err == nil {
		f.Image = img
	}
	return err
}

// Draft returns a draft of the picture, which is valid until the frame is released. It is
// false where there is none: pictures that are not compressed, and damaged ones.
func (f *Frame) Draft() (Draft, bool) {
	if f.draft == nil {
		return Draft{}, false
	}
	return f.draft()
}

// Release gives the picture's buffer back.
func (f Frame) Release() {
	if f.release != nil {
		f.release()
	}
}

// Source is one view: a camera, a simulated one, or a row of files.
type Source interface {
	// Next waits for the next picture. It returns [io.EOF] after the last one
	// and the context's error when that ends first. It is called from one
	// goroutine.
	Next(ctx context.Context) (Frame, error)

	// Close frees what the source holds. It is called once, after the last
	// call of Next has returned.
	Close() error
}

// View is a source with the name people know it by. One without a source is switched off:
// [Disabled].
type View struct {
	Name string
	Source
}

// Camera returns the camera behind the view, nil when its source is something else.
func (v View) Camera() *Camera {
	src := v.Source
	for {
		switch s := src.(type) {
		case *Camera:
			return s
		case *covered:
			src = s.Source
		default:
			return nil
		}
	}
}
