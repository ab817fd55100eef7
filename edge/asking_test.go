package edge

import (
	"context"
	"image"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/fw/plugin"
	"github.com/visualrwkv/edged/internal/wasmtest"
	"github.com/visualrwkv/edged/wire"
)

// TestAskingRate: plugins are asked as often as is wanted on average, by all that cameras deliver when that is
// less, and after a pause no oftener.
func TestAskingRate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		camera, rate float64 // pictures a second
		want         int     // of a minute
	}{{25, 5, 300}, {30, 7, 420}, {12, 5, 300}, {5, 5, 300}, {1, 5, 60}, {30, 30, 1800}, {25, 0.1, 6}} {
		begin := time.Unix(1000, 0)
		a := &asking{epoch: begin}
		period := time.Duration(float64(time.Second) / c.rate)
		asked := 0
		var last time.Time
		for i := range int(60 * c.camera) {
			early := rng.Float64() - 0.5 // a camera is no clock
			now := begin.Add(time.Duration((float64(i) + early/2) / c.camera * float64(time.Second)))
			if !a.due(now, period) {
				continue
			}
			if pause := now.Sub(last); pause < period/3 {
				t.Errorf("%v: %v after the one before", c, pause)
			}
			asked++
			last = now
		}
		if asked < c.want-1-c.want/100 || asked > c.want+1 {
			t.Errorf("%v: asked %d times", c, asked)
		}
	}
	// Whatever their cameras do, views are asked about at the same moments where these are rare.
	begin := time.Unix(1000, 0)
	asked := map[int]int{}
	for i, camera := range []float64{25, 12, 6} {
		a := &asking{epoch: begin}
		for n := range int(60 * camera) {
			if now := begin.Add(time.Duration((float64(n) + rng.Float64()) / camera * float64(time.Second))); a.due(now, 2*time.Second) {
				asked[int(now.Sub(begin)/(2*time.Second))] += 1 << (8 * i)
				if late := now.Sub(begin) % (2 * time.Second); late > 2*time.Second/6 {
					t.Errorf("camera %d: asked %v late", i, late)
				}
			}
		}
	}
	for n, views := range asked {
		if views != 0x010101 || len(asked) != 30 {
			t.Errorf("period %d of %d: %x", n, len(asked), views)
		}
	}
	// What asking takes is left to capture, and another rate holds at once.
	a, now := &asking{}, time.Unix(1000, 0)
	if !a.due(now, time.Second) {
		t.Error("the first is not asked about")
	}
	a.notBefore(now.Add(5 * time.Second))
	if a.due(now.Add(4*time.Second), time.Second) || !a.due(now.Add(4*time.Second), time.Minute) {
		t.Error("before it was time, or not at another rate")
	}
}

// emits says the same of every picture.
func emits(text string) []byte {
	code := wasmtest.Code(wasmtest.I32(wasmtest.GuestAnswer), wasmtest.I32(int32(len(text))), wasmtest.Call(wasmtest.GuestEmit), wasmtest.I64(0))
	return wasmtest.Guest(code, nil, wasmtest.Data{At: wasmtest.GuestAnswer, Bytes: text})
}

// halfHidden reports whether the left of a picture is masked, and the right is not.
func halfHidden(img image.Image) bool {
	left, _, _, _ := img.At(0, 0).RGBA()
	right, _, _, _ := img.At(31, 0).RGBA()
	return left == 0 && right != 0
}

var leftHalf = verdictBytes(false, plugin.Rect{}, plugin.Rect{W: 0.5, H: 1})

