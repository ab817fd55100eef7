package edge

import (
	"image"
	"image/color"
	"math/rand/v2"
	"slices"
	"testing"
)

// scenery is a grey picture with noise, and a square where x >= 0.
func scenery(rng *rand.Rand, x int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for i := range img.Pix {
		img.Pix[i] = uint8(100 + rng.IntN(17) - 8)
	}
	for y := 100; x >= 0 && y < 140; y++ {
		for u := x; u < x+40; u++ {
			img.SetRGBA(u, y, color.RGBA{140, 60, 60, 255})
		}
	}
	return img
}

func TestGateFollowsPixels(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := newGate(Gate{}, 2)
	var got []bool
	for _, x := range []int{-1, -1, -1, 50, 50, 50, 60, 70, 70, 70} {
		got = append(got, g.open([]image.Image{scenery(rng, -1), scenery(rng, x)}, nil))
	}
	// The first, what changed, and the frame set after a change.
	want := []bool{true, true, false, true, true, false, true, true, true, false}
	if !slices.Equal(got, want) {
		t.Errorf("gate %v, want %v", got, want)
	}
}

func TestGateSeesSlowChange(t *testing.T) {
	g := newGate(Gate{}, 1)
	opened := 0
	for i := range 100 {
		img := image.NewGray(image.Rect(0, 0, 64, 48))
		for p := range img.Pix {
			img.Pix[p] = uint8(i)
		}
		if g.open([]image.Image{img}, nil) {
			opened++
		}
	}
	if opened < 20 || opened > 60 {
		t.Errorf("opened %d times while the room got brighter by 100 levels", opened)
	}
}

func TestGateNegativeLetsAllPass(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := newGate(Gate{Pixels: -1}, 1)
	for range 3 {
		if !g.open([]image.Image{scenery(rng, -1)}, nil) {
			t.Error("closed")
		}
	}
}

func TestGateState(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := newGate(Gate{State: 0.1}, 1)
	var got []bool
	for i, s := range [][]float32{{1, 0}, {1, 0.05}, {1, 0.5}, {0, 0}} {
		got = append(got, g.open([]image.Image{scenery(rng, 50*i)}, func() []float32 { return s }))
	}
	if want := []bool{true, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("gate %v, want %v", got, want)
	}
}

func TestThumbOfOddPictures(t *testing.T) {
	var a, b thumb
	a.fill(image.NewGray(image.Rectangle{}))
	b.fill(image.NewYCbCr(image.Rect(3, 3, 4, 4), image.YCbCrSubsampleRatio420))
	b.fill(image.NewUniform(color.White)) // as large as coordinates go
	if d := a.difference(&b); d != 255 {
		t.Errorf("difference of black and white: %g", d)
	}
}

func TestThumbDoesNotAllocate(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	var a thumb
	if n := testing.AllocsPerRun(10, func() { a.fill(img) }); n > 1 {
		t.Errorf("%g allocations", n)
	}
}

// BenchmarkGateUnchanged is what it costs to see that four views have not changed.
func BenchmarkGateUnchanged(b *testing.B) {
	for name, img := range map[string]image.Image{
		"YCbCr": image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio420),
		"RGBA":  image.NewRGBA(image.Rect(0, 0, 640, 480)),
	} {
		b.Run(name, func(b *testing.B) {
			g := newGate(Gate{}, 4)
			views := []image.Image{img, img, img, img}
			for b.Loop() {
				g.open(views, nil)
			}
		})
	}
}
