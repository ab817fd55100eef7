package edge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/internal/faultdisk"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

// watching is a daemon that watches a film of its own in lock step, captions every
// frame set, and whose clock goes on by a second with each.
type watching struct {
	t    *testing.T
	m    *fakeModel
	keep memory.Config
	win  int

	journal string // folder of the log; empty: none

	now  clock.Time
	mu   sync.Mutex
	said []string
	log  []string
}

func newWatching(t *testing.T) *watching {
	w := &watching{t: t, m: &fakeModel{}, now: clock.Time{Wall: time.Unix(1_000_000, 0), Trusted: true, Boot: clock.Boot{1}, Up: time.Hour}}
	w.keep = memory.Config{Dir: "/state/room", FS: faultdisk.New(), Interval: 5 * time.Second, Clock: func() clock.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}}
	return w
}

// watch sees the film's frames from to to-1; each is called after each.
func (w *watching) watch(from, to uint64, each func(d *Daemon, n uint64)) *Daemon {
	w.t.Helper()
	f := newFilm(to)
	f.next = from
	var d *Daemon
	started := make(chan struct{})
	scene := Scene{
		Views: views(f), LockStep: true, Gate: Gate{Pixels: -1}, Snapshots: w.keep, Window: w.win,
		Observe: func(s *Step) {
			<-started
			w.said = append(w.said, s.Text)
			if each != nil {
				each(d, s.Set.Number)
			}
			w.mu.Lock()
			w.now.Wall, w.now.Up = w.now.Wall.Add(time.Second), w.now.Up+time.Second
			w.mu.Unlock()
		},
	}
	d, err := New(Config{Model: w.m, Scenes: []Scene{scene}, Journal: Journal{Dir: w.journal}, Log: func(line string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.log = append(w.log, line)
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := d.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	close(started)
	<-d.Done()
	if err := d.Err(); err != nil {
		w.t.Error(err)
	}
	w.t.Cleanup(func() {
		d.Close()
		f.check(w.t)
	})
	return d
}

// told returns how often the log has a line with this text.
func (w *watching) told(text string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.log {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// saying returns what a memory of the film's frames from to to-1 says.
func saying(from, to uint64) string {
	s := fakeStream{m: &fakeModel{}}
	for n := from; n < to; n++ {
		pix := make([]byte, 32*24*4)
		for i := range pix {
			pix[i] = filmLevel(n)
		}
		s.add(sha256.Sum256(pix))
	}
	return fmt.Sprintf("%x", s.memory[:8])
}

func TestRestoreAtStart(t *testing.T) {
	w := newWatching(t)
	w.watch(0, 20, nil)
	if w.told("begins with an empty memory") != 1 {
		t.Errorf("log %q", w.log)
	}
	d := w.watch(20, 40, nil)
	for i, s := range w.said {
		if want := saying(0, uint64(i+1)); s != want {
			t.Fatalf("caption %d is %s, an uninterrupted run says %s", i+1, s, want)
		}
	}
	if n := d.Stats().Frames; n != 20 || len(w.said) != 40 {
		t.Errorf("%d frame sets, %d captions", n, len(w.said))
	}
	if w.told("goes on with the memory of frame set 20") != 1 {
		t.Errorf("log %q", w.log)
	}

	// Another model begins anew and leaves the snapshots alone.
	other := newWatching(t)
	other.m, other.keep, other.now = &fakeModel{name: 1}, w.keep, w.keep.Clock()
	other.watch(0, 3, nil)
	if other.said[0] != saying(0, 1) || other.told("other models are kept") != 1 {
		t.Errorf("another model said %q; log %q", other.said, other.log)
	}
	w.watch(40, 41, nil)
	if w.said[40] != saying(0, 41) {
		t.Error("the first model's memory is gone")
	}
}

func TestWindow(t *testing.T) {
	w := newWatching(t)
	w.win = 10
	began := func(n uint64) uint64 { // of the memory that answers after n frame sets
		if n <= 10 {
			return 0
		}
		return (n - 6) / 5 * 5
	}
	check := func() {
		t.Helper()
		for i, s := range w.said {
			n := uint64(i + 1)
			if s != saying(began(n), n) {
				t.Errorf("frame set %d is not described from what came after %d", n, began(n))
			}
			if c := n - began(n); n > 5 && (c <= 5 || c > 10) {
				t.Errorf("frame set %d: the memory holds %d", n, c)
			}
		}
	}
	w.watch(0, 33, nil)
	check()
	// A restart changes nothing.
	for n := uint64(33); n < 60; n += 3 {
		w.watch(n, n+3, nil)
	}
	check()

	// With another window the memory comes to be what that asks for.
	w.win = 4
	w.watch(60, 80, nil)
	if got := w.said[79]; got != saying(76, 80) && got != saying(77, 80) {
		t.Error("after 20 frame sets a window of 4 does not hold 3 or 4")
	}
	w.win = 0
	w.watch(80, 100, nil)
	if got := w.said[99]; got != saying(76, 100) && got != saying(77, 100) {
		t.Error("without a window something is forgotten")
	}
	w.win = 1
	if _, err := New(Config{Model: w.m, Scenes: []Scene{{Views: views(newFilm(1)), Window: 1}}}); err == nil {
		t.Error("a window of one was taken")
	}
}

// TestAskAt asks after each frame set, and later about that moment.
func TestAskAt(t *testing.T) {
	w := newWatching(t)
	ask := func(d *Daemon, at int64) *wire.Answer {
		t.Helper()
		a, err := d.Ask(t.Context(), &wire.Ask{Question: "what left?", At: at}, func(string) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var then []*wire.Answer
	var moments []clock.Time
	note := func(d *Daemon, n uint64) {
		then = append(then, ask(d, 0))
		moments = append(moments, w.keep.Clock())
	}
	w.watch(0, 30, func(d *Daemon, n uint64) {
		note(d, n)
		waitFor(t, func() bool { // until the first is on disk
			st, err := d.Status(t.Context())
			return err != nil || st.Scenes[0].Memory.Snapshots > 0
		})
	})
	d := w.watch(30, 100, note) // what came before the restart is asked of the disk
	exact := 0
	for i, m := range moments {
		for _, at := range []int64{-w.keep.Clock().Up.Milliseconds() + m.Up.Milliseconds(), m.Wall.UnixMilli()} {
			if at == 0 {
				continue
			}
			a := ask(d, at)
			if a.Text != then[a.Frame-1].Text || a.Time != then[a.Frame-1].Time || a.Frame > int64(i+1) {
				t.Fatalf("about frame set %d: %+v, then it was %+v", i+1, a, then[a.Frame-1])
			}
			if age := w.keep.Clock().Up - moments[a.Frame-1].Up; a.AgeMS != ms(age) {
				t.Errorf("%v ms ago, want %v", a.AgeMS, age)
			}
			if a.Frame == int64(i+1) {
				exact++
			}
		}
	}
	if exact < 80 {
		t.Errorf("only %d of %d moments were kept", exact/2, len(moments))
	}
	for _, at := range []int64{-3600_000, 1000, -1 << 63} {
		if _, err := d.Ask(t.Context(), &wire.Ask{Question: "q", At: at}, nil); wire.Code(err) != wire.CodeNotKept {
			t.Errorf("at %d, before anything was seen: %v", at, err)
		}
	}
}

func TestAskDiff(t *testing.T) {
	w := newWatching(t)
	d := w.watch(0, 30, nil)
	a, err := d.Ask(t.Context(), &wire.Ask{Question: "what changed?", Diff: -10_000}, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if c := a.Change; c == nil || c.Now != saying(0, 30) || c.Then != saying(0, uint64(c.Frame)) || c.Frame > 21 || c.Frame < 15 ||
		c.AgeMS < 10_000 || !slices.Equal(c.Gone, []string{c.Then}) || !slices.Equal(c.New, []string{c.Now}) {
		t.Errorf("change %+v", c)
	}
	if a.Text != "what changed? "+saying(0, 30) || a.Frame != 30 {
		t.Errorf("answer %+v", a)
	}
	// Between two moments of the past.
	if a, err = d.Ask(t.Context(), &wire.Ask{Question: "q", At: -5000, Diff: -10_000}, func(string) error { return nil }); err != nil ||
		a.Change.Frame >= a.Frame || a.Change.Now != saying(0, uint64(a.Frame)) {
		t.Errorf("answer %+v, %v", a, err)
	}
}

// TestBetween: the captions of the log between two memories.
func TestBetween(t *testing.T) {
	w := newWatching(t)
	w.journal = filepath.Join(t.TempDir(), "log")
	w.watch(0, 10, nil).Close()
	d := w.watch(10, 80, nil)
	a, err := d.Ask(t.Context(), &wire.Ask{Question: "what changed?", Diff: -50_000}, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	c := a.Change
	if len(c.Captions) != maxBetween || c.More != a.Frame-c.Frame-maxBetween || a.Frame != 80 || c.Frame > 31 {
		t.Fatalf("%d captions and %d more from %d to %d", len(c.Captions), c.More, c.Frame, a.Frame)
	}
	for i, l := range c.Captions {
		if want := int64(80 - maxBetween + 1 + i); l.Frame != want || l.Text != saying(0, uint64(want)) {
			t.Errorf("%+v, want that of %d", l, want)
		}
	}
}

// TestForget: what a scene has seen is gone, in RAM and on disk, and it goes on from nothing.
func TestForget(t *testing.T) {
	w := newWatching(t)
	d := w.watch(0, 40, func(d *Daemon, n uint64) {
		if n != 20 {
			return
		}
		list, err := d.Snapshots(t.Context(), new(wire.GetSnapshots))
		if err != nil || list.Scene != "room" || len(list.Snapshots) < 10 || list.Snapshots[0].Frame != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if err := d.Admin(t.Context(), &wire.Admin{Action: wire.ActionForget}); err != nil {
			t.Error(err)
		}
		if _, err := d.Ask(t.Context(), &wire.Ask{Question: "q"}, nil); wire.Code(err) != wire.CodeNotReady {
			t.Errorf("answered from what was forgotten: %v", err)
		}
	})
	for i, s := range w.said {
		n := uint64(i + 1)
		if want := saying(0, n); n <= 20 && s != want {
			t.Errorf("frame set %d: %s, want %s", n, s, want)
		}
		if want := saying(20, n); n > 20 && s != want {
			t.Errorf("frame set %d: %s, want %s", n, s, want)
		}
	}
	list, err := d.Snapshots(t.Context(), new(wire.GetSnapshots))
	if err != nil || list.Snapshots[0].Frame != 21 {
		t.Errorf("%+v, %v", list, err)
	}
	if len(w.said) != 40 || w.told("since somebody asked for it") != 1 {
		t.Errorf("%d captions; log %q", len(w.said), w.log)
	}
	if err := d.Admin(t.Context(), &wire.Admin{Action: wire.ActionForget, Scene: "cellar"}); wire.Code(err) != wire.CodeScene {
		t.Errorf("another scene: %v", err)
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ then, now, gone, new string }{
		{"a red ball, a blue box.", "a blue box, a red ball.", "", ""},
		{"a red ball, a blue box.", "a blue box, a green cone.", "a red ball", "a green cone"},
		{"a red ball, a red ball.", "a red ball; the red ball left.", "a red ball", "the red ball left"},
		{"", "the room is empty.", "", "the room is empty"},
	} {
		gone, new := compare(c.then, c.now)
		if strings.Join(gone, "|") != c.gone || strings.Join(new, "|") != c.new {
			t.Errorf("%q, %q: gone %q, new %q", c.then, c.now, gone, new)
		}
	}
}

// TestHealth breaks memories: they are replaced by good ones, and told about.
func TestHealth(t *testing.T) {
	t.Run("outgrown", func(t *testing.T) {
		w := newWatching(t)
		var size float32 = 1
		w.m.size = func() float32 { return size }
		w.watch(0, 100, func(_ *Daemon, n uint64) {
			switch {
			case n == 80:
				size = 50 // still taken, but no snapshot to go back to
			case n == 90:
				size = 1000
			}
		})
		// Frame set 91 is bad; 92 is added to a snapshot of 80 or before, and so on.
		if n := w.told("the memory was replaced by that of frame set"); n != 10 {
			t.Errorf("replaced %d times; log %q", n, w.log)
		}
		if len(w.said) != 90 {
			t.Errorf("%d captions", len(w.said))
		}
	})
	t.Run("not finite", func(t *testing.T) {
		w := newWatching(t)
		seen := 0
		w.m.see = func(context.Context) error {
			if seen++; seen > 20 && seen <= 23 || seen == 10 {
				return fmt.Errorf("frame set: %w", vlm.ErrNotFinite)
			}
			return nil
		}
		d := w.watch(0, 30, nil)
		if w.told("frame set 10 was left out") != 1 || w.told("the memory was replaced by that of frame set 20") != 1 || len(w.said) != 26 {
			t.Errorf("%d captions; log %q", len(w.said), w.log)
		}
		if s := d.Stats(); s.Frames != 26 || s.Skipped != 4 {
			t.Errorf("stats %+v", s)
		}
	})
	t.Run("never finite again", func(t *testing.T) {
		w := newWatching(t)
		seen := 0
		w.m.see = func(context.Context) error {
			if seen++; seen > 20 {
				return vlm.ErrNotFinite
			}
			return nil
		}
		w.watch(0, 500, nil)
		if w.told("replaced") != 1 || w.told("emptied") != 1 || len(w.log) != 8 {
			t.Errorf("log %q", w.log)
		}
	})
	t.Run("nothing kept", func(t *testing.T) {
		w := newWatching(t)
		w.keep.Dir = ""
		broken := errors.New("broken")
		w.m.see = func(context.Context) error { return broken }
		d, err := New(Config{Model: w.m, Scenes: []Scene{{Views: views(newFilm(1)), Snapshots: w.keep}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("run: %v", err)
		}
	})
}

// TestCaptionsOnABrokenDisk: nothing of the disk's is heard in the captions, and
// the status says what is wrong.
func TestCaptionsOnABrokenDisk(t *testing.T) {
	w := newWatching(t)
	w.keep.FS.(*faultdisk.Disk).Fault = func(string, string) error { return syscall.EIO }
	d := w.watch(0, 40, nil)
	for i, s := range w.said {
		if s != saying(0, uint64(i+1)) {
			t.Fatalf("caption %d is %s", i+1, s)
		}
	}
	st, err := d.Status(t.Context())
	if err != nil || st.Scenes[0].Memory == nil || !strings.Contains(st.Scenes[0].Memory.Problem, "the disk fails") {
		t.Errorf("status %+v, %v", st.Scenes[0].Memory, err)
	}
	if w.told("cannot be saved") != 1 {
		t.Errorf("log %q", w.log)
	}
	w.keep.FS.(*faultdisk.Disk).Fault = nil
	d = w.watch(0, 40, nil)
	if st, err = d.Status(t.Context()); err != nil || st.Scenes[0].Memory.Problem != "" || st.Scenes[0].Memory.Snapshots == 0 {
		t.Errorf("status %+v, %v", st.Scenes[0].Memory, err)
	}
}

// TestReload hands a memory from one daemon's scene to the next without a disk.
func TestReload(t *testing.T) {
	f, g := newFilm(5), newFilm(9)
	g.next = 5
	var said []string
	scene := func(f *film) Scene {
		return Scene{Views: views(f), LockStep: true, Gate: Gate{Pixels: -1}, Window: 4, Observe: func(s *Step) { said = append(said, s.Text) }}
	}
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{scene(f)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-d.Done()
	snap, err := d.Remove("room")
	if err != nil {
		t.Fatal(err)
	}
	again := scene(g)
	again.Memory = snap
	if err := d.Add(again); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return d.Stats().Frames == 4 })
	d.Close()
	if len(said) != 9 || said[8] != saying(6, 9) && said[8] != saying(4, 9) {
		t.Errorf("said %q", said)
	}
	f.check(t)
	g.check(t)
}

// TestSystemFiles runs on the system's files and clock.
func TestSystemFiles(t *testing.T) {
	w := newWatching(t)
	w.keep = memory.Config{Dir: filepath.Join(t.TempDir(), "a", "room"), Interval: time.Millisecond, Clock: clock.System}
	w.watch(0, 5, func(d *Daemon, n uint64) {
		if n < 5 {
			return
		}
		waitFor(t, func() bool { // at the end a busy disk may take longer than the daemon waits
			all, err := d.Snapshots(t.Context(), new(wire.GetSnapshots))
			return err != nil || slices.ContainsFunc(all.Snapshots, func(s wire.SnapshotInfo) bool { return s.Disk && s.Frame == 5 })
		})
	})
	w.watch(5, 8, nil)
	if w.said[7] != saying(0, 8) {
		t.Error("the memory was not restored")
	}
}
