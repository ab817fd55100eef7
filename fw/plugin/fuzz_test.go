package plugin

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/visualrwkv/edged/internal/hostile"
	w "github.com/visualrwkv/edged/internal/wasmtest"
)

func FuzzVerdict(f *testing.F) {
	f.Add([]byte(verdict(1, 1, 0.25, 0, 0.5, 1, 0, 0, 0.5, 0.5)))
	f.Add([]byte(verdict(0, 0, 0, 0, 0, 0)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var masks [maxMasks]Rect
		v, err := parseVerdict(b, &masks)
		if err != nil {
			return
		}
		rects := v.Masks
		if v.HasRegion {
			rects = append(rects[:len(rects):len(rects)], v.Region)
		}
		for _, r := range rects {
			if !(r.X >= 0 && r.Y >= 0 && r.W > 0 && r.H > 0 && r.X+r.W <= 1 && r.Y+r.H <= 1) {
				t.Errorf("%v", r)
			}
		}
	})
}

// checkText fails on what must not come out of a plugin.
func checkText(t *testing.T, what, s string, limit int) {
	t.Helper()
	if len(s) > limit || !utf8.ValidString(s) || strings.ContainsFunc(s, controls) {
		t.Errorf("%s %q", what, s)
	}
}

func checkAllTags(t *testing.T, tags []string) {
	t.Helper()
	if len(tags) > maxTags {
		t.Errorf("%d tags", len(tags))
	}
	for _, tag := range tags {
		if checkText(t, "tag", tag, maxTag); tag == "" {
			t.Error("an empty tag")
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"action":"replace","text":"a cat","tags":["x"],"alert":"cat\u0007"}`))
	f.Add([]byte(`{"action":"drop"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b)
		if err != nil {
			return
		}
		if a.Action != Pass && a.Action != Drop && a.Action != Replace || (a.Action == Replace) != (a.Text != "") {
			t.Errorf("%+v", a)
		}
		checkText(t, "text", a.Text, maxText)
		checkText(t, "alert", a.Alert, maxAlert)
		checkAllTags(t, a.Tags)
	})
}

func FuzzAlert(f *testing.F) {
	f.Add([]byte(`{"text":"somebody","tags":["person"],"view":"a"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAlert(b, []string{"a", "b"})
		if err != nil {
			return
		}
		if checkText(t, "text", a.Text, maxAlert); a.Text == "" || a.View != "" && a.View != "a" && a.View != "b" {
			t.Errorf("%+v", a)
		}
		checkAllTags(t, a.Tags)
	})
}

// FuzzCompile has modules read, rewritten, compiled and started. What was rewritten must be as
// valid as it was before, which wazero says; reading may not allocate much.
func FuzzCompile(f *testing.F) {
	f.Add(victim())
	f.Add(guest("", "").Bytes())
	f.Add(inFrame(w.Code(w.Op(0x02, 0x7f), w.I32(1), w.Op(0x0b), w.Op(0x1a))).Bytes())
	e := newEngine(f, EngineConfig{Mode: "interpreter"})
	f.Fuzz(func(t *testing.T, wasm []byte) {
		var code []byte
		var err error
		// A loop is two bytes and becomes fifty, a function of three bytes some hundreds in tables.
		budget := 256*uint64(len(wasm)) + hostile.Budget(0)
		if got := hostile.Allocated(budget, func() { _, code, err = prepare(wasm, e.host) }); got > budget {
			t.Errorf("%d bytes allocated for %d", got, len(wasm))
		}
		if err != nil {
			return
		}
		// Whoever reads it next believes its counts.
		ctx := context.Background()
		budget = 4<<10*uint64(len(wasm)) + 4<<20
		if got := hostile.Allocated(budget, func() {
			if m, err := e.Compile(ctx, "fuzz.wasm", wasm); err == nil {
				_ = m.Close(ctx)
			}
		}); got > budget {
			t.Errorf("%d bytes allocated to compile %d", got, len(wasm))
		}
		_, wrong := compile(ctx, e.plain, wasm)
		m, err := e.Compile(ctx, "fuzz.wasm", wasm)
		// Custom sections are left out, and what is wrong with them.
		if (err == nil) != (wrong == nil) && (wrong == nil || !strings.Contains(wrong.Error(), "custom")) {
			t.Fatalf("as it is: %v, with a meter (%d bytes): %v", wrong, len(code), err)
		}
		if err != nil {
			return
		}
		o := new(record).options()
		o.CallLimit = 10 * time.Millisecond
		if p, err := m.startWithin(ctx, o, 10*time.Millisecond); err == nil {
			p.Frame(ctx, preview())
			p.Caption(ctx, &Caption{Text: "a dog"})
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := m.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}
