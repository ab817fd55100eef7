package main

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/vlm"
)

// asVictim makes the test binary watch a film until it is killed, with the memory in
// the folder that the variable names. It prints a line for each frame set: its number, when it
// was described, in nanoseconds since the device was started, and the caption.
const asVictim = "EDGED_TEST_AS_VICTIM"

const (
	filmSeed         = 11
	filmViews        = 2
	snapshotInterval = 100 * time.Millisecond
)

// film plays one view of a simulated room; the same pictures whenever it begins.
type film struct {
	world    *sim.World
	renderer *sim.Renderer
	view     int
	n        uint64 // of the next picture, from 1
}

func newFilm(view int, from uint64) *film {
	w := sim.NewWorld(sim.Config{Seed: filmSeed, Views: filmViews})
	for range from - 1 {
		w.Step()
	}
	return &film{world: w, renderer: sim.NewRenderer(w.Look(), w.Cameras(), sim.Width, sim.Height), view: view, n: from}
}

// picture returns the next picture.
func (f *film) picture() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, sim.Width, sim.Height))
	f.renderer.Render(img, f.view, f.world.Objects(nil), f.n)
	f.world.Step()
	f.n++
	return img
}

// Next implements [camera.Source].
func (f *film) Next(ctx context.Context) (camera.Frame, error) {
	n := f.n
	return camera.NewFrame(f.picture(), time.Unix(int64(n), 0), n, nil), ctx.Err()
}

// Close implements [camera.Source].
func (f *film) Close() error { return nil }

func filmSnapshots(m *vlm.Model, dir string) memory.Config {
	return memory.Config{Scene: "film", Model: m.Fingerprint(), Dir: dir, Interval: snapshotInterval, Daily: 1 << 50}
}

// victim watches until it is killed.
func victim(dir string) error {
	m, err := openModel("", &vlm.Options{Threads: 1})
	if err != nil {
		return err
	}
	// The film goes on where the newest snapshot ends.
	store, err := memory.Open(filmSnapshots(m, dir))
	if err != nil {
		return err
	}
	from := uint64(1)
	if s, err := store.Newest(func(memory.Info) bool { return true }, func(*memory.Snapshot) error { return nil }); err == nil {
		from = s.Frame + 1
	}
	if err := store.Close(context.Background()); err != nil {
		return err
	}
	s := edge.Scene{
		Name: "film", LockStep: true, Gate: edge.Gate{Pixels: -1}, Snapshots: filmSnapshots(m, dir),
		Observe: func(s *edge.Step) { fmt.Println(s.Set.Number, int64(clock.System().Up), s.Text) },
	}
	for v := range filmViews {
		s.Views = append(s.Views, camera.View{Name: strconv.Itoa(v), Source: newFilm(v, from)})
	}
	d, err := edge.New(edge.Config{Model: edge.VLM(m), Scenes: []edge.Scene{s}})
	if err != nil {
		return err
	}
	return d.Run(context.Background())
}

// uninterrupted is a run that nobody kills, as far as it was needed.
type uninterrupted struct {
	stream   *vlm.Stream
	films    []*film
	first    uint64   // frame set
	captions []string // of first and on
}

// newUninterrupted begins a run, from a snapshot unless that is nil.
func newUninterrupted(t *testing.T, m *vlm.Model, from *memory.Snapshot) *uninterrupted {
	t.Helper()
	stream, err := m.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	u := &uninterrupted{stream: stream, first: 1}
	if from != nil {
		if err := stream.SetState(from.Memories[0].State); err != nil {
			t.Fatal(err)
		}
		u.first = from.Frame + 1
	}
	for v := range filmViews {
		u.films = append(u.films, newFilm(v, u.first))
	}
	return u
}

// caption returns that of a frame set, from the first on.
func (u *uninterrupted) caption(t *testing.T, n uint64) string {
	t.Helper()
	for u.first+uint64(len(u.captions)) <= n {
		var views []image.Image
		for _, f := range u.films {
			views = append(views, f.picture())
		}
		text, err := u.stream.Caption(t.Context(), views...)
		if err != nil {
			t.Fatal(err)
		}
		u.captions = append(u.captions, text)
	}
	return u.captions[n-u.first]
}

