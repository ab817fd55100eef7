package edge

import (
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/sim"
)

// course runs pictures through quality, so many seconds apart, and returns the states with
// the time at which each began, and how many pictures were fit.
func course(q *quality, seconds, n int, picture func(i int) image.Image) (states []string, fit int) {
	var last camera.State
	for i := range n {
		at := time.Duration(i*seconds) * time.Second
		if q.judge(picture(i), time.Unix(0, 0).Add(at)) {
			fit++
		}
		if q.state != last {
			states = append(states, at.String()+" "+string(q.state))
			last = q.state
		}
	}
	return states, fit
}

// specks is a picture of one level of which share percent have another.
func specks(level, other uint8, share int) image.Image {
	img := image.NewGray(image.Rect(0, 0, 192, 96))
	for i := range img.Pix {
		img.Pix[i] = level
		if (i/192)*100/96 < share {
			img.Pix[i] = other
		}
	}
	return img
}

// TestDarkAndOverexposed: a view goes into a state after a second of such pictures, and out
// of it a second after pictures are clearly better; none of them is for the model.
func TestDarkAndOverexposed(t *testing.T) {
	for _, c := range []struct {
		level, other uint8
		state        string
	}{{5, 200, "dark"}, {255, 90, "overexposed"}} {
		states, fit := course(newQuality(0), 1, 40, func(s int) image.Image {
			switch {
			case s == 5: // an instant
				return specks(c.level, c.other, 0)
			case s < 10:
				return specks(c.level, c.other, 7)
			case s < 20:
				return specks(c.level, c.other, 3)
			case s < 30: // between the limits: as before
				return specks(c.level, c.other, 7)
			}
			return specks(c.level, c.other, 15)
		})
		if want := []string{"0s live", "11s " + c.state, "31s live"}; !slices.Equal(states, want) || fit != 9+9 {
			t.Errorf("%v with %d fit, want %v with 18", states, fit, want)
		}
	}
}

// noisy is a textured picture with noise of a seed, and a square that moves with it.
func noisy(seed uint64, clock bool) image.Image {
	rng := rand.New(rand.NewPCG(seed, 1))
	img := image.NewGray(image.Rect(0, 0, 160, 120))
	for i := range img.Pix {
		img.Pix[i] = uint8(80 + i%160/2 + rng.IntN(5))
	}
	for i := range 8 { // a clock in a corner, 0.3 % of the picture
		for x := range 8 {
			if clock {
				img.Pix[160*i+x] = uint8(rng.Uint32())
			}
		}
	}
	return img
}

// TestFrozen: what repeats itself, but for a clock, is frozen after its time, and live again
// a second after it moves; where a source may repeat itself it stays live.
func TestFrozen(t *testing.T) {
	for _, clock := range []bool{false, true} {
		frozen := noisy(9, false)
		picture := func(s int) image.Image {
			if s < 20 || s >= 60 {
				return noisy(uint64(s), false)
			}
			if clock {
				m := noisy(uint64(s), true).(*image.Gray)
				for y := range 8 {
					copy(frozen.(*image.Gray).Pix[160*y:][:8], m.Pix[160*y:])
				}
			}
			return frozen
		}
		states, _ := course(newQuality(10*time.Second), 1, 80, picture)
		if want := []string{"0s live", "31s frozen", "1m1s live"}; !slices.Equal(states, want) {
			t.Errorf("clock %v: %v, want %v", clock, states, want)
		}
		if states, fit := course(newQuality(0), 1, 80, picture); len(states) != 1 || fit != 80 {
			t.Errorf("clock %v: a source that may repeat itself: %v, %d fit", clock, states, fit)
		}
	}
}

// A state that its pictures have left and come back to does not flap: a camera whose picture
// changes once in a while stays frozen.
func TestFrozenDoesNotFlap(t *testing.T) {
	states, _ := course(newQuality(10*time.Second), 1, 300, func(s int) image.Image { return noisy(uint64(s/25), false) })
	if want := []string{"0s live", "11s frozen"}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}

