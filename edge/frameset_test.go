package edge

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// stage is views whose frames a test places, and the collector behind them.
type stage struct {
	*collector
	said []string // changes of state
}

func newStage(cfg Scene, views int) *stage {
	s := &stage{}
	filled := make(chan struct{}, 1)
	var all []*view
	for i := range views {
		v := newView(camera.View{Name: fmt.Sprint("v", i), Source: &film{}}, cfg.LockStep, filled, func(_ string, _ camera.State, text string) { s.said = append(s.said, text) })
		v.capture, v.told = verdict{state: camera.Live}, verdict{state: camera.Live}
		all = append(all, v)
	}
	s.collector = newCollector(&cfg, all, filled)
	return s
}

// picture has something to be seen on it.
func picture(level uint8) image.Image {
	img := image.NewGray(image.Rect(0, 0, 64, 48))
	for i := range img.Pix {
		img.Pix[i] = level
	}
	return img
}

// put leaves a frame of so many milliseconds in the mailbox of a view.
func (s *stage) put(ctx context.Context, view, ms int) {
	s.views[view].box.Put(ctx, shot{Frame: camera.NewFrame(picture(100), time.UnixMilli(int64(ms)), 0, nil)})
}

// times are those of a set's frames in milliseconds, - where a view is missing.
func times(s *FrameSet) string {
	var all []string
	for _, f := range s.Frames {
		if f.Image == nil {
			all = append(all, "-")
		} else {
			all = append(all, fmt.Sprint(f.Time.UnixMilli()))
		}
	}
	return strings.Join(all, " ")
}

// TestHeldIsRenounced: what waits for other views is not for a set once there are plugins that were not asked about
// it.
func TestHeldIsRenounced(t *testing.T) {
	s := newStage(Scene{}, 2)
	s.put(t.Context(), 0, 1000)
	if !s.take(true) {
		t.Fatal("nothing is held")
	}
	s.asked.Add(1)
	if s.take(true) || s.views[0].skipped.Load() != 1 {
		t.Errorf("held: %v", s.held)
	}
}

// TestLockStepMatchesByTime: every frame is used, once, with those of its instant.
func TestLockStepMatchesByTime(t *testing.T) {
	s := newStage(Scene{LockStep: true, MaxSkew: 10 * time.Millisecond}, 2)
	for i, ms := range [][]int{{10, 1000, 2000, 4000}, {14, 2007, 3000, 4010, 5000}} {
		go func() {
			for _, ms := range ms {
				s.put(t.Context(), i, ms)
			}
			s.views[i].box.Close(io.EOF)
		}()
	}
	var got []string
	for {
		set, err := s.next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, times(set))
		if set.Number == 3 && (set.Skew != 7*time.Millisecond || set.Time.UnixMilli() != 2007) {
			t.Errorf("skew %v at %v", set.Skew, set.Time)
		}
		set.release()
	}
	want := []string{"10 14", "1000 -", "2000 2007", "- 3000", "4000 4010", "- 5000"}
	if !slices.Equal(got, want) {
		t.Errorf("sets %q, want %q", got, want)
	}
	if a, b := s.views[0].missing.Load(), s.views[1].missing.Load(); a != 2 || b != 1 {
		t.Errorf("missing in %d and %d sets", a, b)
	}
}

// TestMissingView: a view that stops is waited for once, then left out, not repeated, and
// is back as soon as it delivers.
func TestMissingView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Scene{MaxSkew: 50 * time.Millisecond, MaxWait: time.Second}, 2)
		ctx, cancel := context.WithCancel(t.Context())
		begin := time.Now()
		for i, on := range []func(ms int) bool{
			func(int) bool { return true },
			func(ms int) bool { return ms < 500 || ms >= 3000 },
		} {
			go func() {
				for ms := 0; ctx.Err() == nil; ms += 100 {
					if on(ms) {
						s.put(ctx, i, int(begin.UnixMilli())+ms+30*i)
					}
					time.Sleep(100 * time.Millisecond)
				}
			}()
		}
		type got struct {
			after time.Duration
			both  bool
		}
		var all []got
		for time.Since(begin) < 4*time.Second {
			set, err := s.next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			both := set.Frames[0].Image != nil && set.Frames[1].Image != nil
			if both && set.Skew != 30*time.Millisecond {
				t.Errorf("skew %v", set.Skew)
			}
			all = append(all, got{time.Since(begin), both})
			set.release()
			time.Sleep(99 * time.Millisecond) // the model
		}
		cancel()
		time.Sleep(time.Second) // until the cameras have noticed
		alone, longest := 0, time.Duration(0)
		for i, g := range all {
			if i > 0 {
				longest = max(longest, g.after-all[i-1].after)
			}
			if !g.both {
				alone++
			}
			if missing := g.after > 500*time.Millisecond && g.after < 3*time.Second; g.both == missing && g.after > 600*time.Millisecond && (g.after < 3*time.Second || g.after > 3200*time.Millisecond) {
				t.Errorf("after %v: both views: %v", g.after, g.both)
			}
		}
		// It is waited for once, for a second.
		if longest < time.Second || longest > 1200*time.Millisecond || alone < 12 || alone > 16 {
			t.Errorf("longest pause %v, %d sets without the view: %v", longest, alone, all)
		}
		if n := s.views[1].missing.Load(); n != uint64(alone) {
			t.Errorf("%d sets counted without it, were %d", n, alone)
		}
	})
}

