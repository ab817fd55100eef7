package plugin

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// TestFailures has a plugin trap at every frame: it is started anew after growing pauses, and
// the fifth failure is the last.
func TestFailures(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	m, err := e.Compile(t.Context(), "test.wasm", inFrame(w.Trap()).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := new(record)
		p, err := m.Start(t.Context(), r.options())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for i := range uint64(maxFailures) {
			if s := p.Status(); s.State != Running || s.Failures != i {
				t.Fatalf("before failure %d: %+v", i+1, s)
			}
			p.Frame(t.Context(), preview())
			pause := firstPause << i
			time.Sleep(pause - time.Millisecond)
			synctest.Wait()
			calls := p.Status().Calls
			if v := p.Frame(t.Context(), preview()); v.Skip || p.Status().Calls != calls {
				t.Errorf("after failure %d it was called within the pause: %+v", i+1, p.Status())
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
		}
		want := "edged_on_frame: unreachable in $5(i32,i32) i64"
		if s := p.Status(); s.State != Disabled || s.Failures != maxFailures || s.Reason != want || s.MemoryBytes != 0 {
			t.Errorf("%+v", s)
		}
		for _, line := range []string{"WARN " + want + "; it is started anew in 1s", "it is started anew in 8s", "ERROR " + want + "; it failed 5 times within 10m0s and is disabled"} {
			if !r.said(line) {
				t.Errorf("%q was not logged, this was: %q", line, r.lines)
			}
		}
		time.Sleep(time.Hour)
		if p.Frame(t.Context(), preview()); p.Status().State != Disabled {
			t.Errorf("%+v", p.Status())
		}
	})
}

// TestBlocks: what a plugin has not answered about passes or not as its options say, and its permissions where those
// do not; and once it has masked a frame none is without its answer.
func TestBlocks(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	may := []string{PermitFrames, PermitCaptions}
	masks := verdict(0, 0, 0, 0, 0, 0, 0, 0, 0.5, 0.5)
	for name, c := range map[string]struct {
		frame, caption string
		traps          bool
		permissions    []string
		onFailure      string
		blocks         [3]bool // before its first call, after, and once it is closed
	}{
		"nothing":          {traps: true},
		"pass":             {traps: true, permissions: []string{PermitMask}, onFailure: FailPass},
		"block":            {traps: true, onFailure: FailBlock, blocks: [3]bool{true, true, true}},
		"mask":             {traps: true, permissions: []string{PermitMask}, blocks: [3]bool{true, true, true}},
		"answers":          {caption: `{"action":"drop"}`, onFailure: FailBlock, blocks: [3]bool{true, false, true}},
		"no answer":        {onFailure: FailBlock, blocks: [3]bool{true, false, true}},
		"masked":           {frame: masks, blocks: [3]bool{false, false, true}},
		"masked, and pass": {frame: masks, onFailure: FailPass},
		"wrong":            {frame: masks + "x", caption: "{", onFailure: FailBlock, blocks: [3]bool{true, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			g := guest(c.frame, c.caption)
			if c.traps {
				g = inFrame(w.Trap())
			}
			r := new(record)
			o := r.options()
			o.Permissions, o.OnFailure = append(may, c.permissions...), c.onFailure
			p := start(t, e, g, o)
			if s := p.Status(); s.Blocks != c.blocks[0] {
				t.Errorf("before: %+v", s)
			}
			for _, blocks := range c.blocks[1:] {
				v := p.Frame(t.Context(), preview())
				a := p.Caption(t.Context(), &Caption{Text: "a dog"})
				if v.Blocked != blocks || a.Blocked != blocks || blocks && (v.Skip || a.Action != Pass) {
					t.Errorf("%+v, %+v", v, a)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
			if r.said("it masks without the permission mask") != (name == "masked") {
				t.Errorf("%q", r.lines)
			}
		})
	}
	o := new(record).options()
	o.Permissions, o.OnFailure = may, FailBlock
	p := start(t, e, guest("", `{"action":"replace","text":"x"}`), o)
	if a := p.Caption(t.Context(), &Caption{Text: "a dog"}); !a.Blocked || a.Text != "" {
		t.Errorf("without the permission to replace: %+v", a)
	}
}

// TestForgiven has failures that are too far apart to disable a plugin.
func TestForgiven(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	m, err := e.Compile(t.Context(), "test.wasm", inFrame(w.Trap()).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		o := new(record).options()
		begin := time.Now()
		o.Clock = func() time.Duration { return time.Since(begin) }
		p, err := m.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for range 3 * maxFailures {
			p.Frame(t.Context(), preview())
			time.Sleep(failureWindow / (maxFailures - 1) * 11 / 10)
			synctest.Wait()
		}
		if s := p.Status(); s.State != Running || s.Failures != 3*maxFailures {
			t.Errorf("%+v", s)
		}
	})
}

// TestStartsFail has an instance that cannot be made anew: each attempt is a failure.
func TestStartsFail(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	// It starts in the first ten seconds of its clock.
	g := inFrame(w.Trap())
	g.Funcs = append(g.Funcs, w.Func{Export: exportStart, Params: "ii", Results: "i", Code: w.Code(w.Call(2), w.I64(10000), w.Op(0x59))})
	m, err := e.Compile(t.Context(), "test.wasm", g.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		o := new(record).options()
		now := time.Second
		o.Clock = func() time.Duration { return now }
		p, err := m.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		now = time.Minute
		p.Frame(t.Context(), preview())
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := p.Status(); s.State != Disabled || s.Failures != maxFailures || s.Calls != 1 || !strings.Contains(s.Reason, "it refused to start (1)") {
			t.Errorf("%+v", s)
		}
	})
}

