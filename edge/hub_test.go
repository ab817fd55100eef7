package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/wire"
)

var errEnough = errors.New("enough")

// collect watches until it has had the event numbered last, and checks that the
// numbers have no gap but where events were dropped.
func collect(t *testing.T, h *hub, from, last uint64, slow func(n int)) (n int, dropped int64) {
	t.Helper()
	next := from
	err := h.watch(t.Context(), &wire.Watch{From: from}, func(e *wire.Event) error {
		if next == 0 {
			next = e.Seq
		}
		next += uint64(e.Dropped)
		if e.Seq != next {
			t.Errorf("from %d: event %d with %d dropped, want %d", from, e.Seq, e.Dropped, next)
			return errEnough
		}
		next++
		dropped += e.Dropped
		n++
		slow(n)
		if e.Seq == last {
			return errEnough
		}
		return nil
	})
	if err != errEnough {
		t.Error(err)
	}
	return n, dropped
}

func publish(h *hub, n int) {
	for i := range n {
		h.publish(&wire.Event{Event: wire.EventCaption, Scene: fmt.Sprint("scene ", i%2), Time: int64(i), Text: fmt.Sprint("caption ", i)})
	}
}

// TestHubWithoutJournal: watches begin where they ask as far as that is at hand, and
// a slow one is told what it lost.
func TestHubWithoutJournal(t *testing.T) { synctest.Test(t, testHubWithoutJournal) }

func testHubWithoutJournal(t *testing.T) {
	h := newHub()
	publish(h, 100)
	if n, dropped := collect(t, h, 90, 100, func(int) {}); n != 11 || dropped != 0 {
		t.Errorf("%d events, %d dropped", n, dropped)
	}
	publish(h, 2*hubRing)
	const all = 100 + 2*hubRing
	if n, dropped := collect(t, h, 1, all, func(int) {}); n != hubRing || dropped != all-hubRing {
		t.Errorf("%d events, %d dropped", n, dropped)
	}
	var n int
	var dropped int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		n, dropped = collect(t, h, 0, 5*hubRing, func(n int) {
			if n == 1 {
				time.Sleep(time.Hour)
			}
		})
	}()
	synctest.Wait()
	publish(h, 10)
	synctest.Wait()
	publish(h, 5*hubRing-all-10)
	<-done
	if n+int(dropped) != 5*hubRing-all || n > hubRing+10 {
		t.Errorf("%d events, %d dropped", n, dropped)
	}
}

// TestHubScene: a watch of one scene has its events only, and ends with the hub after
// the last of them.
func TestHubScene(t *testing.T) {
	h := newHub()
	publish(h, 10)
	h.close()
	var seqs []uint64
	err := h.watch(t.Context(), &wire.Watch{From: 3, Scene: "scene 1"}, func(e *wire.Event) error { seqs = append(seqs, e.Seq); return nil })
	if wire.Code(err) != wire.CodeClosing || fmt.Sprint(seqs) != "[4 6 8 10]" {
		t.Errorf("%v, %v", seqs, err)
	}
	publish(h, 1) // lost
}

// logged is a daemon that does nothing but keep events in dir.
func logged(t *testing.T, dir string) *Daemon {
	t.Helper()
	d := &Daemon{hub: newHub(), cfg: Config{Journal: Journal{Dir: filepath.Join(dir, "log"), Mark: filepath.Join(dir, "log.mark"), Delay: time.Millisecond}}}
	if err := d.openJournal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *Daemon) quit(t *testing.T) {
	t.Helper()
	d.hub.close()
	if err := d.closeJournal(); err != nil {
		t.Error(err)
	}
}

// TestHubWithJournal: whoever watches from a number has every event from there once, in
// order, however slow it is and whatever is published meanwhile, also after a restart.
func TestHubWithJournal(t *testing.T) { synctest.Test(t, testHubWithJournal) }

