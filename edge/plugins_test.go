package edge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/fw/plugin"
	"github.com/visualrwkv/edged/internal/wasmtest"
	"github.com/visualrwkv/edged/wire"
)

// verdictBytes is an answer about a frame; a region of zeros is none.
func verdictBytes(skip bool, region plugin.Rect, masks ...plugin.Rect) string {
	var b []byte
	flag := func(v bool) {
		n := uint32(0)
		if v {
			n = 1
		}
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	rect := func(r plugin.Rect) {
		for _, v := range []float32{r.X, r.Y, r.W, r.H} {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	flag(skip)
	flag(region != plugin.Rect{})
	rect(region)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(masks)))
	for _, m := range masks {
		rect(m)
	}
	return string(b)
}

// framer answers about every frame the same.
func framer(answer string) []byte {
	code, data := wasmtest.Answers(answer)
	return wasmtest.Guest(code, nil, data)
}

// skipsWhere skips frames of which the integer at an offset of the input, with an opcode of its
// own to load it, is not zero.
func skipsWhere(load byte, at uint64) []byte {
	skip := verdictBytes(true, plugin.Rect{})
	code := wasmtest.Code(
		wasmtest.Get(0), wasmtest.Op(load, 0, at),
		[]byte{0x04, 0x7e}, wasmtest.I64(wasmtest.GuestAnswer<<32|int64(len(skip))), // if ... else nothing
		[]byte{0x05}, wasmtest.I64(0), []byte{0x0b},
	)
	return wasmtest.Guest(code, nil, wasmtest.Data{At: wasmtest.GuestAnswer, Bytes: skip})
}

const (
	loadWord = 0x28 // i32.load
	loadByte = 0x2d // i32.load8_u
)

var everything = []string{plugin.PermitFrames, plugin.PermitPixels, plugin.PermitCaptions, plugin.PermitReplace, plugin.PermitEmit}

// compiled makes plugins of modules, which may do everything, in an engine that is closed with the test.
func compiled(t testing.TB, modules ...[]byte) []Plugin {
	t.Helper()
	e, err := plugin.NewEngine(t.Context(), plugin.EngineConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	var all []Plugin
	for i, wasm := range modules {
		name := string(rune('a' + i))
		m, err := e.Compile(t.Context(), name, wasm)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Plugin{Module: m, Options: plugin.Options{Name: name, Permissions: everything, CallLimit: plugin.MaxCallLimit}})
	}
	return all
}

// watched is what came of a scene with plugins.
type watched struct {
	d      *Daemon
	steps  []Step // as they were when they were over
	events []*wire.Event
	log    []string
	status []wire.PluginStatus // after the last step
}

// watchWith watches films of n pictures in lock step with plugins until their end; see looks at
// each step.
func watchWith(t *testing.T, n uint64, with []Plugin, see func(*Step)) *watched {
	t.Helper()
	w := new(watched)
	a, b := newFilm(n), newFilm(n)
	var mu sync.Mutex
	d, err := New(Config{
		Model: &fakeModel{}, Journal: Journal{Dir: t.TempDir()},
		Log: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			w.log = append(w.log, line)
		},
		Scenes: []Scene{{Views: views(a, b), LockStep: true, Gate: Gate{Pixels: -1}, Plugins: with, Observe: func(s *Step) {
			if see != nil {
				see(s)
			}
			c := *s
			c.Views = slices.Clone(s.Views)
			w.steps = append(w.steps, c)
			w.status = w.d.scenes[0].pluginStatus()
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.d = d
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-d.Done()
	if _, err := d.Search(t.Context(), &wire.Search{Limit: wire.MaxFound}, nil, func(e *wire.Event) error {
		w.events = append(w.events, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := d.Err(); err != nil {
		t.Error(err)
	}
	a.check(t)
	b.check(t)
	return w
}

// of returns the events of a kind.
func (w *watched) of(kind string) (found []*wire.Event) {
	for _, e := range w.events {
		if e.Event == kind {
			found = append(found, e)
		}
	}
	return found
}

// texts of captions.
func texts(events []*wire.Event) (all []string) {
	for _, e := range events {
		if e.Event == wire.EventCaption {
			all = append(all, e.Text)
		}
	}
	return all
}

// TestPluginHides: what a plugin masks and leaves out is seen by nobody behind it: the next
// plugin, the gate, the model. Masks add up and the last region wins.
func TestPluginHides(t *testing.T) {
	left, top := plugin.Rect{W: 0.5, H: 1}, plugin.Rect{W: 1, H: 0.25}
	// The last one leaves pictures out of which the first pixel is not black, so that no picture is
	// seen without the first.
	with := compiled(t,
		framer(verdictBytes(false, plugin.Rect{W: 0.5, H: 0.5}, left)),
		framer(verdictBytes(false, plugin.Rect{W: 1, H: 0.75}, top)),
		skipsWhere(loadByte, 64),
	)
	pictures := 0
	w := watchWith(t, 3, with, func(s *Step) {
		for _, f := range s.Set.Frames {
			pictures++
			if b := f.Image.Bounds(); b.Dx() != 32 || b.Dy() != 18 || f.Size != b.Size() {
				t.Errorf("%v, %v", b, f.Size)
			}
			for y := range 18 {
				for x := range 32 {
					if r, _, _, _ := f.Image.At(x, y).RGBA(); (r == 0) != (x < 16 || y < 6) {
						t.Fatalf("%d, %d: %d", x, y, r)
					}
				}
			}
		}
	})
	if pictures != 6 || len(texts(w.events)) != 3 {
		t.Errorf("%d pictures, %d captions", pictures, len(texts(w.events)))
	}
	if w := watchWith(t, 3, with[2:], nil); len(w.steps) != 0 {
		t.Errorf("%d frame sets were looked at of which all was to be left out", len(w.steps))
	}
}

// undeveloped is a source of n pictures that are decoded when they are asked for, of which every
// second is damaged.
type undeveloped struct{ n, decoded atomic.Int64 }

func (u *undeveloped) Next(context.Context) (camera.Frame, error) {
	n := 10 - u.n.Add(-1)
	if n > 10 {
		return camera.Frame{}, io.EOF
	}
	return camera.NewLazyFrame(image.Pt(32, 24), func() (image.Image, error) {
		u.decoded.Add(1)
		if n%2 == 0 {
			return nil, errors.New("damaged")
		}
		img := image.NewRGBA(image.Rect(0, 0, 32, 24))
		for i := range img.Pix {
			img.Pix[i] = filmLevel(uint64(n))
		}
		return img, nil
	}, time.Unix(1000+n, 0), uint64(n), nil), nil
}

func (*undeveloped) Close() error { return nil }

// TestPluginsDecode: pictures that plugins are asked about are decoded once, and damaged ones counted once;
// plugins do not hear of those.
func TestPluginsDecode(t *testing.T) {
	src := new(undeveloped)
	src.n.Store(10)
	calls := int64(0)
	var d *Daemon
	d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{
		Views: []camera.View{{Name: "v", Source: src}}, LockStep: true, Gate: Gate{Pixels: -1},
		Plugins: compiled(t, framer(verdictBytes(false, plugin.Rect{}))),
		Observe: func(*Step) { calls = d.scenes[0].pluginStatus()[0].Calls },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if s := d.Stats(); s.Frames != 5 || s.Damaged != 5 || src.decoded.Load() != 10 || calls != 5 {
		t.Errorf("%+v, decoded %d times, asked %d times", s, src.decoded.Load(), calls)
	}
}

// TestPluginPictureSize: interpreted plugins are not given more than they get through, unless the configuration wants that;
// compiled ones see whole pictures.
func TestPluginPictureSize(t *testing.T) {
	for _, c := range []struct {
		mode          string
		may           []string
		width, height int // configured
		want          int // width of what it is given of 640x480
	}{
		{"interpreter", everything, 0, 0, 160}, {"interpreter", everything, 320, 320, 320}, {"interpreter", everything, 1000, 1000, 640},
		{"interpreter", everything[:1], 0, 0, 80}, {"compiler", everything, 0, 0, 640}, {"compiler", everything, 300, 200, 267},
	} {
		e, err := plugin.NewEngine(t.Context(), plugin.EngineConfig{Mode: c.mode})
		if err != nil {
			t.Log(err) // a process that may not make code has no compiler
			continue
		}
		// It leaves out pictures that are as wide as wanted.
		skip := verdictBytes(true, plugin.Rect{})
		code := wasmtest.Code(wasmtest.Get(0), wasmtest.Op(loadWord, 0, 8), wasmtest.I32(int32(c.want)), []byte{0x46, 0x04, 0x7e},
			wasmtest.I64(wasmtest.GuestAnswer<<32|int64(len(skip))), []byte{0x05}, wasmtest.I64(0), []byte{0x0b})
		guest := &wasmtest.Module{
			Funcs: []wasmtest.Func{
				{Export: "edged_abi_version", Results: "i", Code: wasmtest.I32(1)},
				{Export: "edged_alloc", Params: "i", Results: "i", Code: wasmtest.I32(wasmtest.GuestInput)},
				{Export: "edged_on_frame", Params: "ii", Results: "I", Code: code},
			},
			Pages: 16, Data: []wasmtest.Data{{At: wasmtest.GuestAnswer, Bytes: skip}},
		}
		m, err := e.Compile(t.Context(), "p", guest.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		f := newFilm(0)
		d, err := New(Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), Plugins: []Plugin{{Module: m, Options: plugin.Options{
			Name: "p", Permissions: c.may, CallLimit: plugin.MaxCallLimit, Width: c.width, Height: c.height,
		}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		s := d.scenes[0]
		s.beginPlugins(t.Context())
		picture := camera.NewFrame(vga(), time.Unix(1, 0), 0, nil)
		if shown, err := s.shows(t.Context(), 0, &picture, 1); shown || err != nil {
			t.Errorf("%+v: it was given another size, or none: %v, %+v", c, err, s.pluginStatus())
		}
		s.endPlugins()
		if err := errors.Join(e.Close(t.Context()), d.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestPluginSkips: a view that a plugin leaves out is missing.
func TestPluginSkips(t *testing.T) {
	with := compiled(t, skipsWhere(loadWord, 4)) // number of the view
	with[0].Permissions = []string{plugin.PermitFrames}
	w := watchWith(t, 4, with, nil)
	if len(w.steps) != 4 {
		t.Fatalf("%d frame sets", len(w.steps))
	}
	for _, s := range w.steps {
		if !slices.Equal(s.Views, []string{"view0"}) {
			t.Errorf("views %q", s.Views)
		}
	}
	s := w.status[0]
	if s.Calls != 8 || s.LeftOut != 4 || s.Failures != 0 || s.State != wire.PluginRunning || s.MemoryBytes == 0 || s.Scene != "room" || s.Name != "a" || !slices.Equal(s.Permissions, with[0].Permissions) {
		t.Errorf("%+v", s)
	}
	if missing := w.d.scenes[0].views[1].missing.Load(); missing != 4 {
		t.Errorf("%d missing", missing)
	}
	// What it may not do it is not asked about.
	with[0].Permissions = []string{plugin.PermitCaptions}
	if w := watchWith(t, 2, with, nil); w.status[0].Calls != 0 || len(w.steps[0].Views) != 2 {
		t.Errorf("%+v", w.status[0])
	}
}

// TestPluginCaptions: plugins change, tag and drop captions one after the other, and what is
// published is compared as it is published.
func TestPluginCaptions(t *testing.T) {
	plain := watchWith(t, 3, nil, nil)
	tagged := watchWith(t, 3, compiled(t,
		wasmtest.Captioner(`{"tags":["box"],"alert":"look!"}`),
		wasmtest.Guest(wasmtest.I64(0), wasmtest.I64(0)),
		wasmtest.Captioner(`{"action":"pass","tags":["red","box"]}`)), nil)
	if !slices.Equal(texts(plain.events), texts(tagged.events)) {
		t.Errorf("captions %q, without plugins %q", texts(tagged.events), texts(plain.events))
	}
	var kinds []string
	for _, e := range tagged.events {
		if e.Event == wire.EventState {
			continue
		}
		kinds = append(kinds, e.Event)
		if want := []string{"box", "red"}; e.Event == wire.EventCaption && !slices.Equal(e.Tags, want) {
			t.Errorf("tags %q, want %q", e.Tags, want)
		}
		if e.Event == wire.EventAlert && (e.Text != "look!" || e.Plugin != "a" || !slices.Equal(e.Tags, []string{"box"}) || e.Scene != "room" || e.Time == 0 || e.Seq == 0) {
			t.Errorf("%+v", e)
		}
	}
	if got := strings.Join(kinds, " "); got != "caption alert caption alert caption alert" {
		t.Errorf("events %s", got)
	}
	if captions, alerts := tagged.of(wire.EventCaption), tagged.of(wire.EventAlert); captions[1].Frame != alerts[1].Frame || captions[1].Time != alerts[1].Time {
		t.Errorf("%+v, %+v", captions[1], alerts[1])
	}

	same := watchWith(t, 3, compiled(t, wasmtest.Captioner(`{"action":"replace","text":"as ever"}`)), nil)
	if got := texts(same.events); !slices.Equal(got, []string{"as ever"}) || same.d.Stats().Repeated != 2 || same.steps[2].Text != "as ever" || same.steps[2].New {
		t.Errorf("%q, %+v", got, same.d.Stats())
	}
	none := watchWith(t, 3, compiled(t, wasmtest.Captioner(`{"action":"drop","alert":"dropped"}`), wasmtest.Captioner(`{"tags":["never"]}`)), nil)
	if got := texts(none.events); got != nil || len(none.of(wire.EventAlert)) != 3 || none.d.Stats().Repeated != 0 || none.steps[0].Text != "" ||
		none.status[0].LeftOut != 3 || none.status[1].Calls != 0 {
		t.Errorf("%q, %+v, %+v", got, none.d.Stats(), none.status)
	}
	may := compiled(t, wasmtest.Captioner(`{"action":"replace","text":"x","alert":"y"}`))
	may[0].Permissions = []string{plugin.PermitCaptions}
	if w := watchWith(t, 3, may, nil); !slices.Equal(texts(w.events), texts(plain.events)) || w.of(wire.EventAlert) != nil {
		t.Errorf("without permission: %q", texts(w.events))
	}
}

// TestPluginEmits: an alert about a picture says which view and frame set it is about.
func TestPluginEmits(t *testing.T) {
	var told []string
	w := watchWith(t, 2, compiled(t, emits(`{"text":"moved","tags":["cat"]}`)), nil)
	for _, e := range w.of(wire.EventAlert) {
		if e.Text != "moved" || e.Plugin != "a" || !slices.Equal(e.Tags, []string{"cat"}) || e.Time == 0 {
			t.Errorf("%+v", e)
		}
		told = append(told, e.View+string(rune('0'+e.Frame)))
	}
	if got := strings.Join(told, " "); got != "view01 view11 view02 view12" {
		t.Errorf("alerts about %s", got)
	}
}

// gated watches a film of which each frame is let through, a second after the one before, with plugins.
func gated(t *testing.T, with []Plugin) (d *Daemon, next func(frames int64), f *film) {
	t.Helper()
	f = newFilm(100)
	f.gate = make(chan struct{})
	t.Cleanup(func() { f.check(t) }) // once the daemon is closed
	d = start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{Views: views(f), Gate: Gate{Pixels: -1}, Plugins: with}}})
	return d, func(frames int64) {
		t.Helper()
		before := f.released.Load()
		f.gate <- struct{}{}
		time.Sleep(time.Second)
		if n := f.released.Load() - before; n != 1 || d.Stats().Frames != uint64(frames) {
			t.Fatalf("%d pictures released, %+v", n, d.Stats())
		}
	}, f
}

// TestPluginsWhilePaused: of pictures that an administrator wants nobody to look at, plugins are not asked
// either, and the first after that is not shown without them.
func TestPluginsWhilePaused(t *testing.T) { synctest.Test(t, testPluginsWhilePaused) }

func testPluginsWhilePaused(t *testing.T) {
	with := compiled(t, framer(verdictBytes(false, plugin.Rect{})))
	d, next, _ := gated(t, with)
	next(1)
	for _, c := range []struct {
		paused bool
		frames int64
		calls  int64
	}{{true, 1, 1}, {true, 1, 1}, {false, 2, 2}} {
		if err := d.pause("", c.paused); err != nil {
			t.Fatal(err)
		}
		next(c.frames)
		if s := d.scenes[0].pluginStatus()[0]; s.Calls != c.calls {
			t.Errorf("paused %v: %+v", c.paused, s)
		}
	}
}

// TestPluginsAllocate: a picture that a plugin is asked about costs no memory.
func TestPluginsAllocate(t *testing.T) { synctest.Test(t, testPluginsAllocate) }

func testPluginsAllocate(t *testing.T) {
	d, next, _ := gated(t, compiled(t, framer(verdictBytes(false, plugin.Rect{}, plugin.Rect{W: 0.5, H: 0.5}))))
	next(1)
	s := d.scenes[0]
	f := camera.NewFrame(image.NewRGBA(image.Rect(0, 0, 320, 240)), time.Now(), 1, nil)
	if n := testing.AllocsPerRun(20, func() {
		if ok, err := s.shows(t.Context(), 0, &f, 1); !ok || err != nil {
			t.Error(ok, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a picture", n)
	}
}

// TestSetPlugins: other plugins are asked from the next picture on, those that stay are not begun anew, and
// a call that takes long keeps nobody from ending.
func TestSetPlugins(t *testing.T) { synctest.Test(t, testSetPlugins) }

func testSetPlugins(t *testing.T) {
	with := compiled(t, wasmtest.Captioner(`{"tags":["a"]}`), wasmtest.Captioner(`{"tags":["b"]}`), wasmtest.Captioner(`{"tags":["c"]}`),
		wasmtest.Guest(nil, wasmtest.Code(wasmtest.Loop(), wasmtest.Trap())))
	d, next, f := gated(t, with[:2])
	status := func() string {
		var all []string
		for _, s := range d.scenes[0].pluginStatus() {
			all = append(all, fmt.Sprintf("%s %s %d", s.Name, s.State, s.Calls))
		}
		return strings.Join(all, ", ")
	}
	next(1)
	if got := status(); got != "a running 1, b running 1" {
		t.Error(got)
	}
	d.SetPlugins("room", []Plugin{with[2], with[0]})
	next(2)
	if got := status(); got != "c running 1, a running 2" {
		t.Error(got)
	}
	other := with[0]
	other.CallLimit = time.Second
	d.SetPlugins("room", []Plugin{other, {Options: plugin.Options{Name: "d"}, Missing: "no such file"}})
	next(3)
	if got := status(); got != "a running 1, d disabled 0" {
		t.Error(got)
	}
	d.SetPlugins("room", with[3:])
	f.gate <- struct{}{}
	for d.scenes[0].report().Views[0].Frames < 4 { // and no time passes while it is asked
		runtime.Gosched()
	}
}

// TestHostilePlugins: whatever a plugin does, captions are those without it, the status says
// what is wrong, and nothing runs when the daemon is closed.
func TestHostilePlugins(t *testing.T) {
	plain := texts(watchWith(t, 12, nil, nil).events)
	line := strings.Repeat("flood ", 80)
	flood := wasmtest.Code([]byte{0x03, 0x40}, wasmtest.I32(1), wasmtest.I32(wasmtest.GuestAnswer), wasmtest.I32(int32(len(line))), wasmtest.Call(wasmtest.GuestLog), []byte{0x0c, 0, 0x0b}, wasmtest.Trap())
	alarm := `{"text":"again"}`
	alarms := wasmtest.Code([]byte{0x03, 0x40}, wasmtest.I32(wasmtest.GuestAnswer), wasmtest.I32(int32(len(alarm))), wasmtest.Call(wasmtest.GuestEmit), []byte{0x0c, 0, 0x0b}, wasmtest.Trap())
	// The memory grows by a page again and again, and it traps when it cannot.
	bomb := wasmtest.Code([]byte{0x03, 0x40}, wasmtest.I32(1), wasmtest.Op(0x40, 0), wasmtest.I32(-1), []byte{0x46, 0x45, 0x0d, 0, 0x0b}, wasmtest.Trap())
	endless := wasmtest.Code(wasmtest.Loop(), wasmtest.Trap())
	recursive := wasmtest.Code(wasmtest.Get(0), wasmtest.Get(1), wasmtest.Call(4))
	for name, c := range map[string]struct {
		code   []byte
		data   string
		reason string
	}{
		"trap":      {wasmtest.Trap(), "", "unreachable"},
		"endless":   {endless, "", "took longer than 5ms"},
		"flood":     {flood, line, "took longer than 5ms"},
		"alarms":    {alarms, alarm, "took longer than 5ms"},
		"bomb":      {bomb, "", ""},
		"recursive": {recursive, "", "too deep"},
		"outside":   {wasmtest.I64(0x7fffff0000000010), "", "outside of its memory"},
		"nonsense":  {wasmtest.I64(wasmtest.GuestAnswer<<32 | 40), strings.Repeat("\xff", 40), "edged_on_"},
	} {
		t.Run(name, func(t *testing.T) {
			data := wasmtest.Data{At: wasmtest.GuestAnswer, Bytes: c.data}
			with := compiled(t, wasmtest.Guest(c.code, nil, data), wasmtest.Guest(nil, c.code, data))
			for i := range with {
				with[i].Memory = 1 << 20
				if strings.Contains(c.reason, "took longer") {
					with[i].CallLimit = 5 * time.Millisecond
				}
			}
			w := watchWith(t, 12, with, nil)
			if got := texts(w.events); !slices.Equal(got, plain) {
				t.Errorf("captions %q, without it %q", got, plain)
			}
			for _, s := range w.status {
				if s.Failures == 0 || s.State == wire.PluginRunning || !strings.Contains(s.Reason, c.reason) || s.Reason == "" {
					t.Errorf("%+v", s)
				}
			}
			if n := len(w.of(wire.EventAlert)); n > 40 {
				t.Errorf("%d alerts", n)
			}
			if n := len(w.log); n > 100 {
				t.Errorf("%d lines in the log", n)
			}
			if !slices.ContainsFunc(w.log, func(l string) bool { return strings.HasPrefix(l, "room: plugin a: ") && strings.Contains(l, c.reason) }) {
				t.Errorf("log %q", w.log)
			}
		})
	}
}
