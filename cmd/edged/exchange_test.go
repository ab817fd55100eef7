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
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/wire"
)

// twoRooms are two simulated rooms, one with two cameras, and more keys.
func twoRooms(t *testing.T, more string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "c.yaml")
	text := more + "scenes:\n" +
		"- {name: a, interval: 100ms, views: [{name: v, rate: 25, source: 'sim:1/front'}, {name: w, rate: 25, source: 'sim:1/side'}]}\n" +
		"- {name: b, interval: 100ms, views: [{name: v, rate: 25, source: 'sim:2/front'}]}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// install puts a bundle into the slot that does not run.
func (r *running) install(t *testing.T, bundle string, more ...string) {
	t.Helper()
	fwRun(t, exitOK, append([]string{"install", bundle, "-trust", fwKeys + "minisign.pub", "-state", r.state, "-quiet"}, more...)...)
}

// reload has the configuration read, and waits until the log says so often what is to come of it.
func (r *running) reload(t *testing.T, want string, times int) {
	t.Helper()
	r.hup <- nil
	r.waitLog(t, want, times)
}

func (r *running) waitLog(t *testing.T, want string, times int) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); strings.Count(r.err.String(), want) < times; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %q, %d times:\n%s", want, times, &r.err)
		}
	}
}

// mapped reports whether this process has a file of a slot in its memory.
func (r *running) mapped(t *testing.T, slot string) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	return strings.Contains(string(maps), filepath.Join(slotsPath(r.state), slot)+"/")
}

func (r *running) waitUnmapped(t *testing.T, slot string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); r.mapped(t, slot); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("slot %s is still mapped", slot)
		}
	}
}

// askOn asks all scenes all the time until stop is called. No question may fail, other than for an
// exchange that has just happened.
func askOn(t *testing.T, socket string) (stop func() (answers int)) {
	t.Helper()
	end := make(chan struct{})
	var askers sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for i := range 4 {
		c, err := client.Dial(t.Context(), socket, nil)
		if err != nil {
			t.Fatal(err)
		}
		askers.Go(func() {
			defer c.Close()
			for {
				select {
				case <-end:
					return
				default:
				}
				a := &wire.Ask{Scene: string("ab"[i%2]), Question: "how many objects are there?", At: int64(-i / 2 * 100)}
				for p, err := range c.Ask(t.Context(), a) {
					if code := wire.Code(err); err != nil && code != wire.CodeNotReady && code != wire.CodeNotKept && code != wire.CodeBusy {
						t.Errorf("question: %v", err)
						return
					}
					if err == nil && p.Answer != nil {
						mu.Lock()
						n++
						mu.Unlock()
					}
				}
			}
		})
	}
	return func() int {
		close(end)
		askers.Wait()
		return n
	}
}

