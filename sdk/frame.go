package sdk

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Frame is a picture of one view. It is valid during the call.
type Frame struct {
	Index         int    // of the view in Start.Views
	View          string // its name; "" where edged_on_start is not exported
	Width, Height int    // of the pixels below
	Full          bool   // the camera's picture; else a preview of at most 80 x 60
	CameraWidth   int    // of the camera's picture
	CameraHeight  int
	Time          time.Time     // of capture, as good as the device knows it
	Clock         time.Duration // of capture, by Clock's clock
	Number        uint64        // of the view's pictures
	Pixels        []byte        // red, green and blue, row after row from the top left
}

// RGB returns the colour at column x and row y.
func (f *Frame) RGB(x, y int) (r, g, b uint8) {
	p := f.Pixels[3*(y*f.Width+x):]
	return p[0], p[1], p[2]
}

// Rect is a part of a picture, in fractions of its width and height from the top left.
type Rect struct{ X, Y, W, H float32 }

// MaxMasks is how many masks edged takes.
const MaxMasks = 16

// Verdict is what becomes of a picture. The zero Verdict keeps it as it is.
type Verdict struct {
	// Skip leaves the picture out, as if its camera had delivered none. A frame set of
	// which all pictures are left out is not looked at.
	Skip bool
	// Region is what the model sees of the picture; the zero Rect is all of it.
	Region Rect
	// Masks are painted black. When there are more than MaxMasks, the last that edged takes
	// covers all of the rest.
	Masks []Rect
}

const (
	headerSize = 64
	formatRGB8 = 1
	flagFull   = 1
)

// decode reads a picture, whose pixels remain in data.
func (f *Frame) decode(data []byte, views []string) error {
	if len(data) < headerSize {
		return fmt.Errorf("a picture of %d bytes: its header has %d", len(data), headerSize)
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(data[at:]) }
	index, width, height, offset := u32(4), u32(8), u32(12), u32(56)
	switch n := uint64(width) * uint64(height); {
	case u32(0) < headerSize:
		return fmt.Errorf("a picture's header of %d bytes: it has %d", u32(0), headerSize)
	case u32(16) != formatRGB8:
		return fmt.Errorf("a picture of format %d: this SDK knows %d", u32(16), formatRGB8)
	case width == 0 || height == 0 || n > math.MaxUint32 || uint64(offset) < headerSize || uint64(offset)+3*n > uint64(len(data)):
		return fmt.Errorf("a picture of %d x %d at %d does not fit into %d bytes", width, height, offset, len(data))
	}
	*f = Frame{
		Index: int(index), Width: int(width), Height: int(height), Full: u32(20)&flagFull != 0,
		CameraWidth: int(u32(24)), CameraHeight: int(u32(28)),
		Time: time.UnixMilli(int64(u64(32))), Clock: time.Duration(u64(40)) * time.Millisecond, Number: u64(48),
		Pixels: data[offset:][:3*int(width)*int(height)],
	}
	if uint64(index) < uint64(len(views)) {
		f.View = views[index]
	}
	return nil
}

// append appends the encoded verdict: nothing for one that keeps the picture as it is.
func (v *Verdict) append(b []byte) []byte {
	region := v.Region != Rect{}
	if !v.Skip && !region && len(v.Masks) == 0 {
		return b
	}
	flag := func(is bool) {
		var n uint32
		if is {
			n = 1
		}
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	rect := func(r Rect) {
		for _, x := range [...]float32{r.X, r.Y, r.W, r.H} {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	flag(v.Skip)
	flag(region)
	rect(v.Region)
	n := min(len(v.Masks), MaxMasks)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	for i, m := range v.Masks[:n] {
		if i == MaxMasks-1 {
			for _, rest := range v.Masks[n:] {
				m = m.union(rest)
			}
		}
		rect(m)
	}
	return b
}

func (r Rect) union(s Rect) Rect {
	x, y := min(r.X, s.X), min(r.Y, s.Y)
	return Rect{x, y, max(r.X+r.W, s.X+s.W) - x, max(r.Y+r.H, s.Y+s.H) - y}
}
