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

// samples returns where the samples Y, Cb and Cr of pixel x, y are, as the documents of V4L2
// place them; Grey has one.
func (p RawPicture) samples(x, y int) []int {
	s, at := p.Stride, y*p.Stride
	switch p.Format {
	case YUYV:
		return []int{at + 2*x, at + x/2*4 + 1, at + x/2*4 + 3}
	case UYVY:
		return []int{at + 2*x + 1, at + x/2*4, at + x/2*4 + 2}
	case NV12:
		uv := p.Height*s + y/2*s + x/2*2
		return []int{at + x, uv, uv + 1}
	case I420:
		u := p.Height*s + y/2*(s/2) + x/2
		return []int{at + x, u, u + p.Height/2*(s/2)}
	}
	return []int{at + x}
}

// rgb is the colour of pixel x, y: BT.601 as package image/color computes it for full range,
// and of limited range what its formula says, to be met within one level.
func (p RawPicture) rgb(src []uint8, x, y int) [3]float64 {
	at := p.samples(x, y)
	if p.Format == Grey {
		v := float64(src[at[0]])
		return [3]float64{v, v, v}
	}
	yy, cb, cr := src[at[0]], src[at[1]], src[at[2]]
	if p.FullRange {
		r, g, b := color.YCbCrToRGB(yy, cb, cr)
		return [3]float64{float64(r), float64(g), float64(b)}
	}
	l, u, v := 255./219*(float64(yy)-16), 255./224*(float64(cb)-128), 255./224*(float64(cr)-128)
	rgb := [3]float64{l + 1.402*v, l - 0.344136*u - 0.714136*v, l + 1.772*u}
	for i, c := range rgb {
		rgb[i] = min(max(c, 0), 255)
	}
	return rgb
}

// TestRawPicture: pictures of every format, with rows any distance apart.
func TestRawPicture(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, f := range pixelFormats {
		for range 60 {
			p := RawPicture{Format: f, Width: 2 + 2*r.IntN(40), Height: 2 + 2*r.IntN(6), FullRange: r.IntN(2) == 0}
			p.Stride = 2*p.Width + r.IntN(20)
			if f == I420 {
				p.Stride &^= 1
			}
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
				for c, want := range p.rgb(src, x, y) {
					off := math.Abs(float64(dst[3*i+c]) - want)
					if off > 1 || off != 0 && (p.FullRange || f == Grey) {
						t.Fatalf("%+v at %d,%d: got %v, want %v", p, x, y, dst[3*i:3*i+3], p.rgb(src, x, y))
					}
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
			for c, want := range p.rgb(src, at.X, at.Y) {
				if got := dst[3*(at.Y*w+at.X)+c]; math.Abs(float64(got)-want) > 1 {
					t.Fatalf("%+v at %v: got %v, want %v", p, at, got, want)
				}
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
