package preprocess

import (
	"bytes"
	"fmt"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/kernels"
)

// plain is the textbook form of the resampling: one sample at a time, 64-bit
// sums. The packed passes must agree with it everywhere.
func plain(src []uint8, sw, sh, dw, dh int) []uint8 {
	pass := func(src []uint8, n, m, lines, step, line int, outStep, outLine int) []uint8 {
		if n == m {
			return src
		}
		t := NewTaps(n, m)
		k := t.fixed()
		out := make([]uint8, 3*m*lines)
		for l := range lines {
			for i := range m {
				for c := range 3 {
					sum := int64(1 << 21)
					for j := range t.N[i] {
						sum += int64(k[i*t.Stride+j]) * int64(src[l*line+(t.Lo[i]+j)*step+c])
					}
					out[l*outLine+i*outStep+c] = uint8(max(0, min(255, sum>>22)))
				}
			}
		}
		return out
	}
	h := pass(src, sw, dw, sh, 3, 3*sw, 3, 3*dw)
	return pass(h, sh, dh, dw, 3*dw, 3, 3*dw, 3)
}

func TestResizeAgainstPlain(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		sw, sh, dw, dh := 1+rnd.IntN(70), 1+rnd.IntN(70), 1+rnd.IntN(50), 1+rnd.IntN(50)
		pad := rnd.IntN(5)
		stride := 3*sw + pad
		src := make([]uint8, stride*sh)
		packed := make([]uint8, 0, 3*sw*sh)
		for y := range sh {
			row := src[y*stride:][:3*sw]
			for x := range row {
				// Extremes drive the overshoot, the case that could overflow a lane.
				row[x] = uint8(255 * rnd.IntN(2))
				if i%3 == 0 {
					row[x] = uint8(rnd.IntN(256))
				}
			}
			packed = append(packed, row...)
		}
		r, err := NewResizer(sw, sh, dw, dh)
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]uint8, 3*dw*dh)
		r.Resize(dst, src, stride)
		if !bytes.Equal(dst, plain(packed, sw, sh, dw, dh)) {
			t.Fatalf("%dx%d to %dx%d differs from the plain form", sw, sh, dw, dh)
		}
	}
}

// TestHeadroom checks that sums stay in the range that kernels.Resample takes.
func TestHeadroom(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 48, 96, 160, 448, 480, 1080, 1920, 4000} {
		for _, m := range []int{1, 2, 3, 27, 56, 96, 336, 448, 1024} {
			taps := NewTaps(n, m)
			k := taps.fixed()
			for i := range m {
				var pos, neg int64 = 1 << (kernels.SampleBits - 1), 1 << (kernels.SampleBits - 1)
				for _, v := range k[i*taps.Stride:][:taps.N[i]] {
					pos += 255 * max(0, int64(v))
					neg += 255 * min(0, int64(v))
				}
				if pos >= 1<<31 || neg < -1<<30 {
					t.Fatalf("%d to %d, output %d: sums reach %d..%d", n, m, i, neg, pos)
				}
			}
		}
	}
}

func TestResizerRefuses(t *testing.T) {
	for _, s := range [][4]int{{0, 1, 1, 1}, {1, -1, 1, 1}, {1, 1, maxSide + 1, 1}, {1, 1, 1, 0}} {
		if _, err := NewResizer(s[0], s[1], s[2], s[3]); err == nil {
			t.Errorf("%v: no error", s)
		}
	}
}

// TestCropperCrops: the middle of the whole resized picture.
func TestCropperCrops(t *testing.T) {
	const size = 24
	for _, s := range [][2]int{{24, 24}, {24, 37}, {40, 24}, {24, 1}, {1, 24}, {31, 31}, {7, 90}, {133, 40}, {12, 17}, {50, 49}} {
		srcW, srcH := s[0], s[1]
		c, err := NewCropper(srcW, srcH, size)
		if err != nil {
			t.Fatal(err)
		}
		w, h := size, size
		if srcW < srcH {
			h = int(float64(size*srcH) / float64(srcW)) // as Python has it
		} else {
			w = int(float64(size*srcW) / float64(srcH))
		}
		whole, err := NewResizer(srcW, srcH, w, h)
		if err != nil {
			t.Fatal(err)
		}
		src, all, got := make([]uint8, 3*srcW*srcH), make([]uint8, 3*w*h), make([]uint8, 3*size*size)
		for i := range src {
			src[i] = uint8(i*i>>3 + 5*i)
		}
		whole.Resize(all, src, 3*srcW)
		c.Resize(got, src, 3*srcW)
		for y := range size {
			at := 3 * (((h-size)/2+y)*w + (w-size)/2)
			if !bytes.Equal(got[3*size*y:][:3*size], all[at:at+3*size]) {
				t.Fatalf("%dx%d: row %d differs", srcW, srcH, y)
			}
		}
	}
	for _, s := range [][3]int{{0, 1, 1}, {1, 0, 1}, {-4, 8, 1}, {8, -4, 1}, {1, maxSide + 1, 1}, {1, 1, 0}, {5, 5, maxSide + 1}} {
		if _, err := NewCropper(s[0], s[1], s[2]); err == nil {
			t.Errorf("%v: no error", s)
		}
	}
	// The most unequal sides ask for no more memory than others.
	if _, err := NewCropper(1, maxSide, 336); err != nil {
		t.Error(err)
	}
}

