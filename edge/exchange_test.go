package edge

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/wire"
)

// closable is a model whose use after it was closed fails the test.
func closable(t *testing.T, name byte) (m *fakeModel, closed *atomic.Bool) {
	closed = new(atomic.Bool)
	use := func(ctx context.Context) error {
		if closed.Load() {
			t.Errorf("model %d is used after it was closed", name)
		}
		return ctx.Err()
	}
	return &fakeModel{name: name, see: use, think: use, size: func() float32 { use(context.Background()); return 1 }}, closed
}

// TestExchangeCarriesOn exchanges a model for one of the same fingerprint, again and again beside questions:
// captions are the same bytes as with one model, and none is used once it was released.
func TestExchangeCarriesOn(t *testing.T) {
	const frames = 60
	want := run(t, &fakeModel{}, frames, nil)
	m, closed := closable(t, 0)
	got := run(t, m, frames, func(d *Daemon) {
		var askers sync.WaitGroup
		for range 3 {
			askers.Go(func() {
				for {
					select {
					case <-d.Done():
						return
					default:
					}
					if _, err := askOf(d, ""); err != nil && wire.Code(err) != wire.CodeNotReady {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 20 {
			next, end := closable(t, 0)
			if err := d.Exchange(t.Context(), next, false); err != nil {
				t.Error(err)
			}
			if err := d.Release(t.Context(), m); err != nil {
				t.Error(err)
			}
			closed.Store(true)
			m, closed = next, end
		}
		askers.Wait()
	})
	if len(got) != frames {
		t.Fatalf("%d captions", len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("caption %d: %s, without an exchange %s", i, got[i], want[i])
		}
	}
}

// TestExchangeBeginsAnew: another model begins with an empty memory at once, though the scene
// would not look for an hour; going back finds the memory that there was. The camera stays open.
func TestExchangeBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(1 << 40)
		f.live = 100 * time.Millisecond
		var mu sync.Mutex
		var lines []string
		a, aClosed := closable(t, 1)
		b, bClosed := closable(t, 2)
		begun := time.Now()
		keep := memory.Config{Clock: func() clock.Time { return clock.Time{Wall: time.Now(), Trusted: true, Up: time.Since(begun)} }}
		d := start(t, Config{Model: a, Scenes: []Scene{{Views: views(f), Interval: time.Hour, CaptionInterval: 2 * time.Hour, Snapshots: keep}}, Log: func(l string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, l)
		}})
		seen := func(text string) string {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			all := strings.Join(lines, "\n")
			if !strings.Contains(all, text) {
				t.Errorf("%q is not told:\n%s", text, all)
			}
			lines = nil
			return all
		}
		time.Sleep(3*time.Hour + time.Minute)
		old, err := askOf(d, "")
		if err != nil || old.Frame != 4 {
			t.Fatalf("%+v, %v", old, err)
		}
		exchange := func(m, before *fakeModel, closed *atomic.Bool) {
			t.Helper()
			if err := d.Exchange(t.Context(), m, true); err != nil {
				t.Fatal(err)
			}
			if err := d.Proof(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
			if err := d.Release(t.Context(), before); err != nil {
				t.Error(err)
			}
			closed.Store(true)
		}
		exchange(b, a, aClosed)
		text := seen("room: model fake instead of fake, whose memory it cannot read: it begins with an empty one")
		if !strings.Contains(text, "room: fake looks for the first time, 1m") {
			t.Errorf("the gap is not told:\n%s", text)
		}
		fresh, err := askOf(d, "")
		if err != nil || fresh.Frame != 5 || fresh.Text == old.Text {
			t.Errorf("%+v, %v", fresh, err)
		}
		if _, err := d.Ask(t.Context(), &wire.Ask{Question: "q", At: -2 * 3600e3}, func(string) error { return nil }); wire.Code(err) != wire.CodeNotKept {
			t.Errorf("asked of a time that only the other model remembers: %v", err)
		}
		aClosed.Store(false)
		exchange(a, b, bClosed)
		seen("it goes on with its own of frame set 4")
		if again, err := askOf(d, ""); err != nil || again.Frame != 6 {
			t.Errorf("%+v, %v", again, err)
		}
		if then, err := d.Ask(t.Context(), &wire.Ask{Question: "q", At: -3600e3}, func(string) error { return nil }); err != nil || then.Frame != 3 {
			t.Errorf("%+v, %v", then, err)
		}
		if st, _ := d.Status(t.Context()); st.Scenes[0].Views[0].Faults != 0 || f.closed.Load() != 0 {
			t.Error("the camera was closed")
		}
		d.Close()
		f.check(t)
	})
}

// TestExchangeRefused: what one scene cannot have, none has.
func TestExchangeRefused(t *testing.T) {
	m := &fakeModel{}
	d := start(t, Config{Model: m, Scenes: []Scene{{Name: "a", Views: views(newFilm(2)), LockStep: true}, {Name: "b", Views: views(newFilm(2)), LockStep: true}}})
	<-d.Done()
	d.scenes[1].newest.Store(&memory.Snapshot{Memories: []memory.Memory{{State: []byte("x")}}})
	next := &fakeModel{}
	if err := d.Exchange(t.Context(), next, true); err == nil || !strings.Contains(err.Error(), "scene b: the memory cannot be carried on") {
		t.Errorf("%v", err)
	}
	if err := d.Release(t.Context(), next); err != nil {
		t.Error(err)
	}
	if d.engine().Model != m || d.scenes[0].model.Model != m {
		t.Error("a model that was refused is in use")
	}
	if _, err := askOf(d, "a"); err != nil {
		t.Error(err)
	}
}

// TestCloseInExchange closes daemons in which models are being exchanged.
func TestCloseInExchange(t *testing.T) {
	for range 30 {
		d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(newFilm(2)), LockStep: true}}})
		<-d.Done()
		var closing sync.WaitGroup
		closing.Go(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		for range 5 {
			next := &fakeModel{name: 1}
			if err := d.Exchange(t.Context(), next, false); err != nil {
				t.Error(err)
			}
		}
		closing.Wait()
		if n := d.scenes[0].model; n != nil {
			t.Error("a scene that has ended has a model")
		}
	}
}