// soften blurs a picture with a box of 2k+1 pixels, four times, and adds a sensor's noise.
func soften(m *image.RGBA, k int, rng *rand.Rand) *image.RGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	for pass := range 4 {
		dst := image.NewRGBA(m.Rect)
		step, n, lines := 4, w, h
		if pass%2 == 1 {
			step, n, lines = m.Stride, h, w
		}
		for line := range lines {
			at := line * (m.Stride + 4 - step)
			for i := range n {
				for c := range 3 {
					sum, of := 0, 0
					for j := max(i-k, 0); j <= min(i+k, n-1); j++ {
						sum += int(m.Pix[at+j*step+c])
						of++
					}
					dst.Pix[at+i*step+c] = uint8(sum / of)
				}
			}
		}
		m = dst
	}
	for i := range m.Pix {
		m.Pix[i] = uint8(min(max(float64(m.Pix[i])+2*rng.NormFloat64(), 0), 255))
	}
	return m
}

// rooms calls f with the pictures of n simulated views, 100 of each.
func rooms(n int, f func(view, frame int, img *image.RGBA)) {
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for v := range n {
		w := sim.NewWorld(sim.Config{Seed: uint64(v / 4), Views: 4})
		r := sim.NewRenderer(w.Look(), w.Cameras(), 320, 240)
		var objs []sim.Object
		for i := range 100 {
			objs = w.Objects(objs[:0])
			r.Render(img, v%4, objs, uint64(i))
			f(v, i, img)
			w.Step()
		}
	}
}

// TestBlurred: of views of rooms in which things come and go all pictures are fit, and in
// those with detail enough a lens out of focus is found, once a minute has been seen; a
// camera that was turned is not.
func TestBlurred(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	n := 8
	if testing.Short() {
		n = 2
	}
	var q *quality
	var blurred, detailed int
	rooms(n, func(view, i int, img *image.RGBA) {
		if i == 0 {
			q = newQuality(0)
		}
		if at := time.Unix(int64(i), 0); !q.judge(img, at) || q.state != camera.Live {
			t.Errorf("view %d, picture %d: %s: %s", view, i, q.state, q.reason)
		}
		if i < 99 {
			return
		}
		var l look
		l.fill(img)
		_, sure := detailOf(&l)
		before := q.history.least[0].min(&q.history.least[1])
		if before.above(sure) < fewCells {
			return
		}
		detailed++
		soft := soften(img, 4, rng)
		fit := false
		for i := range 3 {
			fit = q.judge(soft, time.Unix(int64(100+i), 0)) || fit
		}
		if q.state == camera.Blurred && !fit {
			blurred++
		}
		turned := image.NewRGBA(img.Rect)
		for y := range 240 {
			for x := range 320 {
				turned.SetRGBA((x+97)%320, 239-y, img.RGBAAt(x, y))
			}
		}
		for i := range 3 {
			q.judge(turned, time.Unix(int64(110+i), 0))
		}
		if q.state != camera.Live {
			t.Errorf("view %d: turned, it is %s", view, q.state)
		}
	})
	if blurred != detailed || detailed == 0 {
		t.Errorf("%d of %d views with detail were found to be blurred", blurred, detailed)
	}
}

// TestBlurredGivesIn: what stays blurred is taken as it is after an hour.
func TestBlurredGivesIn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	sharp := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for y := range 240 {
		for x := range 320 {
			v := uint8(60 + 100*(min(x, 160)/7%2))
			copy(sharp.Pix[sharp.PixOffset(x, y):], []uint8{v, v, uint8(y), 255})
		}
	}
	soft := soften(sharp, 6, rng)
	sharp = soften(sharp, 0, rng)
	states, _ := course(newQuality(0), 10, 400, func(i int) image.Image {
		if i < 30 {
			return sharp
		}
		return soft
	})
	if want := []string{"0s live", "5m10s blurred", "1h5m10s live"}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
}

// TestGoldenPicturesAreFit: nothing is wrong with pictures of real places.
func TestGoldenPicturesAreFit(t *testing.T) {
	for _, name := range []string{"real.png", "down.png", "odd.png"} {
		f, err := os.Open("../vlm/preprocess/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if q := newQuality(0); !q.judge(img, time.Unix(1, 0)) {
			t.Errorf("%s: %s", name, q.next)
		}
	}
}
