package v4l2

import (
	"fmt"
	"math"
	"slices"

	"github.com/visualrwkv/edged/camera"
)

// FourCC is a pixel format as V4L2 writes it: four characters, the first in the
// lowest byte.
type FourCC uint32

// String returns the four characters.
func (f FourCC) String() string {
	b := []byte{byte(f), byte(f >> 8), byte(f >> 16), byte(f >> 24)}
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func fourCC(s string) FourCC {
	return FourCC(s[0]) | FourCC(s[1])<<8 | FourCC(s[2])<<16 | FourCC(s[3])<<24
}

// usable are the formats that are read, those first that are liked most: raw
// ones lose nothing; 4:2:0 has less colour but fewer bytes.
var usable = []FourCC{fourCC("YUYV"), fourCC("UYVY"), fourCC("NV12"), fourCC("YU12"), fourCC("GREY"), fourCC("MJPG"), fourCC("JPEG")}

// usable reports whether the format is read.
func (f FourCC) usable() bool { return slices.Contains(usable, f) }

// raw is the layout of a raw format; false for compressed ones.
func (f FourCC) raw() (camera.PixelFormat, bool) {
	for _, p := range []camera.PixelFormat{camera.YUYV, camera.UYVY, camera.NV12, camera.I420, camera.Grey} {
		if p.String() == f.String() {
			return p, true
		}
	}
	return 0, false
}

// Mode is a way to stream.
type Mode struct {
	Format        FourCC
	Width, Height int
	Rate          float64 // pictures a second; 0 is the camera's own
}

// String is "YUYV 640x480 at 15/s".
func (m Mode) String() string {
	if m.Rate == 0 {
		return fmt.Sprintf("%v %dx%d", m.Format, m.Width, m.Height)
	}
	return fmt.Sprintf("%v %dx%d at %.4g/s", m.Format, m.Width, m.Height, m.Rate)
}

// Size is one size of a format, or a range of sizes where Max is larger.
type Size struct {
	Width, Height       int
	MaxWidth, MaxHeight int // 0: the same
	StepX, StepY        int
	Rates               []float64 // pictures a second, fastest first; empty when unknown
}

// Format is one format of a camera.
type Format struct {
	FourCC FourCC
	Sizes  []Size // empty when the driver does not tell
}

// nearest is the size of s that comes closest to w x h.
func (s Size) nearest(w, h int) (int, int) {
	if s.MaxWidth <= s.Width && s.MaxHeight <= s.Height {
		return s.Width, s.Height
	}
	snap := func(v, lo, hi, step int) int {
		step = max(step, 1)
		return lo + (min(max(v, lo), hi)-lo)/step*step
	}
	return snap(w, s.Width, s.MaxWidth, s.StepX), snap(h, s.Height, s.MaxHeight, s.StepY)
}

// pick returns the size nearest to w x h, with its rates. What a driver does not
// tell is asked for and seen.
func (f Format) pick(w, h int) (int, int, []float64) {
	best, bw, bh := math.MaxInt, w, h
	var rates []float64
	for _, s := range f.Sizes {
		x, y := s.nearest(w, h)
		if d := abs(x-w) + abs(y-h); d < best {
			best, bw, bh, rates = d, x, y, s.Rates
		}
	}
	return bw, bh, rates
}

// ladder lists what to try, the most wished for first. A rung is left for the
// next when the bus has no room for it: then MJPEG, then smaller pictures, then
// fewer. It is empty when no format can be read.
func ladder(formats []Format, w, h int, rate float64) []Mode {
	var offered []Format
	for _, u := range usable {
		for _, f := range formats {
			if f.FourCC == u {
				offered = append(offered, f)
			}
		}
	}
	if len(offered) == 0 {
		return nil
	}
	var all []Mode
	add := func(m Mode) {
		if !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	small := offered[len(offered)-1] // the one of fewest bytes: MJPEG if there is
	for _, f := range []Format{offered[0], small} {
		x, y, rates := f.pick(w, h)
		add(Mode{f.FourCC, x, y, closest(rates, rate)})
	}
	for _, half := range []int{2, 4} {
		x, y, rates := small.pick(w/half, h/half)
		add(Mode{small.FourCC, x, y, closest(rates, rate)})
	}
	last := all[len(all)-1]
	for _, slow := range []float64{10, 5} {
		if last.Rate == 0 || last.Rate > slow {
			x, y, rates := small.pick(last.Width, last.Height)
			if r := closest(rates, slow); last.Rate == 0 || r < last.Rate {
				add(Mode{small.FourCC, x, y, r})
			}
		}
	}
	return all
}

// closest is the rate nearest to want among those offered, want itself where
// none are known, and 0 where nothing is wished for.
func closest(rates []float64, want float64) float64 {
	if want == 0 || len(rates) == 0 {
		return want
	}
	return slices.MinFunc(rates, func(a, b float64) int {
		switch d := math.Abs(a-want) - math.Abs(b-want); {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
}

func abs(x int) int { return max(x, -x) }
