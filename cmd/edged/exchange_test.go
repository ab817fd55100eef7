package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/edge/config"
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