// TestCloseWhilePausing must not leave the goroutine that waits.
func TestCloseWhilePausing(t *testing.T) {
	p := start(t, newEngine(t, EngineConfig{}), inFrame(w.Trap()), new(record).options())
	p.Frame(t.Context(), preview())
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if s := p.Status(); s.State != Disabled {
		t.Errorf("%+v", s)
	}
}

// TestFaults has everything that a guest can do wrong in a call: what it is told by, and that
// the frame is kept and the caption passes.
func TestFaults(t *testing.T) {
	nan := verdict(0, 1, math.Float32frombits(0x7fc00000), 0, 1, 1)
	many := verdict(0, 0, 0, 0, 0, 0)[:24] + "\x11\x00\x00\x00"
	for name, c := range map[string]struct {
		frame, caption string
		change         func(*w.Module)
		want           string
	}{
		"short":           {frame: "\x01\x00\x00\x00", want: "edged_on_frame: an answer of 4 bytes, less than 28"},
		"long":            {frame: verdict(0, 0, 0, 0, 0, 0) + "x", want: "edged_on_frame: an answer of 29 bytes with 0 masks"},
		"NaN":             {frame: nan, want: "its region: [NaN 0 1 1] is no part of the picture"},
		"infinite":        {frame: verdict(0, 0, 0, 0, 0, 0, 0, 0, math.Float32frombits(0x7f800000), 1), want: "mask 0: [0 0 +Inf 1] is no part"},
		"outside":         {frame: verdict(0, 1, 0.5, 0, 0.6, 1), want: "its region: [0.5 0 0.6 1] is no part"},
		"empty":           {frame: verdict(0, 1, 0.5, 0, 0, 1), want: "its region: [0.5 0 0 1] is no part"},
		"verdict":         {frame: verdict(2, 0, 0, 0, 0, 0), want: "verdict 2, region 0"},
		"masks":           {frame: many, want: "an answer of 28 bytes with 17 masks"},
		"too many bytes":  {frame: strings.Repeat("x", 1<<10), want: "an answer of 1024 bytes, more than 284"},
		"beyond":          {change: answer(0xfff0, 28), want: "an answer of 28 bytes at 0xfff0, outside of its memory of 65536"},
		"wrapping":        {change: answer(-4, 28), want: "an answer of 28 bytes at 0xfffffffc, outside"},
		"no room":         {change: buffer(0), want: "edged_alloc has no room for 14464 bytes"},
		"bad room":        {change: buffer(-8), want: "edged_alloc: 14464 bytes at 0xfffffff8 are outside"},
		"bad log":         {change: before(w.Code(w.I32(1), w.I32(65530), w.I32(10), w.Call(0))), want: "10 bytes at 0xfffa are outside of its memory"},
		"bad emit":        {change: before(w.Code(w.I32(answerAt), w.I32(-1), w.Call(1))), want: "4294967295 bytes at 0x800 are outside of its memory"},
		"emit of no JSON": {frame: "{", change: before(w.Code(w.I32(answerAt), w.I32(1), w.Call(1))), want: "emit: unexpected EOF"},
		"exit":            {change: exits, want: "edged_on_frame: it ended itself with code 3"},
		"no JSON":         {caption: "drop", want: "edged_on_caption: invalid character 'd'"},
		"NaN as JSON":     {caption: `{"tags":NaN}`, want: "edged_on_caption: invalid character 'N'"},
		"unknown field":   {caption: `{"actoin":"drop"}`, want: `unknown field "actoin"`},
		"two values":      {caption: `{} {}`, want: "more than one value of JSON"},
		"unknown action":  {caption: `{"action":"shout"}`, want: `action "shout" is neither pass, drop nor replace`},
		"not UTF-8":       {caption: "{\"alert\":\"\xff\"}", want: "not UTF-8"},
		"no text":         {caption: `{"action":"replace"}`, want: "action replace with a text of 0 bytes"},
		"text to drop":    {caption: `{"action":"drop","text":"a"}`, want: "action drop with a text of 1 bytes"},
		"long alert":      {caption: fmt.Sprintf(`{"alert":%q}`, strings.Repeat("a", 1025)), want: "alert of 1025 bytes, more than 1024"},
		"many tags":       {caption: `{"tags":["1","2","3","4","5","6","7","8","9"]}`, want: "9 tags, more than 8"},
		"empty tag":       {caption: `{"tags":[" "]}`, want: "tag 0 has 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, e *Engine) {
				m := guest(c.frame, c.caption)
				if c.change != nil {
					c.change(m)
				}
				r := new(record)
				p := start(t, e, m, r.options())
				v := p.Frame(t.Context(), preview())
				a := Answer{Action: Pass}
				if c.caption != "" {
					a = p.Caption(t.Context(), &Caption{Text: "a dog"})
				}
				if v.Skip || v.HasRegion || len(v.Masks) > 0 || a.Action != Pass || a.Text+a.Alert != "" || a.Tags != nil {
					t.Errorf("verdict %+v, answer %+v", v, a)
				}
				if s := p.Status(); s.Failures != 1 || s.State != Restarting || !strings.Contains(s.Reason, c.want) {
					t.Errorf("%+v, want %q", s, c.want)
				}
			})
		})
	}
}

// answer has edged_on_frame answer a place.
func answer(ptr, size int64) func(*w.Module) {
	return func(m *w.Module) { m.Funcs[2].Code = w.I64(ptr<<32 | size) }
}

// buffer has edged_alloc answer a place.
func buffer(ptr int32) func(*w.Module) {
	return func(m *w.Module) { m.Funcs[1].Code = w.I32(ptr) }
}

// before has edged_on_frame do something first.
func before(code []byte) func(*w.Module) {
	return func(m *w.Module) { m.Funcs[2].Code = w.Code(code, m.Funcs[2].Code) }
}

func exits(m *w.Module) {
	m.Imports = append(m.Imports, w.Import{Module: "wasi_snapshot_preview1", Name: "proc_exit", Params: "i"})
	before(w.Code(w.I32(3), w.Call(3)))(m)
}
