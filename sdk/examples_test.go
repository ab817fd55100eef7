//go:build !wasip1

package sdk_test

import (
	"context"
	"encoding/json"
	"image"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/fw/plugin"
	"github.com/visualrwkv/edged/internal/emulated"
)

// need skips a test that builds plugins where it is not to be or cannot: they are built once,
// natively, for what they do is the same everywhere. Continuous integration has the programs.
func need(t *testing.T, programs ...string) {
	t.Helper()
	emulated.SkipProcess(t)
	if testing.Short() {
		t.Skip("builds plugins")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skipf("%s is not installed: make deps", name)
		}
	}
}

// reads opens the files that programs read which a test starts, so that the go command does
// not take its result from before one of them changed.
func reads(t *testing.T, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, name := range files {
			if _, err := os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// host runs a plugin and keeps what it says.
type host struct {
	*plugin.Plugin
	now    time.Duration
	alerts []plugin.Alert
	log    []string
}

// start starts a plugin of a scene "yard" with views "front" and "left".
func start(t *testing.T, m *plugin.Module, config string) (*host, error) {
	t.Helper()
	h := &host{}
	began := time.Now()
	p, err := m.Start(context.Background(), plugin.Options{
		Name: "example", Scene: "yard", Views: []string{"front", "left"}, Config: json.RawMessage(config),
		Permissions: []string{plugin.PermitFrames, plugin.PermitCaptions, plugin.PermitEmit},
		CallLimit:   plugin.MaxCallLimit, // of a busy machine; docs/plugins.md has the times
		Log:         func(level slog.Level, line string) { h.log = append(h.log, line) },
		Emit:        func(a plugin.Alert) { h.alerts = append(h.alerts, a) },
		Clock:       func() time.Duration { return h.now },
	})
	if err != nil {
		return nil, err
	}
	t.Logf("started in %v", time.Since(began).Round(100*time.Microsecond))
	h.Plugin = p
	t.Cleanup(func() {
		if s := p.Status(); s.Failures > 0 {
			t.Errorf("%d failures, %s", s.Failures, s.Reason)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, nil
}

// took returns the texts of the alerts since the last time.
func (h *host) took() (texts []string) {
	for _, a := range h.alerts {
		texts = append(texts, a.Text)
	}
	h.alerts = nil
	return texts
}

// heap is how much memory Go occupies with what is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestExamples builds the plugins, and runs them with both engines.
func TestExamples(t *testing.T) {
	need(t, "make", "go", "clang-19", "wasm-ld-19")
	reads(t, "../Makefile", "*.h", "*.go", "examples/*/*.*")
	dir := t.TempDir()
	if out, err := exec.Command("make", "-C", "..", "plugins", "PLUGINS="+dir).CombinedOutput(); err != nil {
		t.Fatalf("make plugins: %v\n%s", err, out)
	}
	for _, mode := range []string{"compiler", "interpreter"} {
		t.Run(mode, func(t *testing.T) {
			ctx := context.Background()
			engine, err := plugin.NewEngine(ctx, plugin.EngineConfig{Mode: mode})
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close(ctx)
			for name, test := range map[string]func(*testing.T, *plugin.Module){"alert": testAlert, "crossing": testCrossing} {
				wasm, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
				if err != nil {
					t.Fatal(err)
				}
				before := heap()
				began := time.Now()
				m, err := engine.Compile(ctx, name+".wasm", wasm)
				if err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				t.Logf("%s: %d bytes, made ready in %v; %.1f MiB beside machine code", name, len(wasm), took.Round(time.Millisecond), float64(heap()-before)/(1<<20))
				t.Run(name, func(t *testing.T) { test(t, m) })
				if name == "crossing" && mode == "compiler" {
					t.Run("rooms", func(t *testing.T) { testRooms(t, m) })
				}
			}
		})
	}
}

func testAlert(t *testing.T, m *plugin.Module) {
	h, err := start(t, m, `{"rules":[{"words":["person","red ball"],"tag":"visitor","cooldown":"90s"},{"pattern":"(?i)left$","scenes":["hall"]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if frames, _ := h.WantsFrames(); frames || !h.WantsCaptions() {
		t.Error("the alert plugin wants pictures, or no captions")
	}
	for i, c := range []struct {
		second int
		text   string
		tags   []string
		alert  string
	}{
		{0, "a blue can.", nil, ""},
		{1, "a Red  ball entering.", nil, ""},
		{2, "a Red ball entering.", []string{"visitor"}, "Red ball: a Red ball entering."},
		{91, "a white person moving left", []string{"visitor"}, ""},
		{92, "a white person moving left", []string{"visitor"}, "person: a white person moving left"},
		{200, "personal things", nil, ""},
	} {
		a := h.Caption(context.Background(), &plugin.Caption{Text: c.text, Clock: time.Duration(c.second) * time.Second, Views: []string{"front"}})
		if a.Action != plugin.Pass || !slices.Equal(a.Tags, c.tags) || a.Alert != c.alert {
			t.Errorf("caption %d: %+v", i, a)
		}
	}
	s := h.Status()
	t.Logf("alert: %d captions in %.3f ms each, at most %.3f; %.1f MiB", s.Calls, s.MeanMS, s.MaxMS, float64(s.MemoryBytes)/(1<<20))

	if h, err = start(t, m, ``); err != nil {
		t.Fatal(err)
	}
	if a := h.Caption(context.Background(), &plugin.Caption{Text: "两个人在门口"}); a.Alert != "人: 两个人在门口" || !slices.Equal(a.Tags, []string{"person"}) {
		t.Errorf("without configuration: %+v", a)
	}
	if _, err := start(t, m, `{"rules":[{"word":"x"}]}`); err == nil || !strings.Contains(err.Error(), `config: json: unknown field "word"`) {
		t.Errorf("a wrong configuration: %v", err)
	}
}

// room is a simulated one that cameras look at, four times a second.
type room struct {
	*host
	draw   *sim.Renderer
	bright int  // added to every picture
	full   bool // pictures are not made smaller
	n      uint64
}

func newRoom(t *testing.T, m *plugin.Module, config string) *room {
	t.Helper()
	h, err := start(t, m, config)
	if err != nil {
		t.Fatal(err)
	}
	return &room{host: h, draw: sim.NewRenderer(sim.Look{Seed: 3}, sim.Cameras(), 160, 120)}
}

// frame returns a picture in half the width and height.
func (r *room) frame(img *image.RGBA) plugin.Frame {
	f := plugin.Frame{Width: 80, Height: 60, CameraWidth: 160, CameraHeight: 120, Full: r.full}
	step := 2
	if r.full {
		f.Width, f.Height, step = 160, 120, 1
	}
	for y := range f.Height {
		for x := range f.Width {
			for c := range 3 {
				sum := 0
				for i := range step * step {
					sum += int(img.Pix[img.PixOffset(step*x+i%step, step*y+i/step)+c])
				}
				f.Pixels = append(f.Pixels, byte(min(sum/(step*step)+r.bright, 255)))
			}
		}
	}
	return f
}

// look shows the next picture of a view, and reports whether it is kept.
func (r *room) look(view int, objects ...sim.Object) bool {
	img := image.NewRGBA(image.Rect(0, 0, 160, 120))
	r.draw.Render(img, view, objects, r.n)
	r.n++
	f := r.frame(img)
	r.now = time.Duration(r.n) * time.Second / 4
	f.View, f.Number, f.Clock = view, r.n, r.now
	return !r.Frame(context.Background(), &f).Skip
}

// rest shows the front view at rest for some seconds, and returns how many pictures are kept.
func (r *room) rest(seconds int, objects ...sim.Object) (kept int) {
	for range 4 * seconds {
		if r.look(0, objects...) {
			kept++
		}
	}
	return kept
}

func person(x, y float64) sim.Object {
	return sim.Object{ID: 1, Shape: sim.Person, Color: sim.Red, X: x, Y: y}
}

// walk shows a person who goes from one place to another in 12 pictures; all must be kept.
func (r *room) walk(t *testing.T, from, to, y float64, others ...sim.Object) {
	t.Helper()
	for i := range 13 {
		if !r.look(0, append(others, person(from+(to-from)*float64(i)/12, y))...) && i > 0 {
			t.Errorf("picture %d of a walk from %.1f to %.1f is left out", i, from, to)
		}
	}
}

func testCrossing(t *testing.T, m *plugin.Module) {
	ball := sim.Object{ID: 2, Shape: sim.Ball, Color: sim.White, X: 0.3, Y: 0.6}
	told := func(r *room, want ...string) {
		t.Helper()
		if got := r.took(); !slices.Equal(got, want) {
			t.Errorf("alerts %q, want %q", got, want)
		}
	}
	const right, left = "something crossed the line at front, left to right", "something crossed the line at front, right to left"

	r := newRoom(t, m, ``)
	if frames, pixels := r.WantsFrames(); !frames || pixels || r.WantsCaptions() {
		t.Error("the crossing plugin wants no previews, or captions")
	}
	if kept := r.rest(15, ball); kept != 20 && kept != 21 {
		t.Errorf("a room at rest: %d pictures are kept, 5 s of 4 belong", kept)
	}
	r.walk(t, -0.8, 0.8, -0.3, ball)
	told(r, right)
	if kept := r.rest(25, ball, person(0.8, -0.3)); kept < 50 || kept > 64 {
		t.Errorf("after a walk: %d pictures are kept, about 15 s of 4 belong", kept)
	}
	r.walk(t, 0.8, -0.8, -0.3, ball)
	told(r, left)
	r.rest(25, ball, person(-0.8, -0.3))
	r.walk(t, -0.8, -0.3, -0.3, ball) // and back, on one side of the line
	r.walk(t, -0.3, -0.8, -0.3, ball)
	r.bright = 60 // somebody turns the light on
	if kept := r.rest(10, ball, person(-0.8, -0.3)); kept != 20 && kept != 21 {
		t.Errorf("after the light changed: %d pictures are kept, 5 s of 4 belong", kept)
	}
	told(r)
	s := r.Status()
	t.Logf("crossing: %d pictures in %.3f ms each, at most %.3f; %.1f MiB", s.Calls, s.MeanMS, s.MaxMS, float64(s.MemoryBytes)/(1<<20))

	// A pause after an alert, a line that is not upright and one that ends, a gate that is open.
	r = newRoom(t, m, `{"cooldown":60,"gate":false}`)
	if kept := r.rest(10); kept != 40 {
		t.Errorf("without gate %d of 40 pictures are kept", kept)
	}
	r.walk(t, -0.8, 0.8, -0.3)
	r.walk(t, 0.8, -0.8, -0.3)
	told(r, right)
	r = newRoom(t, m, `{"views":{"left":{"zone":[[0,0],[1,0],[1,0.01]]},"front":{"line":[0,0.4,1,0.4]}}}`)
	r.rest(1)
	for i := range 13 {
		r.look(0, person(0, 0.8-float64(i)/12*1.6))
	}
	told(r, "something crossed the line at front, top to bottom")
	r = newRoom(t, m, `{"line":[0.5,0,0.5,0.2]}`)
	r.rest(1)
	r.walk(t, -0.8, 0.8, -0.3)
	told(r)

	r = newRoom(t, m, ``)
	r.full = true
	r.rest(1)
	r.walk(t, -0.8, 0.8, -0.3)
	told(r, right)

	// A zone at the right, and two views, of which both are looked at while one moves.
	r = newRoom(t, m, `{"hold":2,"views":{"front":{"zone":[[0.6,0],[1,0],[1,1],[0.6,1]]}}}`)
	r.rest(5)
	for i := range 5 {
		if r.look(0, person(-0.8+float64(i)/10, -0.3)) {
			t.Errorf("picture %d of a walk outside of the zone is kept", i)
		}
	}
	told(r)
	r.rest(20)
	if !r.look(1) { // its first
		t.Error("the first picture of a view is left out")
	}
	for range 40 {
		r.look(1)
	}
	if r.look(0) || r.look(1) {
		t.Error("pictures of rest are kept")
	}
	for i := range 5 {
		r.look(0, person(0.4+float64(i)/10, -0.3))
	}
	if !r.look(1) {
		t.Error("something moves in one view, and the other is left out")
	}
	told(r, "something came into the zone at front")

	for config, want := range map[string]string{
		`{"lines":1}`:                              "config: lines: there is no such setting",
		`{"line":[0,0,0,2]}`:                       "config: all views: line: two different points",
		`{"line":[0.5,0,0.5]}`:                     "config: all views: line: two different points",
		`{"line":[0.5,0,0.5,0]}`:                   "config: all views: line: two different points",
		`{"line":[0,0,1,1,0]}`:                     "config: all views: line: two different points",
		`{"zone":[[0,0],[1,1]]}`:                   "config: all views: zone: 3 to 16 corners",
		`{"zone":[[0,0],[1,1],[1]]}`:               "config: all views: zone: 3 to 16 corners",
		`{"zone":[[0,0],[1,1],[1,0,0]]}`:           "config: all views: zone: 3 to 16 corners",
		`{"hold":-1}`:                              "config: hold: a number from 0 to 3600",
		`{"gate":"yes"}`:                           "config: gate: true or false",
		`{"views":{"back":{"line":[0,0,1,1]}}}`:    "config: back: the scene has no such view",
		`{"views":{"front":{"lane":[0,0,1,1]}}}`:   "config: front: line and zone are possible",
		`{"views":{"front":{"line":[0,0,1,"1"]}}}`: "config: front: line: two different points",
		`{"views":["front"]}`:                      "config: views: names of views",
		`[]`:                                       "config: all of it: names and values",
	} {
		if _, err := start(t, m, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

// testRooms counts what the crossing plugin tells of rooms in which up to four things start,
// stop, appear, vanish and hide each other: docs/plugins.md has the numbers.
func testRooms(t *testing.T, m *plugin.Module) {
	const sets, steps = 200, 4 // frame sets, and pictures of each
	crossings, alerts, right := 0, 0, 0
	for seed := range uint64(6) {
		world := sim.NewWorld(sim.Config{Seed: 100 + seed, Views: 1})
		r := newRoom(t, m, `{"cooldown":1}`)
		r.draw = sim.NewRenderer(world.Look(), world.Cameras(), 160, 120)
		sides := map[int]string{}
		recent := map[string][]int{} // frame sets of crossings not told yet, by direction
		for set := range sets {
			if set > 0 {
				world.Step()
			}
			objects := world.Objects(nil)
			for _, o := range objects {
				side := ""
				if x := r.middle(o); x < 0.485 {
					side = "right to left"
				} else if x > 0.515 {
					side = "left to right"
				}
				if side != "" && side != sides[o.ID] {
					if sides[o.ID] != "" {
						crossings++
						recent[side] = append(recent[side], set)
					}
					sides[o.ID] = side
				}
			}
			for step := range steps {
				k := float64(step+1) / steps
				var now []sim.Object
				for i, o := range objects {
					was := world.Previous(i)
					o.X, o.Y = was.X+(o.X-was.X)*k, was.Y+(o.Y-was.Y)*k
					now = append(now, o)
				}
				r.look(0, now...)
			}
			for _, text := range r.took() {
				alerts++
				_, direction, _ := strings.Cut(text, ", ")
				list := slices.DeleteFunc(recent[direction], func(n int) bool { return n < set-2 })
				if len(list) > 0 {
					right++
					list = list[1:]
				}
				recent[direction] = list
			}
		}
	}
	t.Logf("rooms: %d of %d crossings were told, and %d of %d alerts had none", right, crossings, alerts-right, alerts)
	if right*5 < crossings*4 || right*5 < alerts*4 {
		t.Errorf("%d of %d crossings were told, and %d of %d alerts had none: four of five are to be right", right, crossings, alerts-right, alerts)
	}
}

// middle returns where the first view has an object's middle, from left to right.
func (r *room) middle(o sim.Object) float64 {
	ids := make([]uint8, 160*120)
	r.draw.IDs(ids, 0, []sim.Object{o})
	n, sum := 0, 0
	for i, id := range ids {
		if id != 0 {
			n++
			sum += i % 160
		}
	}
	return float64(sum) / float64(max(n, 1)) / 160
}
