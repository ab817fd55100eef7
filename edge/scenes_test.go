package edge

import (
	"context"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/edge/thermal"
	"github.com/visualrwkv/edged/wire"
)

// start runs a daemon until the end of the test.
func start(t *testing.T, cfg Config) *Daemon {
	t.Helper()
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func askOf(d *Daemon, scene string) (*wire.Answer, error) {
	return d.Ask(context.Background(), &wire.Ask{Scene: scene, Question: "q"}, func(string) error { return nil })
}

// TestSeveralScenes: each scene has a memory, captions and questions of its own, and ends
// by itself.
func TestSeveralScenes(t *testing.T) {
	alone := map[string]string{}
	for name, n := range map[string]uint64{"hall": 3, "yard": 5} {
		d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{Name: name, Views: views(newFilm(n)), LockStep: true}}})
		<-d.Done()
		a, err := askOf(d, "")
		if err != nil {
			t.Fatal(err)
		}
		alone[name] = a.Text
	}

	a, b := newFilm(3), newFilm(5)
	var mu sync.Mutex
	var lines []string
	d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{
		{Name: "hall", Views: views(a), LockStep: true},
		{Name: "yard", Views: views(b), LockStep: true},
	}, Log: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}})
	<-d.Done()
	for name, want := range alone {
		if r, err := askOf(d, name); err != nil || r.Text != want || r.Scene != name {
			t.Errorf("%s: %+v, %v, want %s", name, r, err, want)
		}
	}
	for name, want := range map[string]string{"": `which scene? There are "hall", "yard"`, "attic": `no scene "attic"`} {
		if _, err := askOf(d, name); wire.Code(err) != wire.CodeScene || !strings.Contains(err.Error(), want) {
			t.Errorf("scene %q: %v", name, err)
		}
	}
	st, err := d.Status(t.Context())
	if err != nil || len(st.Scenes) != 2 || st.Scenes[0].Frames != 3 || st.Scenes[1].Frames != 5 {
		t.Errorf("status %+v, %v", st, err)
	}
	w, err := d.Welcome(t.Context(), nil)
	if err != nil || !slices.Equal(w.Scenes, []string{"hall", "yard"}) {
		t.Errorf("welcome %+v, %v", w, err)
	}
	if s := d.Stats(); s.Frames != 8 || s.Captions != 8 {
		t.Errorf("stats %+v", s)
	}
	mu.Lock()
	slices.Sort(lines)
	if want := []string{
		"hall: no more pictures", "hall: view0: ended: no more pictures", "hall: view0: live", "hall: watching view0",
		"yard: no more pictures", "yard: view0: ended: no more pictures", "yard: view0: live", "yard: watching view0",
	}; !slices.Equal(lines, want) {
		t.Errorf("log %q", lines)
	}
	mu.Unlock()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	a.check(t)
	b.check(t)
}

// TestSceneGoesOn: what a removed scene had seen is there when it is added again, though
// its questions have changed, and the other scene does not notice.
func TestSceneGoesOn(t *testing.T) {
	whole := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(newFilm(5)), LockStep: true}}})
	<-whole.Done()
	want, err := askOf(whole, "")
	if err != nil {
		t.Fatal(err)
	}

	first, other := newFilm(3), newFilm(1)
	d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{
		{Views: views(first), LockStep: true}, {Name: "other", Views: views(other)},
	}})
	<-d.Done()
	if err := d.Add(Scene{Views: views(newFilm(1))}); err == nil || !strings.Contains(err.Error(), `two scenes are called "room"`) {
		t.Errorf("a second room: %v", err)
	}
	mem, err := d.Remove("room")
	if err != nil || mem.Frame != 3 {
		t.Fatalf("%+v, %v", mem, err)
	}
	first.check(t)
	if _, err := d.Remove("room"); err == nil {
		t.Error("removed twice")
	}
	if _, err := askOf(d, "room"); wire.Code(err) != wire.CodeScene {
		t.Errorf("removed: %v", err)
	}
	if err := d.Add(Scene{Views: views(newFilm(1)), Memory: &memory.Snapshot{Memories: []memory.Memory{{State: []byte("x")}}}}); err == nil {
		t.Error("a bad memory was used")
	}
	rest := newFilm(5)
	rest.next = 3
	if err := d.Add(Scene{Views: views(rest), LockStep: true, Prompts: []Prompt{{Question: "who?"}}, Memory: mem}); err != nil {
		t.Fatal(err)
	}
	if a, err := askOf(d, "room"); err != nil || a.Frame < 3 {
		t.Errorf("before it has seen anything: %+v, %v", a, err)
	}
	waitFor(t, func() bool { a, _ := askOf(d, "room"); return a.Frame == 5 })
	if a, err := askOf(d, "room"); err != nil || a.Text != want.Text {
		t.Errorf("%+v, %v, want %+v", a, err, want)
	}
	if st, _ := d.Status(t.Context()); st.Scenes[0].Name != "other" || !strings.HasPrefix(st.Scenes[1].Caption, "who?") {
		t.Errorf("status %+v", st.Scenes)
	}
	d.Close()
	rest.check(t)
	other.check(t)
}