// TestReleaseTakesBack: a question that does not end keeps a model for a minute.
func TestReleaseTakesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(2)
		m := &fakeModel{think: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		d := start(t, Config{Model: m, Scenes: []Scene{{Views: views(f), LockStep: true}}})
		<-d.Done()
		answered := make(chan error, 1)
		go func() { _, err := askOf(d, ""); answered <- err }()
		synctest.Wait()
		if err := d.Exchange(t.Context(), &fakeModel{}, false); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := d.Release(t.Context(), m); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != lastAnswers {
			t.Errorf("released after %v", took)
		}
		if err := <-answered; wire.Code(err) != wire.CodeBusy || !strings.Contains(err.Error(), "the model was exchanged meanwhile") {
			t.Errorf("%v", err)
		}
		if _, err := askOf(d, ""); err != nil {
			t.Error(err)
		}
	})
}

// TestAdjust: a scene that goes on with its camera open answers other questions, looks oftener, and
// comes to have two memories.
func TestAdjust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(1 << 40)
		f.live = 100 * time.Millisecond
		d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), Interval: time.Hour, CaptionInterval: 3 * time.Hour}}})
		time.Sleep(150 * time.Minute)
		before, err := askOf(d, "")
		if err != nil || before.Frame != 3 {
			t.Fatalf("%+v, %v", before, err)
		}
		if err := d.Adjust(t.Context(), Scene{Name: "room", Window: 1}); err == nil || !strings.Contains(err.Error(), "a window of 1") {
			t.Errorf("%v", err)
		}
		if err := d.Adjust(t.Context(), Scene{
			Name: "room", Interval: time.Second, Window: 8, Gate: Gate{Idle: time.Second}, MaxSkew: time.Second, MaxWait: time.Second,
			Prompts: []Prompt{{"en", "who?"}, {"de", "wer?"}},
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 2)
		st, err := d.Status(t.Context())
		if s := st.Scenes[0]; err != nil || !strings.HasPrefix(s.Caption, "who?") || strings.Join(s.Langs, ",") != "en,de" || s.Frames != 4 {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(20 * time.Second)
		if a, err := askOf(d, ""); err != nil || a.Frame < 20 {
			t.Errorf("%+v, %v", a, err)
		}
		if n := len(d.scenes[0].newest.Load().Memories); n != 2 {
			t.Errorf("%d memories with a window", n)
		}
		if c := d.scenes[0].sets; c.maxSkew != time.Second || c.maxWait != time.Second {
			t.Errorf("skew %v, wait %v", c.maxSkew, c.maxWait)
		}
		d.Close()
		f.check(t)
	})
}
