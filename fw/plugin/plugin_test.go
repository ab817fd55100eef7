package plugin

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	w "github.com/visualrwkv/edged/internal/wasmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Where the test modules have things in their memory.
const (
	inputAt   = 0x4000 // what edged_alloc answers
	answerAt  = 0x800  // to frames,
	captionAt = 0x1000 // and captions
)

// guest is a module that answers every frame and caption with the same bytes.
func guest(frame, caption string) *w.Module {
	m := &w.Module{
		Imports: []w.Import{{Module: "edged", Name: "log", Params: "iii"}, {Module: "edged", Name: "emit", Params: "ii"}, {Module: "edged", Name: "clock", Results: "I"}},
		Funcs: []w.Func{
			{Export: exportVersion, Results: "i", Code: w.I32(abi)},
			{Export: exportAlloc, Params: "i", Results: "i", Code: w.I32(inputAt)},
			{Export: exportFrame, Params: "ii", Results: "I", Code: w.I64(answerAt<<32 | int64(len(frame)))},
			{Export: exportCaption, Params: "ii", Results: "I", Code: w.I64(captionAt<<32 | int64(len(caption)))},
		},
		Pages: 1,
		Data:  []w.Data{{At: answerAt, Bytes: frame}, {At: captionAt, Bytes: caption}},
	}
	return m
}

// engines runs a test with every engine that there is here.
func engines(t *testing.T, f func(t *testing.T, e *Engine)) {
	for _, mode := range []string{"interpreter", "compiler"} {
		t.Run(mode, func(t *testing.T) {
			if mode == "compiler" && compilerDenied() != nil {
				t.Skip(compilerDenied())
			}
			f(t, newEngine(t, EngineConfig{Mode: mode}))
		})
	}
}

func newEngine(t testing.TB, cfg EngineConfig) *Engine {
	t.Helper()
	e, err := NewEngine(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// record keeps what a plugin said.
type record struct {
	mu     sync.Mutex
	lines  []string
	alerts []Alert
}

// options have the longest limit for calls: a machine that is busy with other things may take
// more than the usual one.
func (r *record) options() Options {
	return Options{Scene: "yard", Views: []string{"a", "b"}, Permissions: permissions, CallLimit: MaxCallLimit, OnFailure: FailPass,
		Log: func(l slog.Level, line string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.lines = append(r.lines, fmt.Sprintf("%v %s", l, line))
		},
		Emit: func(a Alert) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.alerts = append(r.alerts, a)
		},
	}
}

func (r *record) said(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.lines, func(l string) bool { return strings.Contains(l, part) })
}

func start(t testing.TB, e *Engine, m *w.Module, o Options) *Plugin {
	t.Helper()
	c, err := e.Compile(context.Background(), "test.wasm", m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// verdict is an answer to a frame.
func verdict(skip, region uint32, rects ...float32) string {
	b := binary.LittleEndian.AppendUint32(nil, skip)
	b = binary.LittleEndian.AppendUint32(b, region)
	for i, v := range rects {
		if i == 4 {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(rects)-4)/4)
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	if len(rects) == 4 {
		b = binary.LittleEndian.AppendUint32(b, 0)
	}
	return string(b)
}

func preview() *Frame {
	return &Frame{View: 1, Width: 80, Height: 60, Pixels: make([]byte, 80*60*3), CameraWidth: 640, CameraHeight: 480,
		Time: time.UnixMilli(1700000000123), Clock: 4567 * time.Millisecond, Number: 89}
}

func TestAnswers(t *testing.T) {
	engines(t, func(t *testing.T, e *Engine) {
		r := new(record)
		p := start(t, e, guest(verdict(1, 1, 0.5, 0, 0.5, 1, 0, 0, 0.25, 0.25), `{"action":"replace","text":"a cat","tags":["x"],"alert":"cat!"}`), r.options())
		v := p.Frame(t.Context(), preview())
		if !v.Skip || !v.HasRegion || v.Region != (Rect{0.5, 0, 0.5, 1}) || len(v.Masks) != 1 || v.Masks[0] != (Rect{0, 0, 0.25, 0.25}) {
			t.Errorf("verdict %+v", v)
		}
		a := p.Caption(t.Context(), &Caption{Text: "a dog"})
		if a.Action != Replace || a.Text != "a cat" || !slices.Equal(a.Tags, []string{"x"}) || a.Alert != "cat!" {
			t.Errorf("answer %+v", a)
		}
		if s := p.Status(); s.State != Running || s.Calls != 2 || s.Failures != 0 || s.MemoryBytes != pageSize {
			t.Errorf("status %+v, log %q", s, r.lines)
		}
	})
}
