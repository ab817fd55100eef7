package preprocess

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// waves is a picture of the size with edges and colours; its levels stay off black and white, at
// which pixels are cut off.
func waves(w, h int, ratio image.YCbCrSubsampleRatio) *image.YCbCr {
	m := image.NewYCbCr(image.Rect(0, 0, w, h), ratio)
	rng := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	for y := range h {
		for x := range w {
			m.Y[m.YOffset(x, y)] = uint8(125 + 40*math.Sin(float64(x*y)/190) + float64(x/13%2*30) + float64(rng.IntN(9)))
			c := m.COffset(x, y)
			m.Cb[c], m.Cr[c] = uint8(80+x*80/w), uint8(150-y*60/h)
		}
	}
	return m
}

func encode(t testing.TB, m image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// checkDraft compares a draft with the means of the picture that the same file decodes to.
// Pixels are whole numbers and cut off at black and white, so means may be a level apart,
// in pictures that reach neither.
func checkDraft(t *testing.T, name string, data []byte, draft *image.YCbCr, within float64) {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s has a draft: %v", name, err)
	}
	b := img.Bounds()
	if want := image.Rect(0, 0, (b.Dx()+7)/8, (b.Dy()+7)/8); draft.Rect != want {
		t.Fatalf("%s: draft %v of %v", name, draft.Rect, b)
	}
	m, ok := img.(*image.YCbCr)
	if !ok {
		g := img.(*image.Gray)
		m = &image.YCbCr{Y: g.Pix, YStride: g.Stride, Rect: g.Rect}
	} else if m.SubsampleRatio != draft.SubsampleRatio {
		t.Fatalf("%s: draft %v of %v", name, draft.SubsampleRatio, m.SubsampleRatio)
	}
	// Planes of the decoder hold whole units, as those of drafts do.
	plane := func(what string, d, p []uint8, stride, pstride, w, h int) {
		for by := range h / 8 {
			for bx := range w / 8 {
				sum := 0
				for y := range 8 {
					for _, v := range p[(8*by+y)*pstride+8*bx:][:8] {
						sum += int(v)
					}
				}
				if got, want := float64(d[by*stride+bx]), float64(sum)/64; math.Abs(got-want) > within {
					t.Fatalf("%s: %s of block %d, %d is %g, the mean of its pixels %g", name, what, bx, by, got, want)
				}
			}
		}
	}
	plane("luma", draft.Y, m.Y, draft.YStride, m.YStride, b.Dx(), b.Dy())
	if !ok {
		return
	}
	last := m.COffset(b.Max.X-1, b.Max.Y-1)
	cw, ch := last%m.CStride+1, last/m.CStride+1
	plane("Cb", draft.Cb, m.Cb, draft.CStride, m.CStride, cw, ch)
	plane("Cr", draft.Cr, m.Cr, draft.CStride, m.CStride, cw, ch)
}

// TestDraft: means are those of the decoded picture, in files of every kind that has a draft.
func TestDraft(t *testing.T) {
	var d image.YCbCr
	for _, size := range [][2]int{{640, 480}, {64, 48}, {45, 35}, {8, 8}, {1, 1}, {17, 200}} {
		for _, quality := range []int{100, 90, 40} {
			data := encode(t, waves(size[0], size[1], image.YCbCrSubsampleRatio420), quality)
			if err := Draft(data, nil, &d); err != nil {
				t.Fatalf("%v: %v", size, err)
			}
			checkDraft(t, "made here", data, &d, 1.6)
		}
	}
	want := map[string]bool{"base411.jpg": true, "base420.jpg": true, "base444rst.jpg": true}
	for name, data := range pictures(t) {
		switch err := Draft(data, nil, &d); {
		case err == nil && want[name]:
			checkDraft(t, name, data, &d, 20) // black and white among it
		case err == nil || want[name]:
			t.Errorf("%s: %v", name, err)
		case !errors.Is(err, ErrNoDraft):
			t.Errorf("%s: %v", name, err)
		}
	}
	gray := encode(t, image.NewGray(image.Rect(0, 0, 50, 20)), 90)
	if err := Draft(gray, nil, &d); err != nil || d.YCbCrAt(6, 2).Y != 0 || d.YCbCrAt(6, 2).Cb != 128 {
		t.Errorf("a grey picture: %v, %v", err, d.YCbCrAt(6, 2))
	}
}

// TestDraftIsWhole: what has a draft decodes, and what is damaged has none.
func TestDraftIsWhole(t *testing.T) {
	for name, data := range pictures(t) {
		rng := rand.New(rand.NewPCG(6, uint64(len(data))))
		if filepath.Ext(name) != ".jpg" {
			continue
		}
		for range 200 {
			draftIsWhole(t, damage(rng, data), nil)
		}
	}
}

func draftIsWhole(t *testing.T, data []byte, l *Limits) {
	t.Helper()
	var d image.YCbCr
	err := Draft(data, l, &d)
	_, whole := Decode(data, l)
	switch {
	case errors.Is(err, ErrNoDraft):
	case (err == nil) != (whole == nil):
		t.Errorf("draft: %v, picture: %v", err, whole)
	case err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrLimit):
		t.Error(err)
	}
}

func TestDraftDoesNotAllocate(t *testing.T) {
	if testing.Short() {
		t.Skip("with the race detector pools forget on purpose")
	}
	data := encode(t, waves(160, 120, image.YCbCrSubsampleRatio420), 90)
	var d image.YCbCr
	if n := testing.AllocsPerRun(100, func() {
		if err := Draft(data, nil, &d); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 { // the collector may empty the pool once
		t.Errorf("%v allocations", n)
	}
}

func FuzzDraft(f *testing.F) {
	for name, b := range pictures(f) {
		if filepath.Ext(name) == ".jpg" {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { draftIsWhole(t, b, &Limits{MaxPixels: 1 << 16}) })
}

func BenchmarkDraft(b *testing.B) {
	src, err := os.ReadFile("testdata/pictures/base420.jpg")
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{"45x35": src, "640x480": encode(b, waves(640, 480, image.YCbCrSubsampleRatio420), 90)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var d image.YCbCr
			for b.Loop() {
				if err := Draft(data, nil, &d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
