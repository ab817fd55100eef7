package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/wire"
)

// gatedCamera is a camera that shows a simulated room once it is told to.
type gatedCamera struct {
	url   string
	open  chan struct{} // closed when pictures may be seen
	shown atomic.Int64
}

func newGatedCamera(t *testing.T) *gatedCamera {
	world := sim.NewWorld(sim.Config{Seed: 1, Views: 1})
	room := sim.NewRenderer(world.Look(), world.Cameras(), 320, 240)
	var mu sync.Mutex
	c := &gatedCamera{open: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-c.open:
		case <-r.Context().Done():
			return
		}
		mu.Lock()
		defer mu.Unlock()
		img := image.NewRGBA(image.Rect(0, 0, 320, 240))
		room.Render(img, 0, world.Objects(nil), uint64(c.shown.Add(1)))
		world.Step()
		w.Header().Set("Content-Type", "image/jpeg")
		jpeg.Encode(w, img, nil)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL + "/snapshot.jpg"
	return c
}

// shows waits for the next picture.
func (c *gatedCamera) shows() {
	for before := c.shown.Load(); c.shown.Load() == before; {
		time.Sleep(time.Millisecond)
	}
}

// configure writes a configuration of a scene that this camera sees.
func (c *gatedCamera) configure(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "c.yaml")
	text := fmt.Sprintf("scenes: [{name: a, interval: 50ms, gate: {idle: 50ms}, views: [{name: v, rate: 10, source: %q}]}]\n", c.url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// damage writes into the model of a slot, from which no caption comes any more.
func (r *running) damage(t *testing.T, slot string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(slotsPath(r.state), slot, "demo.gguf"), os.O_RDWR, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0x7f}, len(demoInt4)/2), int64(len(demoInt4)/2)); err != nil {
		t.Error(err)
	}
}

// newGated is a daemon that is not started yet, and its camera.
func newGated(t *testing.T) (*gatedCamera, *running) {
	t.Helper()
	camera := newGatedCamera(t)
	r := &running{code: make(chan int, 1), hup: make(chan os.Signal)}
	r.runOptions = runOptions{config: camera.configure(t), socket: testSocket(t), state: t.TempDir(), again: r.hup}
	return camera, r
}

// TestTrialEndsInTime: what does not caption in time is given up, at the start and while edged runs.
func TestTrialEndsInTime(t *testing.T) {
	r := &running{code: make(chan int, 1), hup: make(chan os.Signal)}
	r.runOptions = runOptions{config: twoRooms(t, ""), socket: testSocket(t), state: t.TempDir(), again: r.hup, limit: func(int64) time.Duration { return 1 }}
	r.install(t, makeBundle(t, 1, demoInt4))
	r.start(t)
	const why = "is given up: it did not caption a simulated room within 1ns"
	r.waitLog(t, "garden version 1, slot a "+why, 1)
	r.install(t, makeBundle(t, 2, demoInt4))
	r.reload(t, "garden version 2, slot a "+why, 1)
	contains(t, fwRun(t, exitOK, "status", "-state", r.state), "what the binary brings runs")
	r.stop(t)
}

// TestStartOnTrial: a bundle that is tried at a start is committed with the first caption.
func TestStartOnTrial(t *testing.T) {
	r := &running{code: make(chan int, 1), hup: make(chan os.Signal)}
	r.runOptions = runOptions{config: twoRooms(t, ""), socket: testSocket(t), state: t.TempDir(), again: r.hup}
	r.install(t, makeBundle(t, 1, demoInt4))
	c := r.start(t)
	r.waitLog(t, "garden version 1, slot a proved itself", 1)
	if st, err := c.Status(t.Context()); err != nil || st.Model != modelName(t, demoInt4) {
		t.Errorf("%+v, %v", st, err)
	}
	c.Close()
	r.stop(t)
}

// TestTrialFailsAtCameras damages a model's file in its place once it has captioned the simulated room: at a start, and while edged
// runs, it is given up, and what ran before goes on with its memory.
func TestTrialFailsAtCameras(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seconds for captions that do not come")
	}
	camera, r := newGated(t)
	// How long it may take is asked for when it is tried, when scenes are about to have it and when cameras are; at
	// a start first of all instead of in between.
	var asked atomic.Int64
	atStart := true
	r.limit = func(int64) time.Duration {
		switch n := asked.Add(1); {
		case atStart && n == 3:
			r.damage(t, "a")
			close(camera.open)
		case !atStart && n == 2:
			r.damage(t, "a")
		}
		if asked.Load() < 3 {
			return time.Minute
		}
		camera.shows()
		return 2 * time.Second
	}
	r.install(t, makeBundle(t, 1, demoInt4))
	c := r.start(t)
	r.waitLog(t, "garden version 1, slot a is given up: no caption within 2s", 1)
	r.waitLog(t, "of which 0 began anew", 1)
	waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Captions > 0 })
	if st, err := c.Status(t.Context()); err != nil || st.Model != modelName(t, demoInt8) {
		t.Errorf("%s runs; %v", st.Model, err)
	}
	contains(t, fwRun(t, exitOK, "status", "-state", r.state), "what the binary brings runs")

	asked.Store(0)
	atStart = false
	r.install(t, makeBundle(t, 2, demoInt4))
	r.reload(t, "garden version 2, slot a is given up: no caption within 2s", 1)
	r.waitLog(t, "it goes on with its own of frame set", 1)
	r.waitUnmapped(t, "a")
	before := waitScenes(t, c, nil)["a"].Frames
	waitScenes(t, c, func(s wire.SceneStatus) bool { return s.State == wire.StateWatching && s.Frames > before })
	c.Close()
	r.stop(t)
	if n := strings.Count(r.err.String(), "a: v: live"); n != 1 {
		t.Errorf("the camera was opened %d times", n)
	}
}

