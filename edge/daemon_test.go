package edge

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

// watchAll collects the captions of a daemon over its own client until it stops.
func watchAll(t *testing.T, d *Daemon) (captions func() []string) {
	t.Helper()
	c, err := d.Client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	done, begun := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	go func() {
		defer close(done)
		defer begin()
		for e, err := range c.Watch(t.Context(), &wire.Watch{From: 1}) {
			if err != nil {
				if wire.Code(err) != wire.CodeClosing {
					t.Errorf("watch: %v", err)
				}
				return
			}
			begin() // with the scene's own beginning
			if e.Event == wire.EventCaption {
				texts = append(texts, e.Text)
			}
		}
	}()
	<-begun
	return func() []string {
		<-done
		c.Close()
		return texts
	}
}

// run watches two films of n frames in lock step and returns the captions that
// a watcher got. meanwhile runs beside it.
func run(t *testing.T, m *fakeModel, n uint64, meanwhile func(d *Daemon)) []string {
	t.Helper()
	a, b := newFilm(n), newFilm(n)
	a.gate = make(chan struct{})
	d, err := New(Config{Model: m, Scenes: []Scene{{Views: views(a, b), LockStep: true, Gate: Gate{Pixels: -1}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	captions := watchAll(t, d)
	close(a.gate)
	if meanwhile != nil {
		meanwhile(d)
	}
	<-d.Done()
	if err := d.Err(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if s := d.Stats(); s.Frames != n || s.Skipped != 0 || s.Captions != n {
		t.Errorf("stats %+v, want %d frames and captions", s, n)
	}
	a.check(t)
	b.check(t)
	return captions()
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited too long")
		}
	}
}

func TestLockStepUsesEveryFrame(t *testing.T) {
	if got := run(t, &fakeModel{}, 20, nil); len(got) != 20 {
		t.Errorf("%d captions, want 20", len(got))
	}
}

// TestQuestionsDoNotDisturb is the promise of the package: captions are the same
// bytes whatever is asked meanwhile.
func TestQuestionsDoNotDisturb(t *testing.T) {
	quiet := run(t, &fakeModel{}, 60, nil)
	answers := 0
	// Each frame set but the first waits for an answer.
	answered := make(chan struct{})
	first := true
	see := func(ctx context.Context) error {
		if first {
			first = false
			return nil
		}
		select {
		case <-answered:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	asked := run(t, &fakeModel{see: see}, 60, func(d *Daemon) {
		var askers sync.WaitGroup
		var mu sync.Mutex
		for range 4 {
			askers.Go(func() {
				c, err := d.Client(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				for {
					select {
					case <-d.Done():
						return
					default:
					}
					for p, err := range c.Ask(t.Context(), &wire.Ask{Question: "what left?"}) {
						if wire.Code(err) == wire.CodeNotReady {
							break
						}
						if err != nil {
							t.Error(err)
							return
						}
						if p.Answer != nil {
							if !strings.HasPrefix(p.Answer.Text, "what left? ") || p.Answer.Frame == 0 || p.Answer.Tokens != 3 {
								t.Errorf("answer %+v", p.Answer)
							}
							mu.Lock()
							answers++
							mu.Unlock()
							select {
							case answered <- struct{}{}:
							case <-d.Done():
							}
						}
					}
				}
			})
		}
		askers.Wait()
	})
	if strings.Join(quiet, "\n") != strings.Join(asked, "\n") {
		t.Errorf("captions with questions differ:\n%v\n%v", quiet, asked)
	}
	if answers < 59 {
		t.Errorf("only %d answers", answers)
	}
}

// TestSameAnswerFromSnapshot asks about one frame set while nothing moves.
func TestSameAnswerFromSnapshot(t *testing.T) {
	f := newFilm(3)
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), LockStep: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-d.Done()
	caption := d.scenes[0].report().Caption
	a, err := d.Ask(t.Context(), &wire.Ask{Question: " q "}, func(string) error { return nil })
	if err != nil || a.Text != "q "+caption || a.Frame != 3 || a.Scene != "room" {
		t.Errorf("answer %+v, %v; caption %s", a, err, caption)
	}
	for name, ask := range map[string]*wire.Ask{
		wire.CodeRequest: {Question: "\n"},
		wire.CodeScene:   {Question: "q", Scene: "cellar"},
	} {
		if _, err := d.Ask(t.Context(), ask, nil); wire.Code(err) != name {
			t.Errorf("%+v: %v, want %s", ask, err, name)
		}
	}
	st, err := d.Status(t.Context())
	if err != nil || st.Scenes[0].Frames != 3 || st.Scenes[0].Views[0].State != wire.ViewEnded || st.StateBytes != 32 {
		t.Errorf("status %+v, %v", st, err)
	}
	d.Close()
	if _, err := d.Ask(t.Context(), &wire.Ask{Question: "q"}, nil); wire.Code(err) != wire.CodeClosing {
		t.Errorf("after close: %v", err)
	}
	f.check(t)
}

func TestNewestWins(t *testing.T) {
	f := newFilm(200)
	f.gate = make(chan struct{})
	stuck, resume := make(chan struct{}), make(chan struct{})
	first := true
	m := &fakeModel{see: func(ctx context.Context) error {
		if first {
			first = false
			close(stuck)
			<-resume
		}
		return nil
	}}
	d, err := New(Config{Model: m, Scenes: []Scene{{Views: views(f)}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The model is stuck; the camera is not.
	f.gate <- struct{}{}
	<-stuck
	close(f.gate)
	waitFor(t, func() bool { return d.scenes[0].report().Views[0].Frames == 200 })
	close(resume)
	<-d.Done()
	d.Close()
	s := d.Stats()
	if s.Frames+s.Skipped != 200 || s.Frames != 2 {
		t.Errorf("stats %+v, want 200 frames used or skipped", s)
	}
	f.check(t)
}

func TestNotReadyBusyAndClosing(t *testing.T) {
	f := newFilm(5)
	f.gate = make(chan struct{}, 5)
	thinking := make(chan struct{}, 16)
	m := &fakeModel{think: func(ctx context.Context) error {
		thinking <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	d, err := New(Config{Model: m, Scenes: []Scene{{Views: views(f)}}, Questions: answersTogether + 2})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context) error {
		_, err := d.Ask(ctx, &wire.Ask{Question: "q"}, func(string) error { return nil })
		return err
	}
	if err := ask(t.Context()); wire.Code(err) != wire.CodeClosing {
		t.Errorf("before start: %v", err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ask(t.Context()); wire.Code(err) != wire.CodeNotReady {
		t.Errorf("before the first frame: %v", err)
	}
	f.gate <- struct{}{}
	waitFor(t, func() bool { return d.Stats().Frames == 1 })

	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, answersTogether+2)
	go func() { errs <- ask(ctx) }()
	<-thinking
	for range answersTogether + 1 {
		go func() { errs <- ask(t.Context()) }()
	}
	for range answersTogether - 1 {
		<-thinking
	}
	waitFor(t, func() bool { return d.answers.waiting.Load() == answersTogether+2 })
	if err := ask(t.Context()); wire.Code(err) != wire.CodeBusy {
		t.Errorf("a question too many: %v", err)
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled question: %v", err)
	}
	<-thinking // one that waited has its place
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for range answersTogether + 1 {
		if err := <-errs; wire.Code(err) != wire.CodeClosing {
			t.Errorf("question when the daemon stopped: %v", err)
		}
	}
	f.check(t)
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f := newFilm(2)
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f)}}, Socket: path, Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-d.Done()
	c, err := client.Dial(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Server(); w.Server != "edged" || w.Model != "fake" || w.Version != "v1" || len(w.Scenes) != 1 {
		t.Errorf("welcome %+v", w)
	}
	scenes, err := c.Scenes(t.Context())
	if err != nil || len(scenes) != 1 || scenes[0].Views[0] != "view0" {
		t.Errorf("scenes %+v, %v", scenes, err)
	}

	// A second daemon at the same path is refused and leaves nothing running.
	g := newFilm(2)
	other, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(g)}}, Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(t.Context()); !errors.Is(err, wire.ErrInUse) {
		t.Errorf("second daemon: %v", err)
	}
	if g.next != 0 {
		t.Error("its sources were read")
	}
	g.check(t)
	c.Close()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket left behind: %v", err)
	}
	f.check(t)
}

func TestRunEndsWithContext(t *testing.T) {
	f := newFilm(1 << 40)
	ctx, cancel := context.WithCancel(t.Context())
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), Observe: func(s *Step) {
		if s.Set.Number == 10 {
			cancel()
		}
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	f.check(t)
}

func TestFailures(t *testing.T) {
	broken := errors.New("broken")
	t.Run("source", func(t *testing.T) {
		f := newFilm(2)
		f.fail = broken
		d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), LockStep: true}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(t.Context()); !errors.Is(err, broken) || !strings.Contains(err.Error(), "view0") {
			t.Errorf("error %v", err)
		}
		f.check(t)
	})
	t.Run("model", func(t *testing.T) {
		f := newFilm(2)
		d, err := New(Config{Model: &fakeModel{see: func(context.Context) error { return broken }}, Scenes: []Scene{{Views: views(f), LockStep: true}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(t.Context()); !errors.Is(err, broken) || !strings.Contains(err.Error(), "frame set 1") {
			t.Errorf("error %v", err)
		}
		f.check(t)
	})
	t.Run("config", func(t *testing.T) {
		if _, err := New(Config{Scenes: []Scene{{Views: views(newFilm(1))}}}); err == nil {
			t.Error("no model: accepted")
		}
		if _, err := New(Config{Model: &fakeModel{}}); err == nil {
			t.Error("no scenes: accepted")
		}
		if _, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{}}}); err == nil {
			t.Error("no views: accepted")
		}
		if _, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: make([]camera.View, 2)}}}); err == nil || !strings.Contains(err.Error(), "switched off") {
			t.Errorf("no view that is not switched off: %v", err)
		}
		var many []camera.View
		for range (&fakeModel{}).MaxViews() + 1 {
			many = append(many, camera.View{}, camera.View{Source: newFilm(1)})
		}
		if _, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: many}}}); err == nil || !strings.Contains(err.Error(), "model fake takes 8 at most") {
			t.Errorf("more views than the model takes: %v", err)
		}
	})
}

// TestSlowWatcher connects a client that never reads: nobody waits for it.
func TestSlowWatcher(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f := newFilm(3000)
	f.gate = make(chan struct{})
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), LockStep: true, Gate: Gate{Pixels: -1}}}, Socket: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	var b []byte
	for id, m := range []wire.Message{&wire.Hello{Protocol: wire.Protocol}, &wire.Watch{}} {
		if b, err = wire.Append(b, uint64(id+1), m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	close(f.gate)
	select {
	case <-d.Done():
	case <-time.After(time.Minute):
		t.Error("the daemon waits for a client that does not read")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	f.check(t)
}