// TestExchange: bundles take each other's place in a daemon that watches, beside questions, with its
// cameras open: one of another model, one of the same, and back, step by step.
func TestExchange(t *testing.T) {
	if testing.Short() {
		t.Skip("TestBundleDefaults exchanges a model, too")
	}
	r, c := startRun(t, twoRooms(t, ""))
	int8, int4 := modelName(t, demoInt8), modelName(t, demoInt4)
	runs := func(want, bundle string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			st, err := c.Status(t.Context())
			switch {
			case err == nil && st.Model == want && st.Bundle == bundle:
				return
			case err != nil || time.Now().After(end):
				t.Fatalf("%s runs of %q, want %s of %q; %v", st.Model, st.Bundle, want, bundle, err)
			}
		}
	}
	waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Captions > 0 })
	asked := askOn(t, r.socket)

	r.install(t, makeBundle(t, 1, demoInt4))
	r.reload(t, "garden version 1, slot a proved itself", 1)
	title := func(name, from string, model []byte) string {
		return fmt.Sprintf("%s (%s, %.1f MB)", name, from, float64(len(model))/1e6)
	}
	binary, first := title(int8, "the model of the binary, int8", demoInt8), title(int4, "garden version 1, slot a: demo.gguf, int4", demoInt4)
	second := title(int4, "garden version 2, slot b: demo.gguf, int4", demoInt4)
	r.waitLog(t, "model "+first+" instead of "+binary+", whose memory it cannot read: it begins with an empty one", 2)
	r.waitLog(t, "looks for the first time", 2)
	runs(int4, "garden version 1, slot a")
	contains(t, fwRun(t, exitOK, "status", "-state", r.state), "slot a runs: garden version 1")

	r.install(t, makeBundle(t, 2, demoInt4))
	r.reload(t, "garden version 2, slot b proved itself", 1)
	r.waitLog(t, "model "+second+" instead of "+first+": the memory goes on", 2)
	r.waitLog(t, "looks for the first time", 4)
	r.waitUnmapped(t, "a")

	r.install(t, makeBundle(t, 3, demoInt8[:len(demoInt8)/2]))
	r.reload(t, "garden version 3, slot a is given up", 1)
	contains(t, fwRun(t, exitOK, "status", "-state", r.state), "slot b runs: garden version 2")
	runs(int4, "garden version 2, slot b")

	fwRun(t, exitOK, "rollback", "-state", r.state) // to what the binary brings, since slot a is not good any more
	r.reload(t, "the model of the binary runs", 1)
	r.waitLog(t, "model "+binary+" instead of "+second+", whose memory it cannot read: it goes on with its own of frame set", 2)
	r.waitLog(t, "looks for the first time", 6)
	runs(int8, "")
	r.waitUnmapped(t, "b")
	waitScenes(t, c, func(s wire.SceneStatus) bool { return s.State == wire.StateWatching })
	if n := asked(); n == 0 {
		t.Error("no question was answered")
	} else {
		t.Logf("%d questions were answered", n)
	}
	c.Close()
	r.stop(t)
	text := r.err.String()
	for _, view := range []string{"a: v: live", "a: w: live", "b: v: live", "a: watching v, w", "b: watching v"} {
		if n := strings.Count(text, view); n != 1 {
			t.Errorf("%q is told %d times: cameras were closed", view, n)
		}
	}
	gaps := regexp.MustCompile(`(\w): [^\n]+ looks for the first time, (\S+) after`).FindAllStringSubmatch(text, -1)
	if len(gaps) != 6 {
		t.Errorf("%d gaps are told, want 6", len(gaps))
	}
	for _, g := range gaps {
		t.Logf("scene %s was not looked at for %s", g[1], g[2])
	}
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