// TestCommitted: what has been committed by the daemon that tried it runs again, when the next bundle fails, as what it is.
func TestCommitted(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for captions that do not come")
	}
	camera, r := newGated(t)
	close(camera.open)
	// It is asked for three times an exchange: see TestTrialFailsAtCameras.
	var asked atomic.Int64
	r.limit = func(int64) time.Duration {
		switch asked.Add(1) {
		case 5:
			r.damage(t, "b")
		case 6:
			camera.shows()
			return time.Second
		}
		return time.Minute
	}
	c := r.start(t)
	r.install(t, makeBundle(t, 1, demoInt4))
	r.reload(t, "garden version 1, slot a proved itself", 1)
	r.install(t, makeBundle(t, 2, demoInt4))
	r.reload(t, "garden version 2, slot b is given up: no caption within 1s", 1)
	r.waitLog(t, "the configuration was read again", 3)
	if st, err := c.Status(t.Context()); err != nil || st.Bundle != "garden version 1, slot a" {
		t.Errorf("%q runs; %v", st.Bundle, err)
	}
	c.Close()
	r.stop(t)
	for _, text := range []string{"somebody had ended the trial before", "was not tried to the end"} {
		if strings.Contains(r.err.String(), text) {
			t.Errorf("it was on trial once more:\n%s", &r.err)
		}
	}
}

// TestTrialCannotBeGivenUp: where the disk does not take it that a trial has failed, in the simulated room or before the cameras, what
// proved itself runs.
func TestTrialCannotBeGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for seconds for captions that do not come")
	}
	for _, moment := range []int64{2, 3} { // at which it is asked how long it may take
		camera, r := newGated(t)
		r.install(t, makeBundle(t, 1, demoInt4))
		if err := withStore(r.state, func(s *fw.Store, _ error) error {
			_, err := s.Start(t.Context(), "")
			return errors.Join(err, s.Commit())
		}); err != nil {
			t.Fatal(err)
		}
		r.install(t, makeBundle(t, 2, demoInt8))
		var asked atomic.Int64
		r.limit = func(int64) time.Duration {
			if asked.Add(1) != moment {
				return time.Minute
			}
			if err := os.Mkdir(filepath.Join(slotsPath(r.state), "state.json.tmp"), 0o700); err != nil {
				t.Error(err)
			}
			if moment == 2 {
				return 1
			}
			r.damage(t, "b")
			close(camera.open)
			camera.shows()
			return 2 * time.Second
		}
		c := r.start(t)
		r.waitLog(t, "and that cannot be kept", 1)
		r.waitLog(t, "garden version 1, slot a", 1)
		if moment == 2 {
			close(camera.open)
		}
		waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Captions > 0 })
		if st, err := c.Status(t.Context()); err != nil || st.Bundle != "garden version 1, slot a" || st.Model != modelName(t, demoInt4) {
			t.Errorf("%s of %q runs; %v", st.Model, st.Bundle, err)
		}
		c.Close()
		r.stop(t)
	}
}

// TestTrialStopped tells a daemon to stop at each moment of a trial, at a start and beside what runs: none counts as a
// start.
func TestTrialStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("starts one after another")
	}
	_, r := newGated(t)
	stopped := func(moment int64, run func(r *running)) {
		t.Helper()
		var asked atomic.Int64
		r.limit = func(int64) time.Duration {
			if asked.Add(1) == moment {
				r.end()
			}
			return time.Minute
		}
		run(r)
		if code := <-r.code; code != exitOK {
			t.Errorf("it ended with %d:\n%s", code, &r.err)
		}
		s, err := lookAtStore(r.state)
		if st := s.State(); err != nil || st.Trial != "a" || st.Starts != 0 || asked.Load() < moment {
			t.Fatalf("told to stop at moment %d of %d: %+v, %v\n%s", moment, asked.Load(), st, err, &r.err)
		}
	}
	// Before its files are read, before it is opened, and before the cameras.
	for moment := range int64(3) {
		r.install(t, makeBundle(t, uint64(moment)+1, demoInt4))
		stopped(moment+1, func(r *running) {
			var ctx context.Context
			ctx, r.end = context.WithCancel(t.Context())
			go func() { r.code <- runDaemon(ctx, r.runOptions, &r.out, &r.err) }()
		})
	}
	fwRun(t, exitOK, "rollback", "-state", r.state)
	// Before it is opened, before scenes have it, and before the cameras.
	for moment := range int64(3) {
		stopped(moment+1, func(r *running) {
			r.start(t).Close()
			r.install(t, makeBundle(t, uint64(moment)+4, demoInt4))
			r.hup <- nil
		})
		fwRun(t, exitOK, "rollback", "-state", r.state)
	}
}