// TestKilled kills a daemon at random moments. Whenever it is started again it goes on
// from a whole snapshot no older than the interval, and all that it says, over all its
// lives, is what a daemon says that was never killed. EDGED_KILLS says how often; make soak
// does it 1,000 times.
func TestKilled(t *testing.T) {
	needProcess(t)
	kills := 25
	if n, err := strconv.Atoi(os.Getenv("EDGED_KILLS")); err == nil {
		kills = n
	}
	m, err := openModel("", &vlm.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	alone := newUninterrupted(t, m, nil)
	dir := filepath.Join(t.TempDir(), "film")
	rng := rand.New(rand.NewPCG(1, 2))
	var said, early, late int
	var oldest time.Duration
	var newest uint64 // frame set of the newest snapshot
	for kill := range kills {
		// Every second life ends that long after its first words, however long a busy machine takes to these.
		lines := life(t, dir, kill%2, time.Duration(rng.Int64N(int64(350*time.Millisecond))))
		for i, l := range lines {
			if want := newest + 1 + uint64(i); l.frame != want {
				t.Fatalf("frame set %d is described, want %d", l.frame, want)
			}
			if want := alone.caption(t, l.frame); l.text != want {
				t.Fatalf("frame set %d: %q, uninterrupted %q", l.frame, l.text, want)
			}
		}
		said += len(lines)
		snap := newestWhole(t, m, dir)
		n := len(lines)
		if snap == nil {
			if newest > 0 {
				t.Fatalf("no snapshot after %d captions, and there was one of frame set %d", n, newest)
			}
			early++
			if n > 0 {
				oldest = max(oldest, lines[n-1].up-lines[0].up)
			}
			continue
		}
		if snap.Frame < newest {
			t.Fatalf("the newest snapshot is of frame set %d, and was of %d", snap.Frame, newest)
		}
		if n == 0 {
			early++
			newest = snap.Frame
			continue
		}
		// What was seen in this life and is lost.
		age := lines[n-1].up - max(snap.Taken.Up, lines[0].up)
		oldest = max(oldest, age)
		if age > snapshotInterval {
			late++
		}
		newest = snap.Frame
	}
	t.Logf("%d kills, %d of them before the first caption; %d captions; the newest snapshot was at most %v old, more than %v in %d lives",
		kills, early, said, oldest, snapshotInterval, late)
	if early == kills {
		t.Error("it was always killed before it had said something")
	}
	// The interval holds but for how much longer the disk takes than it did before, which
	// TestSlowDisk of edge/memory holds to the second; a busy machine's stalls.
	if slack := 5 * time.Second; oldest > snapshotInterval+slack {
		t.Errorf("a snapshot was %v old", oldest)
	}
}

type line struct {
	frame uint64
	up    time.Duration
	text  string
}

// life starts a daemon, kills it span after it has printed so many lines, and returns the whole
// ones that it printed.
func life(t *testing.T, dir string, after int, span time.Duration) (lines []line) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), processTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), asVictim+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for {
		if len(lines) == after {
			kill := time.AfterFunc(span, func() { cmd.Process.Kill() })
			defer kill.Stop()
		}
		text, err := r.ReadString('\n')
		if err != nil {
			break // what is left is no whole line
		}
		fields := strings.SplitN(strings.TrimSuffix(text, "\n"), " ", 3)
		frame, err1 := strconv.ParseUint(fields[0], 10, 64)
		up, err2 := strconv.ParseInt(fields[1], 10, 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("%q", text)
		}
		l := line{frame, time.Duration(up), fields[2]}
		lines = append(lines, l)
	}
	cmd.Wait() // it was killed
	if ctx.Err() != nil {
		t.Fatal("it could not be killed")
	}
	return lines
}

// newestWhole reads the folder as a daemon does that starts. Nothing in it may be
// damaged.
func newestWhole(t *testing.T, m *vlm.Model, dir string) *memory.Snapshot {
	t.Helper()
	c := filmSnapshots(m, dir)
	c.Report = func(text string) { t.Error(text) }
	store, err := memory.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(context.Background())
	s, err := store.Newest(func(memory.Info) bool { return true }, func(s *memory.Snapshot) error {
		stream, err := m.NewStream()
		if err != nil {
			return err
		}
		return stream.SetState(s.Memories[0].State)
	})
	if err != nil {
		return nil
	}
	return s
}
