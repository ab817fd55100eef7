package preprocess

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"testing"
)

// viaAt converts through image.Image alone; RGB's fast paths must agree.
func viaAt(img image.Image) []uint8 {
	var out []uint8
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, b := opaque(img.At(x, y))
			out = append(out, r, g, b)
		}
	}
	return out
}

func TestRGBFastPaths(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	full := image.Rect(-3, -2, 20, 15)
	noise := func(p []uint8) {
		for i := range p {
			p[i] = uint8(rnd.Uint32())
		}
	}
	rgba := image.NewRGBA(full)
	for i := 0; i < len(rgba.Pix); i += 4 {
		a := rnd.IntN(256)
		for c := range 3 {
			rgba.Pix[i+c] = uint8(rnd.IntN(a + 1))
		}
		rgba.Pix[i+3] = uint8(a)
	}
	nrgba, gray, gray16 := image.NewNRGBA(full), image.NewGray(full), image.NewGray16(full)
	noise(nrgba.Pix)
	noise(gray.Pix)
	noise(gray16.Pix)
	pal := image.NewPaletted(full, color.Palette{color.NRGBA{9, 8, 7, 0}, color.RGBA{1, 2, 3, 255}, color.Gray{77}})
	for i := range pal.Pix {
		pal.Pix[i] = uint8(rnd.IntN(3))
	}
	rows := &rgbRows{make([]uint8, 17*120), 120, full}
	noise(rows.pix)
	images := []image.Image{rgba, nrgba, gray, gray16, pal, rows}
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		// Even, non-negative origin: package image rounds chroma toward zero.
		m := image.NewYCbCr(image.Rect(0, 0, 23, 17), ratio)
		noise(m.Y)
		noise(m.Cb)
		noise(m.Cr)
		images = append(images, m)
	}
	for _, img := range images {
		sub := img.(interface {
			SubImage(image.Rectangle) image.Image
		})
		for _, r := range []image.Rectangle{img.Bounds(), image.Rect(1, 1, 8, 9), image.Rect(3, 2, 4, 3), image.Rect(2, 3, 15, 14)} {
			m := sub.SubImage(r)
			got := make([]uint8, 3*m.Bounds().Dx()*m.Bounds().Dy())
			RGB(got, m)
			if !bytes.Equal(got, viaAt(m)) {
				t.Errorf("%T %v: fast path differs from At", img, r)
			}
		}
	}
}

// rgbRows is a picture of packed RGB whose rows have something between them.
type rgbRows struct {
	pix    []uint8
	stride int
	r      image.Rectangle
}

func (m *rgbRows) ColorModel() color.Model { return color.RGBAModel }
func (m *rgbRows) Bounds() image.Rectangle { return m.r }
func (m *rgbRows) RowsRGB() ([]uint8, int) { return m.pix, m.stride }

func (m *rgbRows) At(x, y int) color.Color {
	p := m.pix[(y-m.r.Min.Y)*m.stride+(x-m.r.Min.X)*3:]
	return color.RGBA{p[0], p[1], p[2], 255}
}

func (m *rgbRows) SubImage(r image.Rectangle) image.Image {
	return &rgbRows{m.pix[(r.Min.Y-m.r.Min.Y)*m.stride+(r.Min.X-m.r.Min.X)*3:], m.stride, r}
}

// TestSquareOfRows: packed rows, which are resized where they lie, give what a copy gives.
func TestSquareOfRows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 5))
	m := &rgbRows{make([]uint8, 31*100), 100, image.Rect(0, 0, 33, 31)}
	for i := range m.pix {
		m.pix[i] = uint8(rnd.Uint32())
	}
	for _, open := range []func(int) (*Square, error){NewSquare, NewCentre} {
		for _, r := range []image.Rectangle{m.r, image.Rect(3, 2, 23, 20), image.Rect(1, 1, 17, 17)} {
			s, err := open(16)
			if err != nil {
				t.Fatal(err)
			}
			part := m.SubImage(r)
			got, want := make([]uint8, s.Bytes()), make([]uint8, s.Bytes())
			if err := s.RGB(got, part); err != nil {
				t.Fatal(err)
			}
			if err := s.RGB(want, struct{ image.Image }{part}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v: rows are not resized to what their copy is", r)
			}
		}
	}
}

func TestRGBDropsAlpha(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 1, 1))
	m.SetNRGBA(0, 0, color.NRGBA{200, 100, 50, 3})
	var got [3]uint8
	RGB(got[:], m)
	if got != [3]uint8{200, 100, 50} {
		t.Errorf("NRGBA: %v", got)
	}
	p := image.NewRGBA(m.Bounds())
	draw.Draw(p, p.Rect, image.NewUniform(color.NRGBA{200, 100, 50, 255}), image.Point{}, draw.Src)
	RGB(got[:], p)
	if got != [3]uint8{200, 100, 50} {
		t.Errorf("opaque RGBA: %v", got)
	}
}

// TestRGBInk pins Pillow's CMYK formula on a few values computed by hand from
// nk - MULDIV255(c, nk).
func TestRGBInk(t *testing.T) {
	m := image.NewCMYK(image.Rect(0, 0, 1, 1))
	m.SetCMYK(0, 0, color.CMYK{C: 0, M: 128, Y: 255, K: 55})
	var got [3]uint8
	RGB(got[:], m)
	if got != [3]uint8{200, 100, 0} {
		t.Errorf("CMYK: %v", got)
	}
}
