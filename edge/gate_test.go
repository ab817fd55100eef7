package edge

import (
	"image"
	"image/color"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
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

// TestGateState: what counts is the change of the state since the frame set that passed last, beside how
// large the state was.
func TestGateState(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	g := newGate(Gate{State: 0.1}, 1)
	for i, c := range []struct {
		state []float32
		want  bool
	}{
		{[]float32{10, 0}, true}, // the first
		{[]float32{10, 0.5}, false},
		{[]float32{10, 2}, true},
		{[]float32{10, 2.5}, false},
		{[]float32{10, 0}, true},
		{[]float32{0, 0}, true},
		{[]float32{0, 0}, false},
		{[]float32{1e-3, 0}, true},
	} {
		g.look([]*thumb{thumbOf(scenery(rng, 30*i))}, time.Time{})
		if got := g.open(func() []float32 { return c.state }); got != c.want {
			t.Errorf("frame set %d with the state %v: passes %v, want %v", i, c.state, got, c.want)
		}
	}
}

// TestGateOfModel: a gate that says nothing of the state takes the word of the model, where pixels are
// looked at.
func TestGateOfModel(t *testing.T) {
	m := &fakeModel{change: 0.25}
	for _, c := range []struct {
		gate Gate
		want float64
	}{{Gate{State: 0.5}, 0.5}, {Gate{}, 0}, {Gate{State: -1}, 0.25}, {Gate{Pixels: -1, State: -1}, 0}} {
		if got := c.gate.with(m).State; got != c.want {
			t.Errorf("%+v: a change of the state of %v counts, want %v", c.gate, got, c.want)
		}
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
