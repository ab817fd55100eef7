package edge

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/vlm/preprocess"
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

// thumbOf is what the gate sees of a picture.
func thumbOf(img image.Image) *thumb {
	var l look
	l.fill(img)
	return &l.thumb
}

// opens passes pictures through a gate that looks at nothing else.
func opens(g *gate, views ...image.Image) bool {
	var thumbs []*thumb
	for _, v := range views {
		thumbs = append(thumbs, thumbOf(v))
	}
	return g.look(thumbs, time.Time{}) && g.open(nil)
}

func TestGateFollowsPixels(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := newGate(Gate{}, 2)
	var got []bool
	for _, x := range []int{-1, -1, -1, 50, 50, 50, 60, 70, 70, 70} {
		got = append(got, opens(g, scenery(rng, -1), scenery(rng, x)))
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
		if opens(g, img) {
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
		if !opens(g, scenery(rng, -1)) {
			t.Error("closed")
		}
	}
}

func TestGateState(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := newGate(Gate{State: 0.1}, 1)
	var got []bool
	for i, s := range [][]float32{{1, 0}, {1, 0.05}, {1, 0.5}, {0, 0}} {
		g.look([]*thumb{thumbOf(scenery(rng, 50*i))}, time.Time{})
		got = append(got, g.open(func() []float32 { return s }))
	}
	if want := []bool{true, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("gate %v, want %v", got, want)
	}
}

// TestGateIdle: while nothing changes, a frame set is seen every ten seconds, and none gets a
// caption; a change is seen at once, and what follows it.
func TestGateIdle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := newGate(Gate{Idle: 10 * time.Second}, 1)
	var seen, said []int
	for i := range 40 {
		x := -1
		if i >= 25 {
			x = 50
		}
		if g.look([]*thumb{thumbOf(scenery(rng, x))}, time.Unix(int64(i), 0)) {
			seen = append(seen, i)
			if g.open(nil) {
				said = append(said, i)
			}
		}
	}
	if want := []int{0, 1, 11, 21, 25, 26, 36}; !slices.Equal(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
	if want := []int{0, 1, 25, 26}; !slices.Equal(said, want) {
		t.Errorf("captions for %v, want %v", said, want)
	}
}

// TestGateMissingView: a view that goes, or comes back as it was, is no change.
func TestGateMissingView(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := newGate(Gate{}, 2)
	var got []bool
	for _, x := range []int{-1, -1, -1, -2, -2, -1, -1, -2, 50, 50, 50} {
		views := []*thumb{thumbOf(scenery(rng, -1)), nil}
		if x > -2 {
			views[1] = thumbOf(scenery(rng, x))
		}
		got = append(got, g.look(views, time.Time{}) && g.open(nil))
	}
	want := []bool{true, true, false, false, false, false, false, false, true, true, false}
	if !slices.Equal(got, want) {
		t.Errorf("gate %v, want %v", got, want)
	}
}

func TestLookAtOddPictures(t *testing.T) {
	thumbOf(image.NewYCbCr(image.Rect(3, 3, 4, 4), image.YCbCrSubsampleRatio420))
	a, b := thumbOf(image.NewGray(image.Rectangle{})), thumbOf(image.NewUniform(color.White)) // as large as coordinates go
	if d := a.difference(b); d != 255 {
		t.Errorf("difference of black and white: %g", d)
	}
}

func TestLookDoesNotAllocate(t *testing.T) {
	for _, img := range []image.Image{image.NewRGBA(image.Rect(0, 0, 320, 240)), image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio420)} {
		q := newQuality(time.Second)
		at := time.Unix(0, 0)
		if n := testing.AllocsPerRun(10, func() {
			at = at.Add(time.Second)
			q.now, q.last = q.last, q.now
			q.now.fill(img)
			repeats(q.now, q.last)
			q.history.lost(q.now, at, false)
		}); n > 1 {
			t.Errorf("%T: %g allocations", img, n)
		}
	}
}

// BenchmarkUnchanged is what it costs to see that four views of 640x480 have not changed and
// are fit: raw pixels are converted and JPEG is decoded first.
func BenchmarkUnchanged(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	img := image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = uint8(60 + i%640/8 + i/640/8 + rng.IntN(5))
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = uint8(100+i%320/8), uint8(140-i/320/8)
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	pics := camera.NewPictures(func(data []byte) (image.Image, error) { return preprocess.Decode(data, nil) })
	yuyv := make([]byte, 2*640*480)
	for i, v := range img.Y {
		yuyv[2*i], yuyv[2*i+1] = v, 128
	}
	frames := map[string]func() (camera.Frame, error){
		"pixels": func() (camera.Frame, error) { return camera.NewFrame(img, time.Time{}, 0, nil), nil },
		"YUYV": func() (camera.Frame, error) {
			p := pics.Take()
			p.Data = append(p.Data, yuyv...)
			return p.Raw(camera.RawPicture{Format: camera.YUYV, Width: 640, Height: 480, Stride: 1280}, time.Time{}, 0)
		},
		"MJPEG": func() (camera.Frame, error) {
			p := pics.Take()
			p.Data = append(p.Data, file.Bytes()...)
			return p.JPEG(time.Time{}, 0)
		},
	}
	for name, frame := range frames {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			g := newGate(Gate{Idle: time.Hour}, 4)
			var views [4]*quality
			for i := range views {
				views[i] = newQuality(0)
			}
			thumbs := make([]*thumb, 4)
			at := time.Unix(0, 0)
			for b.Loop() {
				at = at.Add(40 * time.Millisecond)
				for i, q := range views {
					f, err := frame()
					if err != nil || f.Decode() != nil || !q.judge(f.Image, at) {
						b.Fatal(err, q.state)
					}
					thumbs[i] = &q.now.thumb
					f.Release()
				}
				g.look(thumbs, at)
			}
		})
	}
}