// TestNoAllocation: cameras of several sizes and kinds take turns.
func TestNoAllocation(t *testing.T) {
	s, err := NewSquare(56)
	if err != nil {
		t.Fatal(err)
	}
	norm, err := NewNorm(HalfMean, HalfStd)
	if err != nil {
		t.Fatal(err)
	}
	rgb, dst := make([]uint8, s.Bytes()), make([]float32, s.Bytes())
	views := []image.Image{
		image.NewRGBA(image.Rect(0, 0, 160, 120)),
		image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420),
		image.NewYCbCr(image.Rect(0, 0, 81, 61), image.YCbCrSubsampleRatio422),
		image.NewGray(image.Rect(0, 0, 56, 120)),
		image.NewRGBA(image.Rect(0, 0, 56, 56)),
	}
	if n := testing.AllocsPerRun(5, func() {
		for _, img := range views {
			if err := s.RGB(rgb, img); err != nil {
				t.Fatal(err)
			}
			norm.Planar(dst, rgb)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(s.resizers) != keptSizes {
		t.Errorf("%d resizers for %d sizes, one of them that of the tower", len(s.resizers), len(views))
	}
	for w := 100; w < 100+3*keptSizes; w++ {
		if err := s.RGB(rgb, image.NewGray(image.Rect(0, 0, w, 20))); err != nil || len(s.resizers) != keptSizes || !s.resizers[0].Fits(w, 20, 56, 56) {
			t.Fatalf("after width %d: %d resizers, %v", w, len(s.resizers), err)
		}
	}
}

// TestSquareKeepsSizes: the result does not depend on what was resized before.
func TestSquareKeepsSizes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var views []image.Image
	for i := range keptSizes + 2 {
		m := image.NewGray(image.Rect(0, 0, 20+7*i, 56-i))
		for k := range m.Pix {
			m.Pix[k] = uint8(r.Uint32())
		}
		views = append(views, m)
	}
	square := func() *Square {
		s, err := NewSquare(32)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := square()
	got, want := make([]uint8, s.Bytes()), make([]uint8, s.Bytes())
	for range 100 {
		img := views[r.IntN(len(views))]
		if err := s.RGB(got, img); err != nil {
			t.Fatal(err)
		}
		if err := square().RGB(want, img); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v: another result than with a new Square", img.Bounds())
		}
	}
}

func BenchmarkResize(b *testing.B) {
	for _, s := range [][4]int{{160, 120, 96, 96}, {320, 240, 96, 96}, {640, 480, 448, 448}, {1920, 1080, 448, 448}} {
		b.Run(fmt.Sprintf("%dx%d-%d", s[0], s[1], s[2]), func(b *testing.B) {
			r, err := NewResizer(s[0], s[1], s[2], s[3])
			if err != nil {
				b.Fatal(err)
			}
			src, dst := make([]uint8, 3*s[0]*s[1]), make([]uint8, 3*s[2]*s[3])
			b.ReportAllocs()
			for b.Loop() {
				r.Resize(dst, src, 3*s[0])
			}
		})
	}
}

func BenchmarkRGB(b *testing.B) {
	dst := make([]uint8, 3*640*480)
	rect := image.Rect(0, 0, 640, 480)
	for _, img := range []image.Image{image.NewRGBA(rect), image.NewYCbCr(rect, image.YCbCrSubsampleRatio420), image.NewGray(rect)} {
		b.Run(fmt.Sprintf("%T", img), func(b *testing.B) {
			for b.Loop() {
				RGB(dst, img)
			}
		})
	}
}

func BenchmarkPlanar(b *testing.B) {
	n, err := NewNorm(ImageNetMean, ImageNetStd)
	if err != nil {
		b.Fatal(err)
	}
	rgb, dst := make([]uint8, 3*448*448), make([]float32, 3*448*448)
	for i := range rgb {
		rgb[i] = uint8(i * 7)
	}
	b.SetBytes(int64(len(rgb)))
	for b.Loop() {
		n.Planar(dst, rgb)
	}
}
