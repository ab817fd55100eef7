package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a server whose questions say what to do. A watch gets the events 1 to
// count as fast as it goes, and if they are kept those from where it asks.
type house struct {
	count int
	kept  bool
}

func (h house) Welcome(_ context.Context, hello *wire.Hello) (*wire.Welcome, error) {
	if hello.Client == "stranger" {
		return nil, wire.Errorf(wire.CodeRequest, "not for strangers")
	}
	return &wire.Welcome{Server: "house", Model: "m", Scenes: []string{"yard"}, Log: h.kept}, nil
}

func (h house) Status(context.Context) (*wire.Status, error) {
	return &wire.Status{Model: "m"}, nil
}

func (h house) Scenes(context.Context) (*wire.Scenes, error) {
	return &wire.Scenes{Scenes: []wire.SceneInfo{{Name: "yard", Views: []string{"left", "right"}}}}, nil
}

func (h house) Watch(ctx context.Context, w *wire.Watch, emit func(*wire.Event) error) error {
	if w.Scene == "nowhere" {
		return wire.Errorf(wire.CodeScene, "no scene %q", w.Scene)
	}
	if w.Scene == "alarmed" {
		return emit(&wire.Event{Seq: 9, Event: wire.EventAlert, Scene: "yard", Text: "in the yard", Tags: []string{"person"}, Plugin: "zones"})
	}
	for seq := max(w.From, 1); seq <= uint64(h.count); seq++ {
		if e := caption(seq); w.Lang == "" || e.Lang == w.Lang {
			if err := emit(e); err != nil {
				return err
			}
		}
	}
	switch w.Scene {
	case "finite":
		return nil
	case "burst": // and, when the client is at rest, one more
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		return emit(&wire.Event{Seq: uint64(h.count + 1)})
	}
	<-ctx.Done()
	return ctx.Err()
}

// caption is in two languages by turns.
func caption(seq uint64) *wire.Event {
	return &wire.Event{Seq: seq, Event: wire.EventCaption, Scene: "yard", Lang: []string{"en", "zh"}[seq%2], Text: fmt.Sprint("caption ", seq)}
}

