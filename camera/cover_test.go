package camera

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// stills is a source of the pictures given.
type stills []image.Image

func (s *stills) Next(context.Context) (Frame, error) {
	if len(*s) == 0 {
		return Frame{}, io.EOF
	}
	img := (*s)[0]
	*s = (*s)[1:]
	return NewFrame(img, time.Unix(1, 0), 7, nil), nil
}

func (*stills) Close() error { return nil }

// only hides all but the methods of an image.
type only struct{ image.Image }

// TestCover: with pictures of every kind and at odd places, masked pixels are black and the
// others what they were, at the size of the region.
func TestCover(t *testing.T) {
	b := image.Rect(3, 5, 3+41, 5+23)
	kinds := map[string]func() image.Image{
		"RGBA": func() image.Image { return image.NewRGBA(b) },
		"Gray": func() image.Image { return image.NewGray(b) },
		"RGB": func() image.Image {
			return &RGB{Pix: bytes.Repeat([]byte{255}, 23*(3*41+5)), Stride: 3*41 + 5, Rect: b}
		},
		"only": func() image.Image { return only{image.NewUniform(color.White)} },
	}
	for _, r := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio444} {
		kinds["YCbCr "+r.String()] = func() image.Image { return image.NewYCbCr(b, r) }
	}
	mask, region := Area{0.3, 0.2, 0.52, 0.71}, Area{0.1, 0, 1, 0.9}
	masked, kept := mask.within(b), region.within(b)
	// Pixels of RGB whose colour the camera shared with masked ones go too.
	beside := map[string]image.Rectangle{"RGB": masked.Inset(-1)}
	for name, make := range kinds {
		if beside[name].Empty() {
			beside[name] = masked
		}
		img := make()
		switch m := img.(type) {
		case *image.YCbCr:
			for i := range m.Y {
				m.Y[i] = 255
			}
			for i := range m.Cb {
				m.Cb[i], m.Cr[i] = 128, 128
			}
		case draw.Image:
			draw.Draw(m, b, image.NewUniform(color.White), image.Point{}, draw.Src)
		case only:
			white := image.NewRGBA(b)
			draw.Draw(white, b, image.NewUniform(color.White), image.Point{}, draw.Src)
			img = only{white}
		}
		src, err := Cover(&stills{img}, []Area{mask}, region)
		if err != nil {
			t.Fatal(err)
		}
		f, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.Image != nil || f.Size != kept.Size() || f.Seq != 7 {
			t.Errorf("%s: frame of %v, image %v before Decode", name, f.Size, f.Image)
		}
		if err := f.Decode(); err != nil || f.Image.Bounds() != kept {
			t.Fatalf("%s: %v, %v, want %v", name, err, f.Image.Bounds(), kept)
		}
		for y := kept.Min.Y; y < kept.Max.Y; y++ {
			for x := kept.Min.X; x < kept.Max.X; x++ {
				got := color.GrayModel.Convert(f.Image.At(x, y)).(color.Gray).Y
				if want := uint8(255); image.Pt(x, y).In(masked) && got != 0 || !image.Pt(x, y).In(beside[name]) && got != want {
					t.Fatalf("%s: %d at %d,%d", name, got, x, y)
				}
			}
		}
		f.Release()
	}
}

// TestFrameCover: a frame is covered as those of a covered source are, and no draft shows what
// its picture hides.
func TestFrameCover(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 8, 4))
	for i := range m.Pix {
		m.Pix[i] = 200
	}
	f := NewFrame(m, time.Unix(1, 0), 7, nil)
	f.draft = func() (Draft, bool) { return Draft{}, true }
	f.Cover([]Area{{0, 0, 0.25, 1}}, Area{})
	if _, ok := f.Draft(); ok || f.Size != image.Pt(8, 4) || m.GrayAt(1, 3).Y != 0 || m.GrayAt(2, 3).Y != 200 {
		t.Errorf("%v, a draft: %v, %v", f.Size, ok, m.Pix)
	}
	f.Cover(nil, Area{0.125, 0, 0.5, 0.5})
	if r := image.Rect(1, 0, 4, 2); f.Image.Bounds() != r || f.Size != r.Size() {
		t.Errorf("%v, %v", f.Image.Bounds(), f.Size)
	}
}

// TestCoverHidesColour: not even the colour of masked pixels is left, which in 4:2:0 lies
// in samples that pixels outside share.
func TestCoverHidesColour(t *testing.T) {
	m := image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420)
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = 10, 240
	}
	img := cover(m, []Area{{0.375, 0.375, 0.625, 0.625}}, Area{0, 0, 1, 1}).(*image.YCbCr) // 3..5
	for y := 3; y < 5; y++ {
		for x := 3; x < 5; x++ {
			if got := img.YCbCrAt(x, y); got != (color.YCbCr{Y: 0, Cb: 128, Cr: 128}) {
				t.Errorf("%v at %d,%d", got, x, y)
			}
		}
	}
}

// TestCoverRaw: what is made of raw pixels does not depend on the samples that masked ones
// have, those of colour included that they share with others; without the mask it does.
func TestCoverRaw(t *testing.T) {
	const w, h = 62, 46
	mask := Area{0.3, 0.2, 0.52, 0.71}
	box := mask.within(image.Rect(0, 0, w, h))
	pics := NewPictures(&Options{})
	for _, f := range pixelFormats {
		raw := RawPicture{Format: f, Width: w, Height: h, Stride: 2*w + 8 - int(f)%2}
		size, err := raw.Size()
		if err != nil {
			t.Fatal(err)
		}
		// seen is the picture without its last tenth; only the box has a secret.
		seen := func(secret uint64, masks ...Area) []uint8 {
			rng, hidden := rand.New(rand.NewPCG(1, uint64(f))), rand.New(rand.NewPCG(secret, 2))
			p := pics.Take()
			for range size {
				p.Data = append(p.Data, uint8(rng.Uint32()))
			}
			for y := box.Min.Y; y < box.Max.Y; y++ {
				for x := box.Min.X; x < box.Max.X; x++ {
					for _, i := range raw.samples(x, y) {
						p.Data[i] = uint8(hidden.Uint32())
					}
				}
			}
			f, err := p.Raw(raw, time.Unix(1, 0), 0)
			if err != nil || f.Decode() != nil {
				t.Fatal(err)
			}
			defer f.Release()
			img := cover(f.Image, masks, Area{0.1, 0, 1, 0.9})
			if b := img.Bounds(); b.Dx() != w-6 || b.Dy() != 42 {
				t.Fatalf("cut to %v", b)
			}
			return bytes.Clone(img.(*RGB).Pix)
		}
		if !bytes.Equal(seen(3, mask), seen(4, mask)) {
			t.Errorf("%v: masked samples show", f)
		}
		if bytes.Equal(seen(3), seen(4)) {
			t.Errorf("%v: samples that are not masked do not show", f)
		}
	}
}

func TestCoverRefuses(t *testing.T) {
	for _, a := range []Area{{0, 0, 1.1, 1}, {-0.1, 0, 1, 1}, {0.5, 0, 0.5, 1}, {0, 1, 1, 0}, {math.NaN(), 0, 1, 1}} {
		if _, err := Cover(&stills{}, []Area{a}, Area{}); err == nil || !strings.Contains(err.Error(), "want left, top, right, bottom") {
			t.Errorf("mask %v: %v", a, err)
		}
	}
}
