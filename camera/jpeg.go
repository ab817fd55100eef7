package camera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"slices"
	"sync"
)

// ErrJPEG is wrapped by the error for what a camera sent as JPEG and is none.
var ErrJPEG = errors.New("bad JPEG")

// maxPixels bounds the pictures of a camera, so that a few bytes of a header cannot ask for
// more memory than the largest sensors give reason to.
const maxPixels = 1 << 25

// Markers of JPEG, ITU-T T.81, table B.1.
const (
	markSOF0, markSOF2 = 0xc0, 0xc2
	markDHT            = 0xc4
	markRST0, markRST7 = 0xd0, 0xd7
	markSOI, markEOI   = 0xd8, 0xd9
	markSOS            = 0xda
)

// CutJPEG finds the picture in the bytes that a camera sent, and its size. Bytes before and
// after it are cut off: drivers hand out whole buffers. Huffman tables are inserted where
// there are none: cameras that send Motion-JPEG leave out the ones that everybody knows.
// Pictures without their end, which cameras send when the bus is too slow for them, are an
// error, as are those of more than 2^25 pixels or 16384 on a side.
//
// Segments are walked and nothing is decoded. data is used for the result and may be moved.
func CutJPEG(data []byte) ([]byte, image.Point, error) {
	bad := func(format string, args ...any) ([]byte, image.Point, error) {
		return nil, image.Point{}, fmt.Errorf("%w: "+format, append([]any{ErrJPEG}, args...)...)
	}
	begin := bytes.Index(data, []byte{0xff, markSOI, 0xff})
	if begin < 0 {
		return bad("no picture begins in %d bytes", len(data))
	}
	data = data[begin:]
	var size image.Point
	scan, tables := 0, false // scan: where the first one's header is
	for p := 2; ; {
		at := bytes.IndexByte(data[p:], 0xff)
		if at < 0 || p+at+1 >= len(data) {
			return bad("it ends after %d bytes, before its end", len(data))
		}
		if p += at; at > 0 && scan == 0 {
			return bad("byte %d is in no segment", p-at)
		}
		m := data[p+1]
		switch {
		case m == 0xff: // fill
			p++
			continue
		case m == 0 || markRST0 <= m && m <= markRST7:
			if scan == 0 {
				return bad("byte %d is in no segment", p)
			}
			p += 2
			continue
		case m == markSOI:
			return bad("a picture begins at byte %d within another", p)
		case m == markEOI:
			if scan == 0 {
				return bad("it has no pixels")
			}
			if data = data[:p+2]; !tables {
				data = slices.Insert(data, scan, standardHuffman()...)
			}
			return data, size, nil
		}
		if len(data)-p < 4 {
			return bad("it ends after %d bytes, before its end", len(data))
		}
		n := int(binary.BigEndian.Uint16(data[p+2:]))
		if n < 2 || n > len(data)-p-2 {
			return bad("a segment of %d bytes at byte %d of %d", n, p, len(data))
		}
		body := data[p+4 : p+2+n]
		switch {
		case markSOF0 <= m && m <= markSOF2:
			if len(body) < 6 {
				return bad("a frame header of %d bytes", len(body))
			}
			size = image.Pt(int(binary.BigEndian.Uint16(body[3:])), int(binary.BigEndian.Uint16(body[1:])))
			if size.X < 1 || size.Y < 1 || size.X > maxSide || size.Y > maxSide || size.X*size.Y > maxPixels {
				return bad("%dx%d pixels", size.X, size.Y)
			}
		case m == markDHT:
			tables = true
		case m == markSOS && scan == 0:
			if size == (image.Point{}) {
				return bad("its size is not said")
			}
			scan = p
		}
		p += 2 + n
	}
}

// standardHuffman returns the segment with the tables of T.81, annex K.3. They are those
// that image/jpeg writes.
var standardHuffman = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420), nil); err != nil {
		panic(err) // a Buffer takes everything
	}
	at := bytes.Index(b.Bytes(), []byte{0xff, markDHT})
	n := 2 + int(binary.BigEndian.Uint16(b.Bytes()[at+2:]))
	return b.Bytes()[at : at+n : at+n]
})