// TestSkew: a frame that is too old for another view's is dropped, and its view waited for
// again; one that waits is overtaken by its own newer frame.
func TestSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Scene{MaxSkew: 10 * time.Millisecond}, 2)
		ctx := t.Context()
		s.put(ctx, 0, 1000)
		go func() {
			time.Sleep(time.Millisecond)
			s.put(ctx, 1, 2000)
			time.Sleep(time.Millisecond)
			s.put(ctx, 1, 2500)
			time.Sleep(time.Millisecond)
			s.put(ctx, 0, 2505)
		}()
		set, err := s.next(ctx)
		if err != nil || times(set) != "2505 2500" || set.Number != 1 {
			t.Fatalf("%q, %v", times(set), err)
		}
		set.release()
		if a, b := s.views[0].skipped.Load(), s.views[1].skipped.Load(); a != 1 || b != 1 {
			t.Errorf("%d and %d skipped", a, b)
		}
	})
}

// TestRenew: a set in hand becomes the newest that holds together, and what was overtaken is
// counted and given back.
func TestRenew(t *testing.T) {
	type frame struct {
		view, ms int
		level    uint8
	}
	for _, c := range []struct {
		name          string
		come          []frame
		want          string // of the set
		then          string // of the set after it, which view 0 at 9000 and view 1 at 9001 complete
		skipped, lost [2]uint64
		missing       [2]uint64
	}{
		{name: "nothing came", want: "1000 1010", then: "9000 9001"},
		{name: "all came", come: []frame{{0, 1040, 100}, {0, 1080, 100}, {1, 1050, 100}}, want: "1080 1050", then: "9000 9001", skipped: [2]uint64{2, 1}},
		{name: "one came", come: []frame{{1, 1050, 100}}, want: "1000 1050", then: "9000 9001", skipped: [2]uint64{0, 1}},
		{name: "too far apart", come: []frame{{1, 1101, 100}}, want: "1000 1010", then: "9000 9001", skipped: [2]uint64{0, 1}},
		{name: "became dark", come: []frame{{0, 1040, 3}, {1, 1050, 100}}, want: "- 1050", then: "9000 9001", skipped: [2]uint64{1, 1}, lost: [2]uint64{1, 0}, missing: [2]uint64{1, 0}},
		{name: "nothing left", come: []frame{{0, 1040, 3}, {1, 1050, 3}}, want: "- -", then: "9000 9001", skipped: [2]uint64{1, 1}, lost: [2]uint64{1, 1}, missing: [2]uint64{1, 1}},
	} {
		s := newStage(Scene{MaxSkew: 100 * time.Millisecond}, 2)
		released := 0
		put := func(f frame) {
			s.views[f.view].box.Put(t.Context(), shot{Frame: camera.NewFrame(picture(f.level), time.UnixMilli(int64(f.ms)), 0, func() { released++ })})
		}
		deliver := func() *FrameSet {
			set, err := s.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return set
		}
		put(frame{0, 1000, 100})
		put(frame{1, 1010, 100})
		set := deliver()
		for _, f := range c.come {
			put(f)
		}
		there := s.renew()
		if got := times(set); got != c.want || there != (c.want != "- -") || set.Number != 1 {
			t.Errorf("%s: set %d of %q, %v, want %q", c.name, set.Number, got, there, c.want)
		}
		for i, f := range set.Frames {
			if (f.Image == nil) != (set.thumbs[i] == nil) {
				t.Errorf("%s: view %d: a picture without what the gate compares, or that without a picture", c.name, i)
			}
		}
		oldest, newest := span(set.Frames)
		if set.Time != newest || set.Skew != newest.Sub(oldest) {
			t.Errorf("%s: at %v, skew %v", c.name, set.Time, set.Skew)
		}
		set.release()
		put(frame{0, 9000, 100})
		put(frame{1, 9001, 100})
		set = deliver()
		if got := times(set); got != c.then && c.lost == [2]uint64{} { // after dark pictures a view needs a second
			t.Errorf("%s: then %q, want %q", c.name, got, c.then)
		}
		set.release()
		s.close()
		if want := 4 + len(c.come); released != want {
			t.Errorf("%s: %d of %d frames were given back", c.name, released, want)
		}
		for i, v := range s.views {
			if n := v.skipped.Load() + v.box.Skipped(); n != c.skipped[i] || v.unfit.Load() != c.lost[i] || v.missing.Load() != c.missing[i] {
				t.Errorf("%s: view %d: %d skipped, %d unfit, missing in %d", c.name, i, n, v.unfit.Load(), v.missing.Load())
			}
		}
	}
}