// TestPluginsWhileModelLooks: plugins see five pictures of each view a second, and alert at once, while the model takes
// seven seconds for each look; and it sees nothing that they were not asked about.
func TestPluginsWhileModelLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFilm(1<<40), newFilm(1<<40)
		a.live, b.live = 40*time.Millisecond, 40*time.Millisecond
		var looks, alerts atomic.Int64
		var bare atomic.Bool // plugins hide nothing
		m := &fakeModel{see: func(ctx context.Context) error { return camera.SleepUntil(ctx, time.Now().Add(7*time.Second)) }}
		with := compiled(t, emits(`{"text":"moved"}`), framer(leftHalf), wasmtest.Captioner(`{}`))
		d := start(t, Config{Model: m, Scenes: []Scene{{
			Views: views(a, b), Gate: Gate{Pixels: -1}, Interval: time.Second, MaxSkew: time.Second, Plugins: with,
			Alerted: func(e *wire.Event) {
				alerts.Add(1)
				if now := time.Now().UnixMilli(); e.Time != now || e.Frame != 0 || e.View == "" {
					t.Errorf("at %d: %+v", now, e)
				}
			},
			Observe: func(s *Step) {
				n := looks.Add(1)
				for i, f := range s.Set.Frames {
					if f.Image == nil || !bare.Load() && !halfHidden(f.Image) {
						t.Errorf("look %d, view %d: what a plugin hides is seen, or nothing", n, i)
					}
				}
			},
		}}})
		after := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		after(3 * time.Second) // the model still looks at the first set
		if looks.Load() != 0 || alerts.Load() != 10 {
			t.Errorf("%d looks, %d alerts; there may be ten a minute", looks.Load(), alerts.Load())
		}
		after(57 * time.Second)
		if n := looks.Load(); n < 7 || n > 9 {
			t.Errorf("%d looks", n)
		}
		all := d.scenes[0].pluginStatus()
		for _, s := range all[:2] {
			if s.Calls < 598 || s.Calls > 602 {
				t.Errorf("plugin %s was asked %d times in a minute", s.Name, s.Calls)
			}
		}
		if st := d.scenes[0].report(); st.Views[0].Frames < 1499 || st.Views[0].Missing != 0 {
			t.Errorf("%+v", st.Views[0])
		}

		// Another rate, and none: plugins stay.
		with = slices.Clone(with)
		with[1].Rate = 12.5
		d.SetPlugins("room", with)
		after(10 * time.Second)
		if n := d.scenes[0].pluginStatus()[0].Calls - all[0].Calls; n < 246 || n > 254 {
			t.Errorf("asked %d times in ten seconds", n)
		}
		bare.Store(true)
		d.SetPlugins("room", with[2:])
		skipped := d.scenes[0].views[0].skipped.Load()
		after(10 * time.Second)
		if n := d.scenes[0].views[0].skipped.Load() - skipped; n > 2 || d.scenes[0].pluginStatus()[0].Calls == 0 {
			t.Errorf("%d pictures were left out for nobody", n)
		}
	})
}

// TestPluginsSeldomAsked: views that are asked about seldom still make sets with each other.
func TestPluginsSeldomAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFilm(1<<40), newFilm(1<<40)
		a.live, b.live = 40*time.Millisecond, 130*time.Millisecond
		with := compiled(t, framer(leftHalf))
		with[0].Rate = 0.5
		d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{
			Views: views(a, b), Gate: Gate{Pixels: -1}, Interval: time.Second, MaxSkew: 500 * time.Millisecond, Plugins: with,
		}}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := d.Stats().Frames; n < 29 || n > 31 {
			t.Errorf("%d frame sets", n)
		}
		for _, v := range d.scenes[0].report().Views {
			if v.Missing > 0 {
				t.Errorf("%+v", v)
			}
		}
	})
}

// TestPluginsAskedWhatever: while plugins are exchanged, and scenes paused and ended, no picture is seen that
// was not shown to a plugin, and all are given back.
func TestPluginsAskedWhatever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newFilm(1<<40), newFilm(1<<40)
		a.live, b.live = 11*time.Millisecond, 17*time.Millisecond
		m := &fakeModel{see: func(ctx context.Context) error { return camera.SleepUntil(ctx, time.Now().Add(time.Second/3)) }}
		with := compiled(t, framer(leftHalf), framer(leftHalf), skipsWhere(loadWord, 4))
		for i := range with {
			with[i].Rate = 30
		}
		looks := 0
		d := start(t, Config{Model: m, Scenes: []Scene{{
			Views: views(a, b), Gate: Gate{Pixels: -1}, Interval: 50 * time.Millisecond, Plugins: with[:1],
			Observe: func(s *Step) {
				looks++
				for _, f := range s.Set.Frames {
					if f.Image != nil && !halfHidden(f.Image) {
						t.Error("a picture was seen that no plugin was asked about")
					}
				}
			},
		}}})
		rng := rand.New(rand.NewPCG(3, 4))
		for i := range 400 {
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			switch i % 4 {
			case 0, 2:
				if err := d.pause("", i%4 == 0); err != nil {
					t.Fatal(err)
				}
			default:
				at := rng.IntN(2)
				d.SetPlugins("room", append([]Plugin{with[at]}, with[2:][:rng.IntN(2)]...))
			}
		}
		synctest.Wait()
		if looks < 20 {
			t.Errorf("%d looks", looks)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		a.check(t)
		b.check(t)
	})
}