func testHubWithJournal(t *testing.T) {
	dir := t.TempDir()
	d := logged(t, dir)
	const n = 4 * hubRing
	last := uint64(2 * n)
	var all sync.WaitGroup
	watchFrom := func(d *Daemon, from uint64) {
		all.Go(func() {
			got, dropped := collect(t, d.hub, from, last, func(n int) {
				if n%1000 == 7 {
					time.Sleep(10 * time.Millisecond)
				}
			})
			if dropped != 0 || from > 0 && uint64(got) != last-from+1 {
				t.Errorf("from %d: %d events, %d dropped", from, got, dropped)
			}
		})
	}
	publish(d.hub, n)
	for _, from := range []uint64{0, 1, 2, hubRing, n, n + 1} {
		watchFrom(d, from)
	}
	synctest.Wait() // until they watch: the first would wait for ever for what came before
	for range 2 {
		all.Go(func() {
			for i := range n / 64 {
				publish(d.hub, 32)
				if i%8 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	d.quit(t)

	d = logged(t, dir)
	defer d.quit(t)
	last += 10
	watchFrom(d, 5)
	watchFrom(d, last-9)
	publish(d.hub, 10)
	all.Wait()
}

// TestHubAfterLoss: whoever goes on after the log was lost is told so, whatever of it was.
func TestHubAfterLoss(t *testing.T) { synctest.Test(t, testHubAfterLoss) }

func testHubAfterLoss(t *testing.T) {
	dir := t.TempDir()
	const seen = 20
	resume := func(what string, lost ...string) (first *wire.Event) {
		t.Helper()
		for _, name := range lost {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		d := logged(t, dir)
		defer d.quit(t)
		publish(d.hub, 3)
		err := d.hub.watch(t.Context(), &wire.Watch{From: seen + 1}, func(e *wire.Event) error {
			first = e
			return errEnough
		})
		if err != errEnough {
			t.Errorf("%s: %v", what, err)
		}
		return first
	}
	d := logged(t, dir)
	publish(d.hub, seen)
	d.quit(t)
	if e := resume("nothing lost"); e.Seq != seen+1 || e.Dropped != 0 {
		t.Errorf("nothing lost: event %d, %d dropped", e.Seq, e.Dropped)
	}
	if e := resume("the log", "log"); e.Seq <= seen+3 || e.Dropped != int64(e.Seq-seen-1) {
		t.Errorf("the log lost: event %d, %d dropped", e.Seq, e.Dropped)
	}
	if e := resume("everything", "log", "log.mark"); e.Seq != 1 || e.Dropped != 1 {
		t.Errorf("everything lost: event %d, %d dropped", e.Seq, e.Dropped)
	}
}

// TestDeletedEvents: who asks for events that are no longer kept is told how many those were.
func TestDeletedEvents(t *testing.T) {
	d := logged(t, t.TempDir())
	defer d.quit(t)
	d.LimitLog(100<<10, 0, 0)
	const last = 4000
	publish(d.hub, last)
	if err := d.hub.journal.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { s := d.logStatus(); return s.First > 1 && s.Bytes <= s.MaxBytes })
	first := d.logStatus().First
	from := first / 2
	if n, dropped := collect(t, d.hub, from, last, func(int) {}); dropped != int64(first-from) || uint64(n) != last-first+1 {
		t.Errorf("a watch from %d of the events from %d on: %d, and %d dropped", from, first, n, dropped)
	}
	for _, c := range []struct {
		from uint64
		lost int64
	}{{from, int64(first - from)}, {first, 0}, {0, 0}} {
		var lost []int64
		if _, err := d.Search(t.Context(), &wire.Search{From: c.from, Limit: 2}, nil, func(e *wire.Event) error {
			lost = append(lost, e.Dropped)
			return nil
		}); err != nil || !slices.Equal(lost, []int64{c.lost, 0}) {
			t.Errorf("a search from %d of the events from %d on: before each were %d that are no longer kept, %v", c.from, first, lost, err)
		}
	}
}

// TestEventsAreKept: an event comes out of the log as it went in.
func TestEventsAreKept(t *testing.T) {
	d := logged(t, t.TempDir())
	defer d.quit(t)
	in := []*wire.Event{
		{Event: wire.EventCaption, Scene: "yard", Time: 1764000000123, Frame: 301, Text: "a red box", Lang: "en", Views: []string{"left", "right"}, MS: &wire.StageMS{Vision: 12.5, Encode: 3.25, Decode: 90}},
		{Event: wire.EventState, Scene: "yard", Time: 1764000000124, Text: "right: no such device", View: "right", State: wire.ViewReconnecting},
	}
	for _, e := range in {
		own := *e
		d.hub.publish(&own)
	}
	i := 0
	next, err := d.Search(t.Context(), &wire.Search{Limit: 10}, nil, func(e *wire.Event) error {
		want := *in[i]
		i++
		want.Seq = uint64(i)
		a, _ := wire.Append(nil, 1, e)
		b, err := wire.Append(nil, 1, &want)
		if err != nil || string(a) != string(b) {
			t.Errorf("%+v, want %+v", e, &want)
		}
		return nil
	})
	if i != 2 || next != 0 || err != nil {
		t.Errorf("%d found, next %d, %v", i, next, err)
	}
}

func TestSearch(t *testing.T) {
	d := logged(t, t.TempDir())
	defer d.quit(t)
	publish(d.hub, 100)
	for _, c := range []struct {
		s    wire.Search
		want string
		next uint64
	}{
		{wire.Search{Limit: 3}, "[1 2 3]", 4},
		{wire.Search{Limit: 3, From: 99}, "[99 100]", 0},
		{wire.Search{Limit: 3, Newest: true}, "[98 99 100]", 0},
		{wire.Search{Limit: 3, Newest: true, Scene: "scene 0"}, "[95 97 99]", 0},
		{wire.Search{Limit: 9, Newest: true, To: 2}, "[1 2]", 0},
		{wire.Search{Limit: 9, Match: "[57]5$"}, "[56 76]", 0},
		{wire.Search{Limit: 9, Event: wire.EventState}, "[]", 0},
	} {
		var match *regexp.Regexp
		if c.s.Match != "" {
			match = regexp.MustCompile(c.s.Match)
		}
		seqs := []uint64{}
		next, err := d.Search(context.Background(), &c.s, match, func(e *wire.Event) error { seqs = append(seqs, e.Seq); return nil })
		if got := fmt.Sprint(seqs); got != c.want || next != c.next || err != nil {
			t.Errorf("%+v: %v, next %d, %v", c.s, seqs, next, err)
		}
	}
	if _, err := (&Daemon{hub: newHub()}).Search(t.Context(), new(wire.Search), nil, nil); wire.Code(err) != wire.CodeMissing {
		t.Errorf("without a log: %v", err)
	}
}

// TestPause: an administrator stops the looking of one scene or all, and lets it go on.
func TestPause(t *testing.T) {
	film := func() *film { return newFilm(1 << 40) }
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{
		{Name: "a", Views: views(film()), LockStep: true, Interval: time.Millisecond}, {Name: "b", Views: views(film()), LockStep: true, Interval: time.Millisecond},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	states := func() string {
		st, err := d.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.Scenes[0].State + " " + st.Scenes[1].State
	}
	for _, c := range []struct{ action, scene, want string }{
		{wire.ActionPause, "a", "paused watching"},
		{wire.ActionPause, "", "paused paused"},
		{wire.ActionPause, "b", "paused paused"},
		{wire.ActionResume, "b", "paused watching"},
		{wire.ActionResume, "", "watching watching"},
	} {
		if err := d.Admin(t.Context(), &wire.Admin{Action: c.action, Scene: c.scene}); err != nil {
			t.Error(err)
		}
		if got := states(); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.action, c.scene, got, c.want)
		}
	}
	if err := d.Admin(t.Context(), &wire.Admin{Action: wire.ActionPause}); err != nil {
		t.Fatal(err)
	}
	frames := d.Stats().Frames
	for range 3 { // a frame set that was in work may be seen, then none
		time.Sleep(5 * time.Millisecond)
		if now := d.Stats().Frames; now > frames+2 {
			t.Errorf("%d frame sets are seen while paused", now-frames)
		}
	}
	if err := d.Admin(t.Context(), &wire.Admin{Action: wire.ActionResume}); err != nil {
		t.Fatal(err)
	}
	frames = d.Stats().Frames
	waitFor(t, func() bool { return d.Stats().Frames > frames+2 })

	for _, c := range []struct{ action, scene, code string }{
		{wire.ActionPause, "none", wire.CodeScene}, {wire.ActionReload, "", wire.CodeMissing}, {"dance", "", wire.CodeRequest},
	} {
		if err := d.Admin(t.Context(), &wire.Admin{Action: c.action, Scene: c.scene}); wire.Code(err) != c.code {
			t.Errorf("%s %q: %v", c.action, c.scene, err)
		}
	}
}
