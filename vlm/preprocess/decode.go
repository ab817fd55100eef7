package preprocess

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"
)

// ErrFormat is wrapped by the error for a picture that is damaged or of a kind
// that is not read; ErrLimit by the error for one that exceeds a limit.
var (
	ErrFormat = errors.New("bad picture")
	ErrLimit  = errors.New("picture too large")
)

// Limits bounds what [Decode] accepts. Zero fields mean the defaults.
type Limits struct {
	MaxBytes  int64 // of the encoded picture; 64 MiB
	MaxSide   int   // width and height; 16384, the most a Resizer takes
	MaxPixels int64 // 2^25, about 33 megapixels
}

func (l *Limits) orDefault() Limits {
	var d Limits
	if l != nil {
		d = *l
	}
	if d.MaxBytes == 0 {
		d.MaxBytes = 64 << 20
	}
	if d.MaxSide == 0 {
		d.MaxSide = maxSide
	}
	if d.MaxPixels == 0 {
		d.MaxPixels = 1 << 25
	}
	return d
}

// size refuses pictures of w x h pixels that are empty or beyond the limits.
func (l Limits) size(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("%w: %dx%d pixels", ErrFormat, w, h)
	}
	if w > l.MaxSide || h > l.MaxSide || int64(w)*int64(h) > l.MaxPixels {
		return fmt.Errorf("%w: %dx%d pixels, limit %d on a side and %d in all", ErrLimit, w, h, l.MaxSide, l.MaxPixels)
	}
	return nil
}

// Decode reads a PNG or JPEG picture of unknown origin. nil limits are the
// defaults.
//
// A few bytes may rightly stand for a large flat picture, so the size of the
// file says nothing about the size of the picture, and the decoders of the
// standard library take memory for all pixels before they meet the damage. Decode
// therefore reads the whole stream once before it decodes, in constant memory:
// of PNG all checksums and the inflated length, of JPEG every segment and every
// Huffman code. What is bad or over a limit is refused having allocated less than
// 512 KiB; only a picture that is known to decode gets its pixels.
func Decode(data []byte, l *Limits) (image.Image, error) {
	lim := l.orDefault()
	if int64(len(data)) > lim.MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrLimit, len(data), lim.MaxBytes)
	}
	var kind string
	var check func([]byte, Limits) error
	var decode func(io.Reader) (image.Image, error)
	switch {
	case bytes.HasPrefix(data, []byte(pngMagic)):
		kind, check, decode = "png", checkPNG, png.Decode
	case bytes.HasPrefix(data, []byte(jpegMagic)):
		kind, check, decode = "jpeg", checkJPEG, jpeg.Decode
	default:
		return nil, fmt.Errorf("%w: neither png nor jpeg", ErrFormat)
	}
	if err := check(data, lim); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	img, err := decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return img, nil
}

// DecodeFile is [Decode] on a file.
func DecodeFile(name string, l *Limits) (image.Image, error) {
	lim := l.orDefault()
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	if st.Size() > lim.MaxBytes {
		return nil, fmt.Errorf("%s: %w: %d bytes, limit %d", name, ErrLimit, st.Size(), lim.MaxBytes)
	}
	data := make([]byte, st.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	img, err := Decode(data, &lim)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return img, nil
}
