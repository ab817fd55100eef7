package camera

import (
	"errors"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
)

var pixelFormats = []PixelFormat{YUYV, UYVY, NV12, I420, Grey}

// ycbcr returns the samples of pixel x, y as the documents of V4L2 place them.
func (p RawPicture) ycbcr(src []uint8, x, y int) (yy, cb, cr uint8) {
	s, at := p.Stride, y*p.Stride
	switch p.Format {
	case YUYV:
		return src[at+2*x], src[at+x/2*4+1], src[at+x/2*4+3]
	case UYVY:
		return src[at+2*x+1], src[at+x/2*4], src[at+x/2*4+2]
	case NV12:
		uv := p.Height*s + y/2*s + x/2*2
		return src[at+x], src[uv], src[uv+1]
	case I420:
		u := p.Height*s + y/2*(s/2) + x/2
		return src[at+x], src[u], src[u+p.Height/2*(s/2)]
	}
	return src[at+x], 128, 128
}

func TestRawPicture(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, f := range pixelFormats {
		for range 60 {
			p := RawPicture{Format: f, Width: 2 + 2*r.IntN(40), Height: 2 + 2*r.IntN(6), FullRange: true}
			p.Stride = 2*p.Width + 2*r.IntN(20)
			if f == Grey {
				p.Width, p.Height = p.Width-1, p.Height-1
			}
			n, err := p.Size()
			if err != nil {
				t.Fatal(err)
			}
			src := guard.Slice[uint8](t, n) // not a byte more is read
			for i := range src {
				src[i] = uint8(r.Uint32())
			}
			dst := guard.Slice[uint8](t, 3*p.Width*p.Height)
			if err := p.ToRGB(dst, src); err != nil {
				t.Fatal(err)
			}
			for i := range p.Width * p.Height {
				x, y := i%p.Width, i/p.Width
				rr, g, b := color.YCbCrToRGB(p.ycbcr(src, x, y))
				if got := [3]uint8(dst[3*i:]); got != [3]uint8{rr, g, b} {
					t.Fatalf("%+v at %d,%d: got %v, want %v", p, x, y, got, [3]uint8{rr, g, b})
				}
			}
		}
	}
}

// TestRawPictureLimited: black and white of limited range.
func TestRawPictureLimited(t *testing.T) {
	p := RawPicture{Format: YUYV, Width: 2, Height: 1, Stride: 4}
	var dst [6]uint8
	if err := p.ToRGB(dst[:], []uint8{16, 128, 235, 128}); err != nil || dst != [6]uint8{0, 0, 0, 255, 255, 255} {
		t.Errorf("%v, %v", dst, err)
	}
}

func TestRawPictureRefuses(t *testing.T) {
	for want, p := range map[string]RawPicture{
		"YUYV of 3x2, which cannot share":    {Format: YUYV, Width: 3, Height: 2, Stride: 8},
		"NV12 of 4x3, which cannot share":    {Format: NV12, Width: 4, Height: 3, Stride: 4},
		"YU12 of 5x2, which cannot share":    {Format: I420, Width: 5, Height: 2, Stride: 6},
		"UYVY of width 4 with rows 7 bytes":  {Format: UYVY, Width: 4, Height: 2, Stride: 7},
		"YU12 of width 4 with rows 5 bytes":  {Format: I420, Width: 4, Height: 2, Stride: 5},
		"GREY of width 4 with rows -4 bytes": {Format: Grey, Width: 4, Height: 2, Stride: -4},
		"GREY of 0x2":                        {Format: Grey, Height: 2, Stride: 4},
		"YUYV of 2x1000000":                  {Format: YUYV, Width: 2, Height: 1000000, Stride: 4},
		"pixel format 9":                     {Format: 9, Width: 2, Height: 2, Stride: 4},
	} {
		if err := p.ToRGB(nil, nil); !errors.Is(err, ErrPixels) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	p := RawPicture{Format: NV12, Width: 4, Height: 2, Stride: 6}
	for _, n := range [][2]int{{24, 15}, {23, 16}, {25, 16}} {
		if err := p.ToRGB(make([]uint8, n[0]), make([]uint8, n[1])); !errors.Is(err, ErrPixels) {
			t.Errorf("%d bytes to %d: %v", n[1], n[0], err)
		}
	}
	if err := p.ToRGB(make([]uint8, 24), make([]uint8, 16)); err != nil {
		t.Error(err)
	}
}

func TestRawPictureDoesNotAllocate(t *testing.T) {
	p := RawPicture{Format: YUYV, Width: 64, Height: 48, Stride: 128}
	src, dst := make([]uint8, 128*48), make([]uint8, 3*64*48)
	if n := testing.AllocsPerRun(10, func() {
		if err := p.ToRGB(dst, src); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzRawPicture: whatever a driver claims, an error or every pixel written.
func FuzzRawPicture(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint8(1), 4, 2, 8, false)
	f.Add([]byte("0123456789abcdef"), uint8(3), 4, 2, 5, true)
	f.Add([]byte{}, uint8(4), math.MaxInt, -1, math.MaxInt, true)
	f.Fuzz(func(t *testing.T, src []byte, format uint8, w, h, stride int, full bool) {
		p := RawPicture{PixelFormat(format), w, h, stride, full}
		n, err := p.Size()
		if err != nil || n > len(src) {
			if p.ToRGB(nil, src) == nil {
				t.Fatalf("%+v: converted %d bytes", p, len(src))
			}
			return
		}
		dst := make([]uint8, 3*w*h)
		if err := p.ToRGB(dst, src[:n:n]); err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		m := image.Rect(0, 0, w, h)
		for _, at := range []image.Point{m.Min, m.Max.Sub(image.Pt(1, 1))} {
			r, g, b := color.YCbCrToRGB(p.ycbcr(src, at.X, at.Y))
			if i := 3 * (at.Y*w + at.X); full && [3]uint8(dst[i:]) != [3]uint8{r, g, b} {
				t.Fatalf("%+v at %v: got %v", p, at, dst[i:i+3])
			}
		}
	})
}

func BenchmarkRawPicture(b *testing.B) {
	for _, f := range pixelFormats {
		b.Run(f.String(), func(b *testing.B) {
			p := RawPicture{Format: f, Width: 640, Height: 480, Stride: 1280}
			n, err := p.Size()
			if err != nil {
				b.Fatal(err)
			}
			src, dst := make([]uint8, n), make([]uint8, 3*640*480)
			for b.Loop() {
				if err := p.ToRGB(dst, src); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(640*480*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mpixel/s")
		})
	}
}
