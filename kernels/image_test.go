package kernels

import (
	"bytes"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

// pixelRow converts rows of one camera format; src are what split makes of random bytes.
type pixelRow struct {
	name     string
	f, plain func(dst []uint8, src [][]uint8, full bool)
	sizes    func(pixels int) []int // bytes of each source
	unit     int                    // pixels come in multiples of it
}

var pixelRows = []pixelRow{
	{"YUYVToRGB", func(d []uint8, s [][]uint8, full bool) { YUYVToRGB(d, s[0], full) },
		func(d []uint8, s [][]uint8, full bool) { portable.YUYVToRGB(d, s[0], full) },
		func(n int) []int { return []int{2 * n} }, 2},
	{"UYVYToRGB", func(d []uint8, s [][]uint8, full bool) { UYVYToRGB(d, s[0], full) },
		func(d []uint8, s [][]uint8, full bool) { portable.UYVYToRGB(d, s[0], full) },
		func(n int) []int { return []int{2 * n} }, 2},
	{"NV12ToRGB", func(d []uint8, s [][]uint8, full bool) { NV12ToRGB(d, s[0], s[1], full) },
		func(d []uint8, s [][]uint8, full bool) { portable.NV12ToRGB(d, s[0], s[1], full) },
		func(n int) []int { return []int{n, n} }, 2},
	{"I420ToRGB", func(d []uint8, s [][]uint8, full bool) { I420ToRGB(d, s[0], s[1], s[2], full) },
		func(d []uint8, s [][]uint8, full bool) { portable.I420ToRGB(d, s[0], s[1], s[2], full) },
		func(n int) []int { return []int{n, (n + 1) / 2, (n + 1) / 2} }, 1},
	{"GreyToRGB", func(d []uint8, s [][]uint8, _ bool) { GreyToRGB(d, s[0]) },
		func(d []uint8, s [][]uint8, _ bool) { portable.GreyToRGB(d, s[0]) },
		func(n int) []int { return []int{n} }, 1},
}

// fill takes bytes from data, over and over, and guards them.
func fill(t testing.TB, data []byte, sizes []int) [][]uint8 {
	var src [][]uint8
	at := 0
	for _, n := range sizes {
		s := guard.Slice[uint8](t, n)
		for i := range s {
			s[i] = data[at%len(data)]
			at++
		}
		src = append(src, s)
	}
	return src
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		switch r.IntN(4) { // extremes are where sums could overflow
		case 0:
			b[i] = 0
		case 1:
			b[i] = 255
		default:
			b[i] = uint8(r.Uint32())
		}
	}
	return b
}

func (p pixelRow) check(t *testing.T, n int, src [][]uint8, full bool) {
	t.Helper()
	dst, want := guard.Slice[uint8](t, 3*n), make([]uint8, 3*n)
	p.plain(want, src, full)
	p.f(dst, src, full)
	if !bytes.Equal(dst, want) {
		t.Fatalf("%s of %d pixels, full range %v: got %v, want %v", p.name, n, full, dst, want)
	}
}

func TestPixelRows(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for _, p := range pixelRows {
			for n := 0; n <= 100; n += p.unit {
				for _, full := range []bool{false, true} {
					src := fill(t, noise(r, 311), p.sizes(n))
					p.check(t, n, src, full)
				}
			}
			sizes := p.sizes(4)
			bad := make([][]uint8, len(sizes))
			for i, n := range sizes {
				bad[i] = make([]uint8, n)
			}
			panics(t, p.name, func() { p.f(make([]uint8, 11), bad, false) })
			if last := len(bad) - 1; last > 0 || p.unit > 1 {
				bad[last] = bad[last][1:]
				panics(t, p.name, func() { p.f(make([]uint8, 12), bad, false) })
			}
		}
	})
}

// TestPixelColours goes through every Y, U and V: full range is what package image/color
// makes of it, limited range the formula of BT.601, rounded.
func TestPixelColours(t *testing.T) {
	exact := func(y, u, v float64) [3]float64 {
		y = (y - 16) * 255 / 219
		u, v = (u-128)*255/224, (v-128)*255/224
		return [3]float64{y + 1.402*v, y - 0.344136286*u - 0.714136286*v, y + 1.772*u}
	}
	eachBackend(t, func(t *testing.T) {
		var src [4 * 256]uint8
		var dst [6 * 256]uint8
		step := 1
		if testing.Short() || level == portableLevel {
			step = 5
		}
		for u := 0; u < 256; u += step {
			for v := 0; v < 256; v += step {
				for i := range 256 {
					copy(src[4*i:], []uint8{uint8(i), uint8(u), uint8(255 - i), uint8(v)})
				}
				YUYVToRGB(dst[:], src[:], true)
				for i := range 256 {
					r, g, b := color.YCbCrToRGB(uint8(i), uint8(u), uint8(v))
					if got := [3]uint8(dst[6*i:]); got != [3]uint8{r, g, b} {
						t.Fatalf("full range %d %d %d: got %v, want %v", i, u, v, got, [3]uint8{r, g, b})
					}
				}
				YUYVToRGB(dst[:], src[:], false)
				for i := range 256 {
					for c, want := range exact(float64(i), float64(u), float64(v)) {
						want = min(max(want, 0), 255)
						if got := float64(dst[6*i+c]); math.Abs(got-want) > 0.505 {
							t.Fatalf("limited range %d %d %d: channel %d is %v, want %v", i, u, v, c, got, want)
						}
					}
				}
			}
		}
	})
	// What V4L2's documents give for black, white, red, green and blue.
	for yuv, want := range map[[3]uint8][3]uint8{
		{16, 128, 128}: {0, 0, 0}, {235, 128, 128}: {255, 255, 255}, {81, 90, 240}: {254, 0, 0}, {145, 54, 34}: {0, 255, 1}, {41, 240, 110}: {0, 0, 255},
	} {
		var dst [6]uint8
		UYVYToRGB(dst[:], []uint8{yuv[1], yuv[0], yuv[2], yuv[0]}, false)
		if [3]uint8(dst[:]) != want || [3]uint8(dst[3:]) != want {
			t.Errorf("%v is %v, want %v", yuv, dst, want)
		}
	}
}

func FuzzPixelRows(f *testing.F) {
	f.Add([]byte{0, 255, 128}, uint8(16), uint8(0), true)
	f.Add([]byte{235, 16, 240, 1, 7}, uint8(33), uint8(3), false)
	f.Fuzz(func(t *testing.T, data []byte, pixels, which uint8, full bool) {
		if len(data) == 0 {
			return
		}
		p := pixelRows[int(which)%len(pixelRows)]
		n := int(pixels) / p.unit * p.unit
		p.check(t, n, fill(t, data, p.sizes(n)), full)
	})
}

func BenchmarkPixelRows(b *testing.B) {
	r := newRand()
	const pixels = 640
	dst := make([]uint8, 3*pixels)
	for _, p := range pixelRows {
		src := make([][]uint8, 0, 3)
		for _, n := range p.sizes(pixels) {
			s := make([]uint8, n)
			for i := range s {
				s[i] = uint8(96 + r.IntN(64))
			}
			src = append(src, s)
		}
		b.Run(p.name, func(b *testing.B) {
			b.SetBytes(pixels)
			for b.Loop() {
				p.f(dst, src, false)
			}
		})
	}
}
