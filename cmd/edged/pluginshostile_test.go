package main

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/internal/wasmtest"
	"github.com/visualrwkv/edged/wire"
)

// Which of the mutated modules TestRunHostile loads, from the first to before the last, unless EDGED_HOSTILE says
// which, as "make soak" does. A module is mutated by its number.
var fewHostile = [2]int{0, 300}

const (
	// Modules that are loaded together: as many as a configuration may name, beside a good one.
	together = 15
	// Pictures that each of them is asked about, and captions.
	picturesEach = 2
	// What memory may grow by: garbage takes 44 MiB within the first 3,000 modules and no more in 10,000.
	maxHostileGrowth = 64 << 20
)

// TestRunHostile has edged read its configuration again and again, each time with as many mutated modules as may
// run. Their ends are told in the log or the status, and captions of the same pictures are those of an edged
// without plugins, byte for byte. What it occupies does not grow.
func TestRunHostile(t *testing.T) {
	needProcess(t)
	from, to := fewHostile[0], fewHostile[1]
	if s := os.Getenv("EDGED_HOSTILE"); s != "" {
		if _, err := fmt.Sscanf(s, "%d-%d", &from, &to); err != nil || from >= to {
			t.Fatalf("EDGED_HOSTILE is %q, not two numbers such as 0-10000", s)
		}
	}
	t.Parallel()
	batches := (to - from + together - 1) / together
	plain := startLockStep(t, "")
	plain.reload(t, nil)
	for range batches*picturesEach + 1 {
		plain.show(t)
	}
	want := plain.captions(t)
	plain.stop(t)
	victim := wasmtest.Everything("", `{"action":"pass","tags":["b"],"alert":"c"}`)
	for _, mode := range []string{config.WASMCompiler, config.WASMInterpreter} {
		t.Run(mode, func(t *testing.T) {
			r := startLockStep(t, mode)
			var ends hostileEnds
			var first soakSample
			began := time.Now()
			for n := from; n < to; n += together {
				var names []string
				for i := n; i < min(n+together, to); i++ {
					names = append(names, fmt.Sprintf("m%d.wasm", i))
					pluginFile(t, r.dir, names[len(names)-1], wasmtest.Mutate(rand.New(rand.NewPCG(7, uint64(i))), victim))
				}
				loaded := r.load(t, names)
				for range picturesEach {
					r.show(t)
				}
				ends.refused += len(names) - len(loaded)
				r.ends(t, loaded, &ends)
				if n == from {
					first = r.sample(t)
				}
				for _, name := range names {
					os.Remove(filepath.Join(r.dir, name))
				}
			}
			r.reload(t, nil)
			r.show(t)
			last := r.sample(t)
			t.Logf("%d modules in %v: %d refused, %d did not start, %d failed, %d did not; resident %s to %s; goroutines %d to %d; descriptors %d to %d; %s of compiled code kept; %d pictures shown again",
				to-from, time.Since(began).Round(time.Second), ends.refused, ends.unstarted, ends.failed, ends.ran,
				size(first.rss), size(last.rss), first.goroutines, last.goroutines, first.files, last.files, size(folderSize(t, filepath.Join(r.state, wasmFolder))), r.again)
			if got := r.captions(t); !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("captions\n%s\nwithout plugins\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			const spare = 10
			if last.goroutines > first.goroutines+spare || last.files > first.files+spare {
				t.Error("goroutines or descriptors are left behind")
			}
			if last.rss > first.rss+maxHostileGrowth {
				t.Error("memory grows")
			}
			if ends.refused == 0 || ends.failed == 0 || ends.ran == 0 {
				t.Error("not all ends were seen")
			}
			r.stop(t)
		})
	}
}

// hostileEnds counts what became of modules.
type hostileEnds struct{ refused, unstarted, failed, ran int }

// lockStep is an edged in a process of its own that watches a camera which shows a picture when it
// has seen the one before.
type lockStep struct {
	*process
	mode, dir, state, conf string
	log                    *os.File // what it writes is in it before it says that it is ready
	m                      manager
	c                      *client.Client
	server                 *httptest.Server
	room                   camera.Source
	next                   chan []byte
	shown                  int64
	again                  int // pictures shown again: they came too soon for plugins
}

func startLockStep(t *testing.T, mode string) *lockStep {
	t.Helper()
	r := &lockStep{mode: mode, dir: t.TempDir(), next: make(chan []byte)}
	r.room = sim.NewRoom(1, 1, 0, false).Views()[0].Source
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.server.Close)
	r.conf, r.state = filepath.Join(r.dir, "c.yaml"), filepath.Join(r.dir, "state")
	pluginFile(t, r.dir, "good.wasm", wasmtest.Captioner(`{"tags":["good"]}`))
	r.configure(t, nil)
	r.process = newProcessFor(t, time.Hour, "run", "-config", r.conf, "-state", r.state, "-socket", testSocket(t))
	var environment []string
	r.m, environment = newManager(t, time.Minute)
	r.Env = append(r.Env, environment...)
	var err error
	if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
		t.Fatal(err)
	}
	r.Stderr = r.log
	t.Cleanup(func() {
		if text := r.said(t, 0); t.Failed() {
			t.Logf("the end of its log:\n%s", text[max(0, len(text)-8192):])
		}
		r.log.Close()
	})
	r.start(t)
	r.m.wait(t, "READY=1")
	if r.c, err = client.Dial(t.Context(), r.Args[len(r.Args)-1], nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.c.Close() })
	return r
}

