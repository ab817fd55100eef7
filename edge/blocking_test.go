package edge

import (
	"context"
	"image"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/fw/plugin"
	"github.com/visualrwkv/edged/internal/wasmtest"
	"github.com/visualrwkv/edged/wire"
)

// moody hides the left half of pictures, but for two of 64 by their number: one it answers with what is no verdict,
// and at the other it runs code.
func moody(code []byte) []byte {
	const (
		multiply, shift, equal = 0x6c, 0x76, 0x46
		then, end, back        = 0x04, 0x0b, 0x0f
	)
	where := func(is int32, code ...[]byte) []byte {
		return wasmtest.Code(wasmtest.Get(1), wasmtest.I32(is), []byte{equal, then, 0x40}, wasmtest.Code(code...), []byte{end})
	}
	return wasmtest.Guest(wasmtest.Code(
		wasmtest.Get(0), wasmtest.Op(loadWord, 0, 48), wasmtest.I32(-1640531535), []byte{multiply}, wasmtest.I32(26), []byte{shift}, wasmtest.Set(1),
		where(7, code),
		where(9, wasmtest.I64(wasmtest.GuestAnswer<<32|27), []byte{back}),
		wasmtest.I64(wasmtest.GuestAnswer<<32|int64(len(leftHalf))),
	), nil, wasmtest.Data{At: wasmtest.GuestAnswer, Bytes: leftHalf})
}

// secretive is a model that fails the test when it is shown what is to be hidden from it.
func secretive(t *testing.T, looks *atomic.Int64, hidden func() bool) *fakeModel {
	return &fakeModel{shown: func(views []image.Image) {
		looks.Add(1)
		for _, v := range views {
			if hidden() && !halfHidden(v) {
				t.Error("the model sees what a plugin hides")
			}
		}
	}}
}

func always() bool { return true }

// masking lets plugins mask, and no more.
func masking(all []Plugin) []Plugin {
	for i := range all {
		all[i].Permissions, all[i].Rate = []string{plugin.PermitFrames, plugin.PermitMask}, 25
	}
	return all
}

// TestNothingUnmasked: of what a plugin hides the model sees nothing, however often the plugin fails, is made
// anew, disabled, exchanged for another or for one that there is not; and the status says what becomes of
// pictures.
func TestNothingUnmasked(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 25
	}
	synctest.Test(t, func(t *testing.T) {
		with := masking(compiled(t, moody(wasmtest.Trap()), moody(wasmtest.Trap()), framer(verdictBytes(false, plugin.Rect{}))))
		absent := Plugin{Options: plugin.Options{Name: "absent", OnFailure: plugin.FailBlock}, Missing: "no such file"}
		a, b := newFilm(1<<40), newFilm(1<<40)
		a.live, b.live = 40*time.Millisecond, 70*time.Millisecond
		var looks atomic.Int64
		d := start(t, Config{Model: secretive(t, &looks, always), Scenes: []Scene{{
			Views: views(a, b), Gate: Gate{Pixels: -1}, Interval: 100 * time.Millisecond, Plugins: []Plugin{with[0], with[2]},
		}}})
		rng := rand.New(rand.NewPCG(5, 6))
		seen := map[string]int{}
		for range rounds {
			time.Sleep(time.Duration(rng.IntN(6000)) * time.Millisecond)
			synctest.Wait()
			r := d.scenes[0].report()
			for _, v := range r.Views {
				seen[v.State]++
				if v.State == wire.ViewBlocked {
					seen[v.Reason]++
					if v.Skipped == 0 {
						t.Errorf("%+v", v)
					}
				}
			}
			for _, p := range d.scenes[0].pluginStatus() {
				seen[p.State]++
				if !p.Blocks || p.State == wire.PluginRestarting && p.Blocked == 0 {
					t.Errorf("%+v", p)
				}
			}
			switch rng.IntN(8) {
			case 0:
				d.SetPlugins("room", []Plugin{with[0], with[2]})
			case 1:
				d.SetPlugins("room", []Plugin{with[2], with[1]})
			case 2:
				d.SetPlugins("room", []Plugin{with[0], absent, with[1]})
			}
		}
		for _, s := range []string{
			wire.ViewBlocked, wire.ViewLive, wire.PluginRunning, wire.PluginRestarting, wire.PluginDisabled,
			"plugin a has not answered, it is restarting: edged_on_frame: unreachable in $4(i32,i32) i64",
			"plugin absent has not answered, it is disabled: no such file",
		} {
			if seen[s] == 0 && !testing.Short() {
				t.Errorf("never %s: %v", s, seen)
			}
		}
		if looks.Load() < 10 {
			t.Errorf("%d looks", looks.Load())
		}
	})
}