// watchTimed watches scenes of one model that needs a second to look, for so long, and
// returns when each saw something.
func watchTimed(t *testing.T, scenes int, asked bool) [][]time.Time {
	t.Helper()
	const wait, looks = time.Second, 60
	m := &fakeModel{
		see: func(ctx context.Context) error { time.Sleep(wait); return ctx.Err() },
		// Three pieces in half the time of a look.
		think: func(ctx context.Context) error { time.Sleep(wait / 6); return ctx.Err() },
	}
	seen := make([][]time.Time, scenes)
	var cfg Config
	cfg.Model = m
	for i := range scenes {
		cfg.Scenes = append(cfg.Scenes, Scene{
			Name: string(rune('a' + i)), Views: views(newFilm(1 << 40)), LockStep: true, Frames: looks,
			Observe: func(*Step) { seen[i] = append(seen[i], time.Now()) },
		})
	}
	d := start(t, cfg)
	for i := 0; asked && i < answersTogether; i++ {
		go func() {
			for {
				select {
				case <-d.Done():
					return
				default:
				}
				if _, err := askOf(d, "a"); wire.Code(err) == wire.CodeNotReady {
					time.Sleep(wait)
				}
			}
		}()
	}
	<-d.Done()
	return seen
}

// TestFairShare: of four scenes that always have something to look at, none waits for more
// than its share, nor for more than twice that when questions never end.
func TestFairShare(t *testing.T) {
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			const scenes = 4
			share := scenes * time.Second
			if asked {
				share *= 2
			}
			for i, times := range watchTimed(t, scenes, asked) {
				var longest time.Duration
				for k := range times[1:] {
					longest = max(longest, times[k+1].Sub(times[k]))
				}
				if len(times) != 60 || longest > share {
					t.Errorf("questions %v: scene %d saw %d frame sets, waited up to %v, want %v", asked, i, len(times), longest, share)
				}
			}
		})
	}
}

// TestNewestIsSeen: with four scenes on one model that needs a second for each, what a scene
// sees was taken a tenth of a second before at most, which is what its cameras need for a
// picture, and not when it began to wait; what it did not see is counted.
func TestNewestIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const scenes, looks, every = 4, 10, 100 * time.Millisecond
		cfg := Config{Model: &fakeModel{see: func(ctx context.Context) error { time.Sleep(time.Second); return ctx.Err() }}}
		var mu sync.Mutex
		seen, oldest := 0, time.Duration(0)
		for i := range scenes {
			films := []*film{newFilm(1 << 40), newFilm(1 << 40)}
			for _, f := range films {
				f.live = every
			}
			cfg.Scenes = append(cfg.Scenes, Scene{
				Name: string(rune('a' + i)), Views: views(films...), Frames: looks, MaxSkew: every,
				Observe: func(s *Step) {
					mu.Lock()
					defer mu.Unlock()
					seen++
					oldest = max(oldest, time.Since(s.Set.Time)-time.Second)
				},
			})
		}
		d := start(t, cfg)
		<-d.Done()
		if seen != scenes*looks || oldest > every {
			t.Errorf("%d frame sets were seen, want %d; the oldest was taken %v before, want %v at most", seen, scenes*looks, oldest, every)
		}
		st, err := d.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range st.Scenes {
			var frames int64
			for _, v := range s.Views {
				frames += v.Frames
			}
			// All but the two in each frame set, those that wait, and the newest in hand.
			if used := frames - s.Skipped; used < 2*s.Frames || used > 2*s.Frames+4 {
				t.Errorf("scene %s: of %d frames %d were skipped, and %d sets were seen", s.Name, frames, s.Skipped, s.Frames)
			}
		}
	})
}

