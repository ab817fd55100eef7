package preprocess

import (
	"bytes"
	"fmt"
	"image"
	"math/rand/v2"
	"testing"
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

// TestLaneHeadroom checks the bound the packed passes rest on.
func TestLaneHeadroom(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 48, 96, 160, 448, 480, 1080, 1920, 4000} {
		for _, m := range []int{1, 2, 3, 27, 56, 96, 336, 448, 1024} {
			taps := NewTaps(n, m)
			k := taps.fixed()
			for i := range m {
				var pos, neg int64 = 257 << precisionBits, 256 << precisionBits
				for _, v := range k[i*taps.Stride:][:taps.N[i]] {
					pos += 255 * max(0, int64(v))
					neg += 255 * min(0, int64(v))
				}
				if pos >= 1<<32 || neg < 0 {
					t.Fatalf("%d to %d, output %d: lane reaches %d..%d", n, m, i, neg, pos)
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

func TestNoAllocation(t *testing.T) {
	s, err := NewSquare(56, HalfMean, HalfStd)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 3*56*56)
	for _, img := range []image.Image{
		image.NewRGBA(image.Rect(0, 0, 160, 120)),
		image.NewYCbCr(image.Rect(0, 0, 160, 120), image.YCbCrSubsampleRatio420),
	} {
		if n := testing.AllocsPerRun(5, func() {
			if err := s.Planar(dst, img); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%T: %v allocations per picture", img, n)
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