func (r *lockStep) configure(t *testing.T, names []string) {
	t.Helper()
	var b strings.Builder
	if r.mode != "" {
		fmt.Fprintf(&b, "wasm: %s\nplugins:\n", r.mode)
		for _, name := range names {
			fmt.Fprintf(&b, "- {file: %s, allow: [on_frame, on_caption, emit], memory: 1MiB, call_limit: 5ms, rate: 30}\n", name)
		}
		b.WriteString("- {file: good.wasm, allow: [on_caption], memory: 1MiB, call_limit: 10s}\n")
	}
	fmt.Fprintf(&b, "scenes: [{name: a, interval: 10ms, gate: {pixels: -1, state: 0}, views: [{name: v, source: '%s/'}]}]\n", r.server.URL)
	pluginFile(t, r.dir, "c.yaml", []byte(b.String()))
}

// reload has the configuration read with these modules, and returns what the log says of that.
func (r *lockStep) reload(t *testing.T, names []string) string {
	t.Helper()
	r.configure(t, names)
	before, err := r.log.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.m.wait(t, "READY=1")
	return r.said(t, before)
}

// said is what the log has from a place on.
func (r *lockStep) said(t *testing.T, from int64) string {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(r.log, from, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// load has the modules loaded of which the log does not say what is wrong with them, and returns those.
func (r *lockStep) load(t *testing.T, names []string) []string {
	t.Helper()
	for {
		said := r.reload(t, names)
		if strings.Contains(said, "the configuration was read again: ") {
			return names
		}
		all := len(names)
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return strings.Contains(said, fmt.Sprintf("  %s: plugin %s: ", filepath.Join(r.dir, name), pluginName(name)))
		})
		if len(names) == all {
			t.Fatalf("nothing is said of what is wrong:\n%s", said)
		}
	}
}

// serve is the camera.
func (r *lockStep) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=frame")
	w.(http.Flusher).Flush()
	for {
		select {
		case p := <-r.next:
			fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(p), p)
			w.(http.Flusher).Flush()
		case <-req.Context().Done():
			return
		}
	}
}

// show shows the next picture, and waits until it is part of a frame set. One that comes sooner than
// plugins are asked again is shown again, as is one that is lost with the connection.
func (r *lockStep) show(t *testing.T) {
	t.Helper()
	f, err := r.room.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, f.Image, nil); err != nil {
		t.Fatal(err)
	}
	f.Release()
	before := r.scene(t)
	for ; ; r.again++ {
		lost := before.Views[0]
		select {
		case r.next <- b.Bytes():
		case <-time.After(processTime):
			t.Fatal("nobody asks for the next picture")
		}
		for end := time.Now().Add(processTime); ; time.Sleep(3 * time.Millisecond) {
			s := r.scene(t)
			if s.Frames > before.Frames {
				r.shown++
				return
			}
			if v := s.Views[0]; v.Skipped > lost.Skipped || v.Faults > lost.Faults {
				before.Views = s.Views
				break
			}
			if time.Now().After(end) {
				t.Fatalf("a picture became no part of a frame set: %+v", s)
			}
		}
	}
}

func (r *lockStep) scene(t *testing.T) wire.SceneStatus {
	t.Helper()
	st, err := r.c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Scenes[0]
}

// ends counts how modules that were loaded are, each of which has to be in the status, with a reason unless it runs.
func (r *lockStep) ends(t *testing.T, names []string, ends *hostileEnds) {
	t.Helper()
	st, err := r.c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Plugins) != len(names)+1 || len(st.Problems) > 0 {
		t.Fatalf("%d plugins in the status, %d were loaded; problems %q", len(st.Plugins), len(names)+1, st.Problems)
	}
	for i, p := range st.Plugins {
		if i == len(names) {
			if p.Name != "good" || p.State != wire.PluginRunning || p.Failures > 0 || p.Calls != r.shown {
				t.Errorf("the good plugin: %+v", p)
			}
			continue
		}
		switch {
		case p.Name != pluginName(names[i]) || (p.State != wire.PluginRunning || p.Failures > 0) && p.Reason == "":
			t.Errorf("%+v", p)
		case p.State == wire.PluginDisabled && p.Failures == 0:
			ends.unstarted++
		case p.Failures > 0:
			ends.failed++
		default:
			ends.ran++
		}
		if p.LeftOut > 0 {
			t.Errorf("the mutations leave out pictures or captions by right: %+v", p)
		}
	}
}

// captions are those of the log, each with the number of its frame set.
func (r *lockStep) captions(t *testing.T) (all []string) {
	t.Helper()
	for e, err := range r.c.Search(t.Context(), &wire.Search{Event: wire.EventCaption}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d %s", e.Frame, e.Text))
	}
	return all
}

func (r *lockStep) sample(t *testing.T) soakSample {
	t.Helper()
	s := &soakClients{t: t, socket: r.Args[len(r.Args)-1]}
	best := s.sample(t.Context(), r.Process.Pid, 0)
	for range 20 { // what is on its way ends
		time.Sleep(50 * time.Millisecond)
		now := s.sample(t.Context(), r.Process.Pid, 0)
		best.rss, best.goroutines, best.files = min(best.rss, now.rss), min(best.goroutines, now.goroutines), min(best.files, now.files)
	}
	return best
}

func (r *lockStep) stop(t *testing.T) {
	t.Helper()
	r.c.Close()
	r.Process.Signal(syscall.SIGTERM)
	if err := r.wait(); err != nil {
		t.Errorf("its end: %v", err)
	}
}

// folderSize is how many bytes the files of a folder have, 0 where there is none.
func folderSize(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return n
}