// TestRenewBringsBack: a view that was missing from a set in hand is in it when it delivers
// before the set is looked at; in lock step nothing is left out.
func TestRenewBringsBack(t *testing.T) {
	s := newStage(Scene{}, 2)
	s.gone[1] = true
	s.put(t.Context(), 0, 1000)
	set, err := s.next(t.Context())
	if err != nil || times(set) != "1000 -" || s.views[1].missing.Load() != 1 {
		t.Fatalf("%q, %v", times(set), err)
	}
	s.put(t.Context(), 1, 1700)
	if !s.renew() || times(set) != "1000 1700" || s.views[1].missing.Load() != 0 {
		t.Errorf("%q, missing in %d", times(set), s.views[1].missing.Load())
	}
	set.release()

	s = newStage(Scene{LockStep: true}, 1)
	s.put(t.Context(), 0, 1000)
	if set, err = s.next(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.put(t.Context(), 0, 1001)
	if !s.renew() || times(set) != "1000" {
		t.Errorf("%q in lock step", times(set))
	}
	set.release()
	if set, err = s.next(t.Context()); err != nil || times(set) != "1001" {
		t.Errorf("%q, %v", times(set), err)
	}
	set.release()
}

// TestUnfitViews: of pictures in the dark no set is made, looking for light costs little,
// and the view says once that it is dark, and once that it is not.
func TestUnfitViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(Scene{}, 2)
		ctx, cancel := context.WithCancel(t.Context())
		begin := time.Now()
		decoded := 0
		for i := range 2 {
			go func() {
				for ctx.Err() == nil {
					level := uint8(100)
					if now := time.Since(begin); now < 60*time.Second || i == 0 && now < 90*time.Second {
						level = 3
					}
					f := camera.NewLazyFrame(image.Pt(64, 48), func() (image.Image, error) {
						decoded++
						return picture(level), nil
					}, time.Now(), 0, nil)
					s.views[i].box.Put(ctx, shot{Frame: f})
					time.Sleep(40 * time.Millisecond)
				}
			}()
		}
		set, err := s.next(ctx)
		if err != nil || set.Number != 1 || set.Frames[0].Image != nil || set.Frames[1].Image == nil {
			t.Fatalf("%+v, %v", set, err)
		}
		if after := time.Since(begin); after < 60*time.Second || after > 62*time.Second {
			t.Errorf("the first set came after %v", after)
		}
		set.release()
		if decoded > 2*62*4 {
			t.Errorf("%d pictures were decoded in a minute of darkness", decoded)
		}
		for set = nil; set == nil || set.Frames[0].Image == nil; {
			if set, err = s.next(ctx); err != nil {
				t.Fatal(err)
			}
			if time.Since(begin) > 95*time.Second {
				t.Fatal("the first view does not come back")
			}
			time.Sleep(100 * time.Millisecond)
			if set.Frames[0].Image == nil {
				set.release()
			}
		}
		set.release()
		cancel()
		time.Sleep(time.Second) // until the cameras have noticed
		slices.Sort(s.said[:2])
		want := []string{"v0: dark: 100 % of the picture is black", "v1: dark: 100 % of the picture is black", "v1: live", "v0: live"}
		if !slices.Equal(s.said, want) {
			t.Errorf("said %q, want %q", s.said, want)
		}
	})
}

// TestSkewIsReported: in the status of the scene.
func TestSkewIsReported(t *testing.T) {
	a, b := newFilm(2), newFilm(2)
	b.start = b.start.Add(7 * time.Millisecond)
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(a, b), LockStep: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := d.all()[0].report(); st.SkewMS != 7 || st.Frames != 2 {
		t.Errorf("%+v", st)
	}
}

// TestDamagedFrame: a frame that cannot be decoded is missing from its set, and counted.
func TestDamagedFrame(t *testing.T) {
	s := newStage(Scene{}, 2)
	released := 0
	bad := func() (image.Image, error) { return nil, errors.New("bad") }
	s.views[0].box.Put(t.Context(), shot{Frame: camera.NewLazyFrame(image.Pt(4, 4), bad, time.UnixMilli(1000), 0, func() { released++ })})
	s.put(t.Context(), 1, 1010)
	set, err := s.next(t.Context())
	if err != nil || times(set) != "- 1010" || released != 1 || s.views[0].damaged.Load() != 1 {
		t.Errorf("%q, %v, %d released, %d damaged", times(set), err, released, s.views[0].damaged.Load())
	}
}

// TestUnfinishedSet: frames that wait for the others of their set are given back.
func TestUnfinishedSet(t *testing.T) {
	s := newStage(Scene{LockStep: true}, 2)
	released := 0
	ctx, cancel := context.WithCancel(t.Context())
	s.views[0].box.Put(ctx, shot{Frame: camera.NewFrame(picture(100), time.UnixMilli(1000), 0, func() { released++ })})
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := s.next(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if s.close(); released != 1 {
		t.Errorf("%d released", released)
	}
}