// TestMaskComes: a picture that was taken, waited for those of other views, or for the scene's turn, before there was a
// plugin that hides parts of it is not seen once there is.
func TestMaskComes(t *testing.T) {
	for _, lockStep := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			with := masking(compiled(t, framer(leftHalf)))
			var looks atomic.Int64
			var hidden atomic.Bool
			rng := rand.New(rand.NewPCG(7, 8))
			films := []*film{newFilm(1 << 40), newFilm(1 << 40), newFilm(1 << 40)}
			for i, live := range []time.Duration{130, 410, 50} {
				films[i].live = live * time.Millisecond
			}
			m := secretive(t, &looks, hidden.Load)
			m.see = func(ctx context.Context) error {
				return camera.SleepUntil(ctx, time.Now().Add(time.Second/3))
			}
			d := start(t, Config{Model: m, Scenes: []Scene{
				{Name: "a", Views: views(films[:2]...), LockStep: lockStep, Gate: Gate{Pixels: -1}},
				{Name: "b", Views: views(films[2]), LockStep: lockStep, Gate: Gate{Pixels: -1}},
			}})
			for range 50 {
				time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
				d.SetPlugins("a", with)
				d.SetPlugins("b", with)
				hidden.Store(true)
				time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
				hidden.Store(false)
				d.SetPlugins("a", nil)
				d.SetPlugins("b", nil)
			}
			if looks.Load() < 50 {
				t.Errorf("%d looks", looks.Load())
			}
		})
	}
}

// TestRunawayMask: in lock step, too, nothing is seen of what a plugin does not answer about.
func TestRunawayMask(t *testing.T) {
	with := masking(compiled(t, moody(wasmtest.Code(wasmtest.Loop(), wasmtest.Trap()))))
	with[0].CallLimit = time.Second // more than a busy machine takes for what answers
	w := watchWith(t, 120, with, func(s *Step) {
		for _, f := range s.Set.Frames {
			if f.Image != nil && !halfHidden(f.Image) {
				t.Errorf("frame set %d: the model sees what a plugin hides", s.Set.Number)
			}
		}
	})
	all := w.d.scenes[0].report().Views
	if len(w.steps) == 120 || all[0].Skipped == 0 || all[0].State != wire.ViewEnded {
		t.Errorf("%d frame sets, %+v", len(w.steps), all[0])
	}
	if !slices.ContainsFunc(w.log, func(l string) bool {
		return strings.Contains(l, "it is started anew in 1s: until then nothing passes that it should be asked about")
	}) {
		t.Errorf("log %q", w.log)
	}
	if !slices.ContainsFunc(w.of(wire.EventState), func(e *wire.Event) bool { return e.State == wire.ViewBlocked }) {
		t.Error("nobody was told that pictures are blocked")
	}
}

// TestNothingToAsk: while nothing may be seen there is nothing that questions are answered from.
func TestNothingToAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFilm(1 << 40)
		f.live = 100 * time.Millisecond
		d := start(t, Config{Model: &fakeModel{}, Scenes: []Scene{{
			Views: views(f), Plugins: []Plugin{{Options: plugin.Options{Name: "p", Permissions: everything, OnFailure: plugin.FailBlock}, Missing: "missing"}},
		}}})
		time.Sleep(time.Minute)
		if a, err := askOf(d, "room"); err == nil {
			t.Errorf("%+v", a)
		}
	})
}

// TestOnFailure: whether pictures and captions pass that a plugin does not answer about is what the configuration
// says, else what it may do.
func TestOnFailure(t *testing.T) {
	const sets = 3
	trap := compiled(t, wasmtest.Guest(wasmtest.Trap(), nil), wasmtest.Guest(nil, wasmtest.Trap()))
	frame, caption := []string{plugin.PermitFrames}, []string{plugin.PermitCaptions, plugin.PermitReplace}
	mask := []string{plugin.PermitFrames, plugin.PermitMask}
	for name, c := range map[string]struct {
		module   *plugin.Module // nil: it is missing
		may      []string
		on       string
		looks    int
		captions int
		blocked  int64
	}{
		"a gate":                       {trap[0].Module, frame, "", sets, sets, 0},
		"a mask":                       {trap[0].Module, mask, "", 0, 0, 2 * sets},
		"a mask that may fail":         {trap[0].Module, mask, plugin.FailPass, sets, sets, 0},
		"a gate that blocks":           {trap[0].Module, frame, plugin.FailBlock, 0, 0, 2 * sets},
		"no gate":                      {nil, frame, "", sets, sets, 0},
		"no mask":                      {nil, mask, "", 0, 0, 2 * sets},
		"no plugin":                    {nil, nil, plugin.FailBlock, 0, 0, 2 * sets},
		"a mask that cannot":           {trap[1].Module, append(mask, caption...), "", 0, 0, 2 * sets},
		"a caption filter":             {trap[1].Module, caption, "", sets, sets, 0},
		"a caption filter that blocks": {trap[1].Module, caption, plugin.FailBlock, sets, 0, sets},
		"no caption filter":            {nil, caption, plugin.FailBlock, sets, 0, sets},
	} {
		t.Run(name, func(t *testing.T) {
			p := Plugin{Module: c.module, Options: plugin.Options{Name: "p", Permissions: c.may, OnFailure: c.on}, Missing: "missing"}
			w := watchWith(t, sets, []Plugin{p}, nil)
			var blocked int64
			for _, v := range w.d.scenes[0].report().Views {
				blocked += v.Skipped
			}
			for _, s := range w.status {
				blocked += s.Blocked
			}
			if got := texts(w.events); len(w.steps) != c.looks || len(got) != c.captions || blocked != c.blocked {
				t.Errorf("%d looks, captions %q, %d blocked", len(w.steps), got, blocked)
			}
		})
	}
}