func (h house) Search(_ context.Context, s *wire.Search, match *regexp.Regexp, emit func(*wire.Event) error) (next uint64, err error) {
	if !h.kept {
		return 0, wire.Errorf(wire.CodeMissing, "nothing is kept")
	}
	found := int64(0)
	for seq := max(s.From, 1); seq <= uint64(h.count); seq++ {
		e := caption(seq)
		if (s.Lang == "" || e.Lang == s.Lang) && (match == nil || match.MatchString(e.Text)) {
			if found++; found > s.Limit {
				return seq, nil
			}
			if err := emit(e); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

func (h house) Snapshots(_ context.Context, g *wire.GetSnapshots) (*wire.Snapshots, error) {
	return &wire.Snapshots{Scene: g.Scene, Snapshots: []wire.SnapshotInfo{{Number: 7}}}, nil
}

func (h house) Admin(_ context.Context, a *wire.Admin) error {
	if a.Action != wire.ActionPause {
		return wire.Errorf(wire.CodeMissing, "no %s here", a.Action)
	}
	return nil
}

func (h house) Ask(ctx context.Context, a *wire.Ask, piece func(string) error) (*wire.Answer, error) {
	if a.Question == "wait" {
		if err := piece("..."); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, w := range strings.SplitAfter(a.Question, " ") {
		if err := piece(w); err != nil {
			return nil, err
		}
	}
	return &wire.Answer{Text: a.Question, Scene: a.Scene}, nil
}

// serve serves h at a socket until the test ends or stop is called; zero clients are as many as
// usual.
func serve(t *testing.T, h wire.Handler, maxClients int) (path string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "s")
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := wire.Listen(ctx, path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	o := &wire.ServeOptions{MaxClients: maxClients, StopTimeout: time.Minute} // last messages leave on a busy machine too
	done := make(chan error)
	go func() { done <- wire.Serve(ctx, ln, h, o) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return path, stop
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask returns the joined pieces and the answer.
func ask(ctx context.Context, c *Client, question string) (text string, answer *wire.Answer, err error) {
	for part, err := range c.Ask(ctx, &wire.Ask{Question: question}) {
		if err != nil {
			return text, nil, err
		}
		text += part.Text
		answer = part.Answer
	}
	return text, answer, nil
}

func TestClient(t *testing.T) {
	ctx := context.Background()
	path, _ := serve(t, house{count: 3}, 0)
	c := dial(t, path)
	if s := c.Server(); s.Server != "house" || s.Protocol != wire.Protocol {
		t.Errorf("%+v", s)
	}
	if s, err := c.Status(ctx); err != nil || s.Model != "m" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := c.Scenes(ctx); err != nil || len(s) != 1 || len(s[0].Views) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	text, a, err := ask(ctx, c, "what left the room?")
	if err != nil || a == nil || a.Text != "what left the room?" || text != a.Text {
		t.Errorf("%q, %+v, %v", text, a, err)
	}

	seq := uint64(0)
	for e, err := range c.Watch(ctx, &wire.Watch{Scene: "finite"}) {
		if err != nil || e.Seq != seq+1 {
			t.Fatalf("%+v, %v", e, err)
		}
		seq = e.Seq
	}
	if seq != 3 {
		t.Errorf("%d events", seq)
	}
	for e, err := range c.Watch(ctx, &wire.Watch{Scene: "nowhere"}) {
		if e != nil || wire.Code(err) != wire.CodeScene {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if s, err := c.Snapshots(ctx, "yard"); err != nil || s.Scene != "yard" || len(s.Snapshots) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := c.Admin(ctx, &wire.Admin{Action: wire.ActionPause}); err != nil {
		t.Error(err)
	}
	if err := c.Admin(ctx, &wire.Admin{Action: wire.ActionForget}); wire.Code(err) != wire.CodeMissing {
		t.Error(err)
	}
	// Leaving a loop cancels: many watches do not use up the requests in flight.
	for range 20 {
		for _, err := range c.Watch(ctx, nil) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if len(c.calls) != 0 {
		t.Errorf("%d calls are kept", len(c.calls))
	}
}

func TestContext(t *testing.T) {
	path, _ := serve(t, house{}, 0)
	c := dial(t, path)
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		text := ""
		for part, err := range c.Ask(ctx, &wire.Ask{Question: "wait"}) {
			if err != nil {
				if !errors.Is(err, context.Canceled) || text != "..." {
					t.Errorf("%q, %v", text, err)
				}
				continue
			}
			text += part.Text
			cancel()
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Status(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Status(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestServerEnds(t *testing.T) {
	path, stop := serve(t, house{count: 1}, 0)
	c := dial(t, path)
	var got error
	for _, err := range c.Watch(context.Background(), nil) {
		if got = err; err == nil {
			go stop()
		}
	}
	if wire.Code(got) != wire.CodeClosing {
		t.Errorf("watch: %v", got)
	}
	stop()
	<-c.done
	if _, err := c.Status(context.Background()); wire.Code(err) != wire.CodeClosing {
		t.Errorf("status: %v", err)
	}
}

func TestClose(t *testing.T) {
	path, _ := serve(t, house{}, 0)
	c := dial(t, path)
	ended := make(chan error)
	go func() {
		_, _, err := ask(context.Background(), c, "wait")
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond)
	c.Close()
	c.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := c.Scenes(context.Background()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestDialErrors(t *testing.T) {
	ctx := context.Background()
	path, _ := serve(t, house{}, 1)
	if _, err := Dial(ctx, path, &Options{Name: "stranger"}); wire.Code(err) != wire.CodeRequest {
		t.Errorf("stranger: %v", err)
	}
	if _, err := Dial(ctx, path+"x", nil); err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("no server: %v", err)
	}
	var c *Client
	var err error
	for c, err = Dial(ctx, path, nil); err != nil; c, err = Dial(ctx, path, nil) {
		time.Sleep(time.Millisecond) // the stranger's place is not free yet
	}
	defer c.Close()
	if _, err := Dial(ctx, path, nil); wire.Code(err) != wire.CodeBusy {
		t.Errorf("no room: %v", err)
	}
}

// TestSlowLoop: a watch whose loop is slow loses events and is told how many, while
// other requests on the connection go on.
func TestSlowLoop(t *testing.T) { synctest.Test(t, testSlowLoop) }

func testSlowLoop(t *testing.T) {
	const n = 5000
	c := connect(t, house{count: n})
	seen, dropped := int64(0), int64(0)
	last := uint64(0)
	for e, err := range c.Watch(context.Background(), &wire.Watch{Scene: "burst"}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Seq != last+1+uint64(e.Dropped) {
			t.Fatalf("event %d after %d with %d dropped", e.Seq, last, e.Dropped)
		}
		if seen == 0 {
			synctest.Wait() // until all have been sent
			if _, a, err := ask(context.Background(), c, "a question meanwhile"); err != nil || a == nil {
				t.Errorf("%+v, %v", a, err)
			}
		}
		seen, dropped, last = seen+1, dropped+e.Dropped, e.Seq
	}
	if dropped == 0 || seen+dropped != n+1 {
		t.Errorf("%d seen, %d dropped", seen, dropped)
	}
}

// TestSlowLoopKept: where the server keeps events, a slow loop loses none, and takes them
// up where it wants.
func TestSlowLoopKept(t *testing.T) { synctest.Test(t, testSlowLoopKept) }

func testSlowLoopKept(t *testing.T) {
	const n = 5000
	c := connect(t, house{count: n, kept: true})
	for _, from := range []uint64{0, 1, 4000, n + 1} {
		want := max(from, 1)
		for e, err := range c.Watch(context.Background(), &wire.Watch{Scene: "burst", From: from}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Seq != want || e.Dropped != 0 {
				t.Fatalf("from %d: event %d with %d dropped, want %d", from, e.Seq, e.Dropped, want)
			}
			if want++; e.Seq%1500 == 1 {
				synctest.Wait() // until no more can be sent
			}
		}
		if want != n+2 {
			t.Errorf("from %d: ended before %d", from, want)
		}
	}
}

// TestWatchLanguage: what a watch is too late for is in the language that was asked for, too.
func TestWatchLanguage(t *testing.T) {
	for _, kept := range []bool{false, true} {
		c := connect(t, house{count: 20, kept: kept})
		want := uint64(4)
		for e, err := range c.Watch(t.Context(), &wire.Watch{Scene: "finite", Lang: "en", From: 3}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Seq != want || e.Lang != "en" {
				t.Fatalf("kept %v: event %d in %q, want %d in en", kept, e.Seq, e.Lang, want)
			}
			want += 2
		}
		if want != 22 {
			t.Errorf("kept %v: ended before event %d", kept, want)
		}
	}
}

func TestSearch(t *testing.T) {
	c := connect(t, house{count: 5000, kept: true})
	for _, s := range []struct {
		search      wire.Search
		n           int
		first, last uint64
	}{
		{wire.Search{}, 5000, 1, 5000},
		{wire.Search{From: 3000}, 2001, 3000, 5000},
		{wire.Search{From: 3000, Limit: 1500}, 1500, 3000, 4499},
		{wire.Search{Match: "99$"}, 50, 99, 4999},
		{wire.Search{Match: "99$", Limit: 20}, 20, 99, 1999},
		{wire.Search{Match: "dog"}, 0, 0, 0},
	} {
		var seqs []uint64
		for e, err := range c.Search(t.Context(), &s.search) {
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, e.Seq)
		}
		if len(seqs) != s.n || s.n > 0 && (seqs[0] != s.first || seqs[s.n-1] != s.last) {
			t.Errorf("%+v: %d found", s, len(seqs))
		}
	}
	for _, err := range c.Search(t.Context(), &wire.Search{Match: "("}) {
		if wire.Code(err) != wire.CodeRequest {
			t.Error(err)
		}
	}
	for _, err := range connect(t, house{}).Search(t.Context(), new(wire.Search)) {
		if wire.Code(err) != wire.CodeMissing {
			t.Error(err)
		}
	}
}

// TestDeadline: that of the context reaches the server.
func TestDeadline(t *testing.T) { synctest.Test(t, testDeadline) }

func testDeadline(t *testing.T) {
	c := connect(t, house{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	text, _, err := ask(ctx, c, "wait")
	if text != "..." || !errors.Is(err, context.DeadlineExceeded) && wire.Code(err) != wire.CodeDeadline {
		t.Errorf("%q, %v", text, err)
	}
	for part, err := range c.Ask(context.Background(), &wire.Ask{Question: "wait", Deadline: 500}) {
		if err != nil && wire.Code(err) != wire.CodeDeadline {
			t.Errorf("%+v, %v", part, err)
		}
	}
}

// connect makes a client of h in memory, until the test ends.
func connect(t *testing.T, h wire.Handler) *Client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ln := wire.NewMemory()
	done := make(chan error)
	go func() { done <- wire.Serve(ctx, ln, h, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	nc, err := ln.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(ctx, nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestMemory(t *testing.T) {
	if text, _, err := ask(context.Background(), connect(t, house{}), "over memory"); err != nil || text != "over memory" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestMany: several goroutines share one connection, nothing is lost or mixed.
func TestMany(t *testing.T) {
	path, _ := serve(t, house{}, 0)
	c := dial(t, path)
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			for i := range 100 {
				q := fmt.Sprintf("question %d of %d", i, k)
				if text, a, err := ask(context.Background(), c, q); err != nil || text != q || a.Text != q {
					t.Errorf("%q, %+v, %v", text, a, err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkAsk(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := wire.Listen(ctx, filepath.Join(b.TempDir(), "s"), 0o600)
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- wire.Serve(ctx, ln, house{}, nil) }()
	c, err := Dial(ctx, ln.Addr().String(), nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := ask(ctx, c, "what left the room?"); err != nil {
			b.Fatal(err)
		}
	}
	c.Close()
	cancel()
	<-done
}