// TestPluginsSeeTheFirst: nothing is captured before the plugins have started.
func TestPluginsSeeTheFirst(t *testing.T) {
	f := newFilm(1)
	looks := 0
	d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), Plugins: compiled(t, framer(leftHalf)), Observe: func(s *Step) {
		if looks++; !halfHidden(s.Set.Frames[0].Image) {
			t.Error("a picture was seen that no plugin was asked about")
		}
	}}}})
	<-d.Done()
	if looks != 1 {
		t.Errorf("%d looks", looks)
	}
}

// TestLeftOutWhileCapturing: a view of which nothing may be seen is missing at once, is looked at for how it
// is, and does not lose what may be seen and waits.
func TestLeftOutWhileCapturing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Scene{}, 2)
		released := 0
		offer := func(view, ms int, level uint8) {
			f := camera.NewFrame(picture(level), time.UnixMilli(int64(ms)), 0, func() { released++ })
			if err := s.views[view].box.Offer(t.Context(), shot{Frame: f, leftOut: true}); err != nil {
				t.Error(err)
			}
		}
		next := func(want string) {
			t.Helper()
			began := time.Now()
			set, err := s.next(t.Context())
			if err != nil || times(set) != want || time.Since(began) != 0 {
				t.Errorf("%v, %v, after %v; want %s", times(set), err, time.Since(began), want)
			}
		}
		for ms := -600; ms < 1000; ms += 200 { // it is dark
			offer(0, ms, 0)
			if s.take(true) {
				t.Error("what may not be seen is held")
			}
		}
		offer(0, 1000, 0)
		s.put(t.Context(), 1, 1000)
		next("- 1000")
		if state := s.views[0].quality.state; state != camera.Dark || s.views[0].missing.Load() != 1 || released != 9 {
			t.Errorf("%s, missing %d times, %d pictures released", state, s.views[0].missing.Load(), released)
		}
		// In hand it stays, whatever comes that may not be seen.
		offer(1, 1100, 100)
		if !s.renew() || times(&s.set) != "- 1000" || released != 10 {
			t.Errorf("%s, %d pictures released", times(&s.set), released)
		}
		s.set.release()

		s, released = newStage(Scene{}, 2), 0
		s.put(t.Context(), 0, 2000)
		offer(0, 2100, 100)
		s.put(t.Context(), 1, 2000)
		s.take(true)
		offer(0, 2200, 100)
		next("2000 2000")
		s.set.release()
		if released != 2 {
			t.Errorf("%d pictures released", released)
		}
		// A damaged one is no frame at all.
		if err := s.views[0].box.Offer(t.Context(), shot{leftOut: true}); err != nil {
			t.Error(err)
		}
		s.put(t.Context(), 1, 3000)
		next("- 3000")
		s.set.release()
		s.close()
	})
}

// BenchmarkAsked is what a picture of a JPEG camera of 640x480 costs that a plugin is asked about, which does
// nothing: it is decoded, made smaller, and judged.
func BenchmarkAsked(b *testing.B) {
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(newFilm(0)), Plugins: compiled(b, framer(verdictBytes(false, plugin.Rect{})))}}})
	if err != nil {
		b.Fatal(err)
	}
	s := d.scenes[0]
	s.beginPlugins(b.Context())
	defer s.endPlugins()
	decoded := 0
	pics, file := jpegs(&decoded), encodeJPEG(b, vga(), 90)
	at := time.Unix(0, 0)
	for b.Loop() {
		at = at.Add(time.Second / DefaultRate)
		f := jpegFrame(b, pics, file, at)
		if shown, err := s.shows(b.Context(), 0, &f, 0); !shown || err != nil {
			b.Fatal(shown, err)
		}
		if s.views[0].look(&f) == nil {
			b.Fatal("unfit")
		}
		f.Release()
	}
	b.ReportMetric(100*DefaultRate*b.Elapsed().Seconds()/float64(b.N), "%core")
}
