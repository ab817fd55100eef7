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
			r.load(t, nil)
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

// served is an edged in a process of its own, with a service manager.
type served struct {
	*process
	conf, state string
	log         *os.File // what it writes is in it before it says that it is ready
	m           manager
	c           *client.Client
}

// serve starts edged with a configuration.
func serve(t *testing.T, conf string, life time.Duration) *served {
	t.Helper()
	dir := t.TempDir()
	r := &served{conf: conf, state: filepath.Join(dir, "state")}
	r.process = newProcessFor(t, life, "run", "-config", conf, "-state", r.state, "-socket", testSocket(t))
	var environment []string
	r.m, environment = newManager(t, time.Minute)
	r.Env = append(r.Env, environment...)
	var err error
	if r.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
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

// reload has the configuration read, and returns what the log says of that.
func (r *served) reload(t *testing.T) string {
	t.Helper()
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
func (r *served) said(t *testing.T, from int64) string {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(r.log, from, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (r *served) stop(t *testing.T) {
	t.Helper()
	r.c.Close()
	r.Process.Signal(syscall.SIGTERM)
	if err := r.wait(); err != nil {
		t.Errorf("its end: %v", err)
	}
}

// lockStep is an edged that watches a camera which shows a picture when it has seen the one before.
type lockStep struct {
	*served
	mode, dir string
	server    *httptest.Server
	room      camera.Source
	next      chan []byte
	shown     int64
	again     int // pictures shown again: they came too soon for plugins
}

func startLockStep(t *testing.T, mode string) *lockStep {
	t.Helper()
	r := &lockStep{mode: mode, dir: t.TempDir(), next: make(chan []byte)}
	r.room = sim.NewRoom(1, 1, 0, false).Views()[0].Source
	r.server = httptest.NewServer(http.HandlerFunc(r.camera))
	t.Cleanup(r.server.Close)
	pluginFile(t, r.dir, "good.wasm", wasmtest.Captioner(`{"tags":["good"]}`))
	r.served = serve(t, r.configure(t, nil), time.Hour)
	return r
}

// configure writes a configuration with these modules.
func (r *lockStep) configure(t *testing.T, names []string) string {
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
	return pluginFile(t, r.dir, "c.yaml", []byte(b.String()))
}

// load has the modules loaded of which the log does not say what is wrong with them, and returns those.
func (r *lockStep) load(t *testing.T, names []string) []string {
	t.Helper()
	for {
		r.configure(t, names)
		said := r.reload(t)
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

// camera is the server that it watches.
func (r *lockStep) camera(w http.ResponseWriter, req *http.Request) {
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

// TestBundleHostile: bundles whose plugin does not load or start, however it does that, are given up by a running
// edged, and what ran before goes on. One that fails later is disabled, with the reason, and captions go on without it.
func TestBundleHostile(t *testing.T) {
	needProcess(t)
	t.Parallel()
	conf := pluginFile(t, t.TempDir(), "c.yaml", []byte("scenes: [{name: a, interval: 50ms, gate: {pixels: -1}, views: [{name: v, rate: 20, source: 'sim:1/front'}]}]\n"))
	r := serve(t, conf, processTime)
	version := uint64(0)
	deliver := func(wasm []byte, want string) {
		t.Helper()
		version++
		before, err := r.log.Seek(0, io.SeekEnd)
		if err != nil {
			t.Fatal(err)
		}
		fwRun(t, exitOK, "install", pluginBundle(t, version, "words.wasm", wasm), "-trust", fwKeys+"minisign.pub", "-state", r.state, "-quiet")
		r.reload(t)
		want = fmt.Sprintf("garden version %d, ", version) + want
		for end := time.Now().Add(time.Minute); !strings.Contains(r.said(t, before), want); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q is not told:\n%s", want, r.said(t, before))
			}
		}
	}
	plugin := func() wire.PluginStatus {
		t.Helper()
		st, err := r.c.Status(t.Context())
		if err != nil || len(st.Plugins) != 1 {
			t.Fatalf("%+v, %v", st, err)
		}
		return st.Plugins[0]
	}
	deliver(wasmtest.Captioner(`{"tags":["good"]}`), "slot a proved itself")
	untilTagged(t, r.c, wire.EventCaption, "good")
	starts := func(code []byte, pages int) []byte {
		m := wasmtest.Module{Funcs: []wasmtest.Func{
			{Export: "edged_abi_version", Results: "i", Code: wasmtest.I32(1)},
			{Export: "edged_alloc", Params: "i", Results: "i", Code: wasmtest.I32(wasmtest.GuestInput)},
			{Export: "_initialize", Code: code},
			{Export: "edged_on_caption", Params: "ii", Results: "I", Code: wasmtest.I64(0)},
		}, Pages: pages}
		return m.Bytes()
	}
	for want, wasm := range map[string][]byte{
		"_initialize: unreachable":                        starts(wasmtest.Trap(), 1),
		"_initialize took longer than 5s":                 starts(wasmtest.Loop(), 1),
		"the module needs 64.0 MiB":                       starts(nil, 1024),
		"_initialize: functions call each other too deep": starts(wasmtest.Code(wasmtest.Call(2)), 1),
	} {
		deliver(wasm, "slot b is given up: scene a: plugin words: "+want)
		status := fwRun(t, exitOK, "status", "-state", r.state)
		contains(t, status, "slot a runs: garden version 1")
		contains(t, status, want)
		if p := plugin(); p.State != wire.PluginRunning || p.Failures > 0 {
			t.Errorf("%s: %+v", want, p)
		}
	}

	deliver(wasmtest.Guest(nil, wasmtest.Trap()), "slot b proved itself")
	for end := time.Now().Add(processTime); plugin().State != wire.PluginDisabled; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not disabled: %+v", plugin())
		}
	}
	if p := plugin(); p.Failures != 5 || p.Calls != 5 || !strings.Contains(p.Reason, "edged_on_caption: unreachable") {
		t.Errorf("%+v", p)
	}
	contains(t, r.said(t, 0), "a: plugin words: edged_on_caption: unreachable in $4(i32,i32) i64; it failed 5 times within 10m0s and is disabled")
	st, err := r.c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range r.c.Watch(t.Context(), new(wire.Watch)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption && e.Frame > st.Scenes[0].Frames {
			break
		}
	}
	contains(t, fwRun(t, exitOK, "status", "-state", r.state), fmt.Sprintf("slot b runs: garden version %d", version))
	r.stop(t)
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