// TestExchangeNeedsRoom: a model for which there is no memory beside the one that runs waits for the next start.
func TestExchangeNeedsRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("adds up the same everywhere")
	}
	f, err := config.Load(twoRooms(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	m, err := openModel("", nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := planRAM(m, f, nil)
	m.Close()
	r, _ := startRun(t, twoRooms(t, fmt.Sprintf("budgets: {ram: %d}\n", plan.total())))
	r.install(t, makeBundle(t, 1, demoInt4))
	r.reload(t, "budgets.ram of the configuration. Take a smaller model, fewer scenes or smaller pictures, or allow more; it is tried when edged is started again", 1)
	contains(t, fwRun(t, exitOK, "status", "-state", r.state), "ready  garden version 1")
	r.stop(t)
	r.start(t)
	r.waitLog(t, "garden version 1, slot a proved itself", 1)
	r.stop(t)
}

// TestExchangeConfigured: a model that the configuration names is exchanged in the same way, and one that does not
// run is not used.
func TestExchangeConfigured(t *testing.T) {
	if testing.Short() {
		t.Skip("TestExchange does as much")
	}
	path := twoRooms(t, "")
	r, c := startRun(t, path)
	scenes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("m.gguf", demoInt4)
	write("bad.gguf", demoInt4[:len(demoInt4)/2])
	write("c.yaml", append([]byte("model: bad.gguf\n"), scenes...))
	r.reload(t, "the model of the binary goes on", 1)
	runs := func(want []byte) {
		t.Helper()
		if st, err := c.Status(t.Context()); err != nil || st.Model != modelName(t, want) {
			t.Errorf("%+v, %v", st, err)
		}
	}
	write("c.yaml", append([]byte("model: m.gguf\n"), scenes...))
	r.reload(t, "m.gguf runs", 1)
	runs(demoInt4)
	// Another file of that name is another model, the same one is not opened again.
	read := strings.Count(r.err.String(), "the configuration was read again")
	r.reload(t, "the configuration was read again", read+1)
	if n := strings.Count(r.err.String(), "m.gguf is tried"); n != 1 {
		t.Errorf("m.gguf was tried %d times", n)
	}
	write("new.gguf", demoInt8)
	m := filepath.Join(filepath.Dir(path), "m.gguf")
	if err := os.Rename(filepath.Join(filepath.Dir(path), "new.gguf"), m); err != nil {
		t.Fatal(err)
	}
	r.reload(t, "m.gguf runs", 2)
	runs(demoInt8)
	if err := os.Chtimes(m, time.Time{}, time.Unix(1, 0)); err != nil { // which is no other file
		t.Fatal(err)
	}
	read = strings.Count(r.err.String(), "the configuration was read again")
	r.reload(t, "the configuration was read again", read+1)
	if n := strings.Count(r.err.String(), "m.gguf is tried"); n != 2 {
		t.Errorf("m.gguf was tried %d times", n)
	}
	// What is written into it is noticed without being told.
	f, err := os.OpenFile(m, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte{^demoInt8[len(demoInt8)-1]}, int64(len(demoInt8)-1))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	r.waitLog(t, "m.gguf runs", 3)
	r.waitLog(t, "m.gguf was written to while it is in use", 1)
	c.Close()
	r.stop(t)
}

// TestBundleDefaults: what a bundle says for all scenes holds once it runs, and where the device does not say.
func TestBundleDefaults(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("scenes:\n  interval: soon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, fwRun(t, exitInput, "build", "-name", "garden", "-version", "1", "-defaults", bad, "-o", filepath.Join(dir, "g.fw")), "bad.yaml:2:13: \"soon\": want a time")
	path := twoRooms(t, "")
	r, c := startRun(t, path)
	wrong := makeBundle(t, 1, demoInt8, "outputs: []\n")
	contains(t, fwRun(t, exitFailed, "verify", wrong, "-trust", fwKeys+"minisign.pub"), `defaults.yaml:1:1: unknown key "outputs"`)
	contains(t, fwRun(t, exitFailed, "install", wrong, "-trust", fwKeys+"minisign.pub", "-state", r.state, "-quiet"), `unknown key "outputs"`)
	contains(t, fwRun(t, exitOK, "status", "-state", r.state), "slot a  bad")

	r.install(t, makeBundle(t, 2, demoInt8, "scenes: {interval: 3s, prompt: how many objects are there?}\n"))
	r.reload(t, "garden version 2, slot a proved itself", 1)
	r.waitLog(t, "garden version 2, slot a brings: scene a: prompts: how many objects are there?; scene b: prompts: how many objects are there?", 1)
	waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Captions > 0 && len(s.Caption) < 10 }) // a number
	for _, view := range []string{"a: v: live", "a: w: live", "b: v: live"} {
		if n := strings.Count(r.err.String(), view); n != 1 {
			t.Errorf("%q is told %d times: cameras were closed", view, n)
		}
	}
	code, out, stderr := runCommand(t, "check", "-config", path, "-state", r.state)
	if code != exitOK || !strings.Contains(out, "from garden version 2, slot a:\n  scene a: prompts: how many objects are there?\n") {
		t.Errorf("check: %d, %q, %q", code, out, stderr)
	}
	c.Close()
	r.stop(t)
}

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