// TestNothingLeftToSee: a change that is over when it is the scene's turn is not looked at,
// nor are pictures that came too late to see anything on them.
func TestNothingLeftToSee(t *testing.T) {
	for name, level := range map[string]uint8{"as before": 100, "dark": 3} {
		synctest.Test(t, func(t *testing.T) {
			f := newFilm(4)
			f.gate = make(chan struct{})
			f.paint = func(img *image.RGBA) {
				for i := range img.Pix {
					img.Pix[i] = []uint8{100, 100, 200, level}[f.next-1]
				}
			}
			var seen []uint64
			d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{
				Views: views(f), Gate: Gate{Idle: time.Hour}, Observe: func(s *Step) { seen = append(seen, s.Set.Number) },
			}}})
			next := func() {
				f.gate <- struct{}{}
				synctest.Wait()
			}
			next()
			next()                      // what comes after a change is seen
			d.turns.looks <- struct{}{} // somebody else looks
			next()
			next()
			<-d.turns.looks
			close(f.gate)
			<-d.Done()
			if len(seen) != 2 {
				t.Errorf("%s: it looked at the frame sets %d", name, seen)
			}
		})
	}
}

// TestIntervals: frame sets and captions come no more often than is wished, and a change
// that comes too early is described when it may be.
func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(20)
		f.gate = make(chan struct{})
		go func() {
			defer close(f.gate)
			for range 20 {
				f.gate <- struct{}{}
				time.Sleep(time.Second)
			}
		}()
		begin := time.Now()
		var looked, spoke []time.Duration
		d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{
			Views: views(f), Interval: 2 * time.Second, CaptionInterval: 5 * time.Second,
			Observe: func(s *Step) {
				looked = append(looked, time.Since(begin))
				if s.New {
					spoke = append(spoke, time.Since(begin))
				}
			},
		}}})
		<-d.Done()
		for i := range looked[1:] {
			if gap := looked[i+1] - looked[i]; gap < 2*time.Second {
				t.Errorf("two frame sets within %v", gap)
			}
		}
		if len(looked) < 9 || len(spoke) < 3 {
			t.Errorf("looked at %v, spoke at %v", looked, spoke)
		}
		for i := range spoke[1:] {
			if gap := spoke[i+1] - spoke[i]; gap < 5*time.Second || gap > 7*time.Second {
				t.Errorf("two captions within %v of each other, want 5s to 7s: everything moves", gap)
			}
		}
	})
}

// TestOwedCaption: a change that comes too early for a caption is described when there may be one, though
// the scene has come to rest by then, and once.
func TestOwedCaption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 20
		f := newFilm(n)
		f.gate = make(chan struct{})
		f.paint = func(img *image.RGBA) {
			level := uint8(100)
			if f.next > 7 {
				level = 160
			}
			for i := range img.Pix {
				img.Pix[i] = level
			}
		}
		go func() {
			defer close(f.gate)
			for range n {
				f.gate <- struct{}{}
				time.Sleep(time.Second)
			}
		}()
		began := time.Now()
		var spoke []int
		d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{
			Views: views(f), CaptionInterval: 5 * time.Second,
			Observe: func(s *Step) {
				if s.New {
					spoke = append(spoke, int(time.Since(began).Seconds()))
				}
			},
		}}})
		<-d.Done()
		// The first picture, the one after it, which may be news too, and the change in the eighth.
		if want := []int{0, 5, 10}; !slices.Equal(spoke, want) {
			t.Errorf("captions after %v s, want %v", spoke, want)
		}
	})
}

// TestDuty: a device that is too warm looks and writes in its share of the time.
func TestDuty(t *testing.T) {
	root := t.TempDir()
	zone := filepath.Join(root, "thermal_zone0")
	if err := os.Mkdir(zone, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"type": "cpu-thermal", "temp": "75000"} {
		if err := os.WriteFile(filepath.Join(zone, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var seen []time.Time
		d := start(t, Config{
			Model: &fakeModel{
				see:   func(ctx context.Context) error { time.Sleep(time.Second / 2); return ctx.Err() },
				think: func(ctx context.Context) error { time.Sleep(time.Second / 6); return ctx.Err() }, // three times
			},
			Thermal: thermal.New(thermal.Config{Limit: 80, Root: root}),
			Scenes: []Scene{{
				Views: views(newFilm(1 << 40)), LockStep: true, Frames: 100, Prompts: []Prompt{{Question: "what?"}},
				Observe: func(*Step) { seen = append(seen, time.Now()) },
			}},
		})
		<-d.Done()
		st, err := d.Status(t.Context())
		if err != nil || st.Zone != "cpu-thermal" || st.Celsius != 75 || st.Duty >= 1 {
			t.Fatalf("%+v, %v", st, err)
		}
		between := seen[99].Sub(seen[50]).Seconds() / 49
		if want := 1 / st.Duty; between < 0.99*want || between > 1.01*want {
			t.Errorf("with a duty of %v it looked every %v s", st.Duty, between)
		}
	})
}
