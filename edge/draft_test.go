package edge

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

// jpegs makes frames of what cameras send as JPEG, and counts those that were decoded.
func jpegs(decoded *int) *camera.Pictures {
	return camera.NewPictures(&camera.Options{
		Decode: func(data []byte) (image.Image, error) { *decoded++; return preprocess.Decode(data, nil) },
		Draft:  func(data []byte, dst *image.YCbCr) error { return preprocess.Draft(data, nil, dst) },
	})
}

func jpegFrame(t testing.TB, pics *camera.Pictures, file []byte, at time.Time) camera.Frame {
	t.Helper()
	p := pics.Take()
	p.Data = append(p.Data, file...)
	f, err := p.JPEG(at, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func encodeJPEG(t testing.TB, m image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gatekeeper takes frame sets of one view as a scene does, and no model sees them.
type gatekeeper struct {
	*collector
	*gate
}

func newGatekeeper(g Gate, repeats time.Duration) gatekeeper {
	v := newView(camera.View{Name: "v", Source: &film{}}, false, make(chan struct{}, 1), func(string, camera.State, string) {})
	v.quality.repeats = repeats
	return gatekeeper{newCollector(&Scene{}, []*view{v}, make(chan struct{}, 1)), newGate(g, 1)}
}

// sees reports whether a model would see the frame.
func (w gatekeeper) sees(t testing.TB, f camera.Frame) bool {
	t.Helper()
	if err := w.views[0].box.Put(t.Context(), shot{Frame: f}); err != nil {
		t.Fatal(err)
	}
	if !w.take(true) || !w.deliver(t.Context()) {
		return false
	}
	set := &w.set
	defer set.release()
	return w.lets(set, w.collector, false)
}

// TestDraftsDecideAsPictures: of rooms in which things come, go and move the same pictures are
// seen, whether those in which nothing changed are decoded or not, and few of those are.
func TestDraftsDecideAsPictures(t *testing.T) {
	n, steps := 4, 8
	if testing.Short() {
		n = 1
	}
	const hold = 12 // pictures between two steps of a room, ten a second
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	var decoded, all, changes int
	var off float32
	for v := range n {
		w := sim.NewWorld(sim.Config{Seed: uint64(v), Views: 4})
		r := sim.NewRenderer(w.Look(), w.Cameras(), 320, 240)
		drafts, whole := newGatekeeper(Gate{Idle: time.Hour}, 0), newGate(Gate{Idle: time.Hour}, 1)
		pics := jpegs(&decoded)
		var l look
		for i := range hold * steps {
			if i%hold == 0 {
				w.Step()
			}
			r.Render(img, v%4, w.Objects(nil), uint64(i))
			file := encodeJPEG(t, img, 60+10*(v%4))
			m, err := preprocess.Decode(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			l.fill(m)
			at := time.Unix(0, 0).Add(time.Duration(i) * time.Second / 10)
			want := whole.look([]*thumb{&l.thumb}, at)
			before := decoded
			if got := drafts.sees(t, jpegFrame(t, pics, file, at)); got != want {
				t.Errorf("room %d, picture %d: seen: %v, decoded it would be: %v", v, i, got, want)
			}
			if decoded == before {
				off = max(off, drafts.views[0].drafts.now.difference(&l.thumb))
			}
			if all++; want {
				changes++
			}
		}
	}
	t.Logf("%d pictures, %d seen, %d decoded; drafts are %.1f off at most", all, changes, decoded, off)
	if decoded > all/2 || changes < 2*n {
		t.Errorf("%d of %d pictures were decoded, %d changed", decoded, all, changes)
	}
	if off >= defaultPixels {
		t.Errorf("drafts are %.1f off", off)
	}
}

// TestDraftsAreDoubted: of pictures that changed by half of what counts, as far as drafts tell, or more, the
// pictures themselves are looked at.
func TestDraftsAreDoubted(t *testing.T) {
	decoded := 0
	pics := jpegs(&decoded)
	w := newGatekeeper(Gate{Idle: time.Hour}, 0)
	for i, c := range []struct {
		level      uint8
		seen, want bool
	}{{100, true, true}, {100, true, true}, {102, false, false}, {106, false, true}, {102, false, true}, {102, false, false}, {112, true, true}} {
		img := image.NewGray(image.Rect(0, 0, 320, 240))
		for p := range img.Pix {
			img.Pix[p] = c.level
		}
		before := decoded
		seen := w.sees(t, jpegFrame(t, pics, encodeJPEG(t, img, 90), time.Unix(0, int64(i)*1e8)))
		if got := decoded > before; seen != c.seen || got != c.want {
			t.Errorf("picture %d, of level %d: seen %v, decoded %v; want %v, %v", i, c.level, seen, got, c.seen, c.want)
		}
	}
}

// TestDraftsAreJudged: what is wrong with pictures is found about as soon as when all of them
// are decoded, though most are not.
func TestDraftsAreJudged(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	decoded := 0
	pics := jpegs(&decoded)
	var files [40][]byte // of a still scene, each with a noise of its own
	for i := range files {
		files[i] = encodeJPEG(t, scenery(rng, 50), 95)
	}
	black := encodeJPEG(t, image.NewGray(image.Rect(0, 0, 320, 240)), 90)
	w := newGatekeeper(Gate{Idle: time.Hour}, 5*time.Second)
	var states []string
	for i := range 600 { // a minute
		file := files[i%len(files)]
		switch {
		case i >= 100 && i < 200:
			file = black
		case i >= 300 && i < 500:
			file = files[0]
		}
		before := decoded
		w.sees(t, jpegFrame(t, pics, file, time.Unix(0, 0).Add(time.Duration(i)*time.Second/10)))
		if s := string(w.views[0].quality.state); len(states) == 0 || states[len(states)-1] != s {
			states = append(states, s)
			// A black picture is a change, and decoded at once; of one that repeats itself that is
			// found within a second of the limit, and of an unfit one four are looked at each second.
			for _, limit := range []struct {
				state    camera.State
				from, to int
			}{{camera.Dark, 100, 110}, {camera.Frozen, 350, 370}} {
				if s == string(limit.state) && (i < limit.from || i > limit.to) {
					t.Errorf("%s at picture %d", s, i)
				}
			}
		}
		if decoded > before+1 {
			t.Errorf("picture %d was decoded %d times", i, decoded-before)
		}
	}
	if want := []string{"live", "dark", "live", "frozen", "live"}; !slices.Equal(states, want) {
		t.Errorf("%v, want %v", states, want)
	}
	if decoded > 250 {
		t.Errorf("%d of 600 pictures were decoded", decoded)
	}
	t.Logf("%d of 600 pictures were decoded", decoded)
}

// TestDraftsHideMasks: what the gate sees of drafts does not depend on what is behind a mask, or
// beyond a region, and without them it does.
func TestDraftsHideMasks(t *testing.T) {
	thumbs := func(secret uint8, masks []camera.Area, region camera.Area) (all []thumb) {
		decoded := 0
		pics := jpegs(&decoded)
		rng := rand.New(rand.NewPCG(3, 4))
		img := scenery(rng, 200).(*image.RGBA)
		for y := range 100 { // 100 and 132 are within blocks, and 132 within one of chroma
			for x := range 132 {
				i := img.PixOffset(x, y)
				img.Pix[i], img.Pix[i+1], img.Pix[i+2] = secret, 255-secret, secret/2
			}
		}
		src, err := camera.Cover(oneFrame{frame: jpegFrame(t, pics, encodeJPEG(t, img, 80), time.Unix(1, 0))}, masks, region)
		if err != nil {
			t.Fatal(err)
		}
		f, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Release()
		var d thumb
		if draft, ok := f.Draft(); !ok || !d.draft(draft) {
			t.Fatal("no draft")
		}
		return append(all, d)
	}
	const right, bottom = 132. / 320, 100. / 240
	for name, c := range map[string]struct {
		masks  []camera.Area
		region camera.Area
	}{
		"mask":           {masks: []camera.Area{{0, 0, right, bottom}}},
		"region":         {region: camera.Area{right, 0, 1, 1}},
		"region below":   {region: camera.Area{0, bottom, 1, 1}},
		"mask in region": {masks: []camera.Area{{0, 0, right, bottom}}, region: camera.Area{0.2, 0.1, 0.9, 1}},
	} {
		if a, b := thumbs(10, c.masks, c.region), thumbs(200, c.masks, c.region); !slices.Equal(a, b) {
			t.Errorf("%s: what is hidden is seen", name)
		}
	}
	if a, b := thumbs(10, nil, camera.Area{}), thumbs(200, nil, camera.Area{}); slices.Equal(a, b) {
		t.Error("nothing is hidden, and not seen")
	}
}

// oneFrame is a source of the same frame.
type oneFrame struct {
	camera.Source
	frame camera.Frame
}

func (o oneFrame) Next(context.Context) (camera.Frame, error) { return o.frame, nil }

// vga is a picture of 640x480 that is fit for a model.
func vga() *image.YCbCr {
	rng := rand.New(rand.NewPCG(1, 1))
	img := image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = uint8(60 + i%640/8 + i/640/8 + rng.IntN(5))
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = uint8(100+i%320/8), uint8(140-i/320/8)
	}
	return img
}

// BenchmarkUnchanged is what it costs to see that four views of 640x480 have not changed and
// are fit, 25 times a second: raw pixels are converted; of JPEG drafts are made, and one picture
// a second is decoded.
func BenchmarkUnchanged(b *testing.B) {
	img := vga()
	decoded := 0
	pics := jpegs(&decoded)
	yuyv := make([]byte, 2*640*480)
	for i, v := range img.Y {
		yuyv[2*i], yuyv[2*i+1] = v, 128
	}
	file := encodeJPEG(b, img, 90)
	frames := map[string]func(time.Time) camera.Frame{
		"pixels": func(at time.Time) camera.Frame { return camera.NewFrame(img, at, 0, nil) },
		"YUYV": func(at time.Time) camera.Frame {
			p := pics.Take()
			p.Data = append(p.Data, yuyv...)
			f, err := p.Raw(camera.RawPicture{Format: camera.YUYV, Width: 640, Height: 480, Stride: 1280}, at, 0)
			if err != nil {
				b.Fatal(err)
			}
			return f
		},
		"MJPEG": func(at time.Time) camera.Frame { return jpegFrame(b, pics, file, at) },
	}
	for name, frame := range frames {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var views [4]gatekeeper
			for i := range views {
				views[i] = newGatekeeper(Gate{Idle: 1000 * time.Hour}, 0)
			}
			at := time.Unix(0, 0)
			for b.Loop() {
				at = at.Add(40 * time.Millisecond)
				for _, w := range views {
					w.sees(b, frame(at))
				}
			}
			if v := views[0].views[0]; v.quality.state != camera.Live || v.damaged.Load() > 0 {
				b.Error(v.quality.state, v.damaged.Load())
			}
		})
	}
}
