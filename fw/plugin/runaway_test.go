package plugin

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// Functions of a guest that does not want to end, by how.
var runaways = map[string]func() *w.Module{
	"loop": func() *w.Module { return inFrame(w.Loop()) },
	"calls without a loop": func() *w.Module {
		// f(n) = f(n-1) + f(n-1) for 60 levels.
		m := inFrame(w.Code(w.I32(60), w.Call(7), w.Op(0x1a)))
		m.Funcs = append(m.Funcs, w.Func{Params: "i", Results: "i", Code: w.Code(
			w.Get(0), w.Op(0x45), w.Op(0x04, 0x7f), w.I32(1), w.Op(0x05),
			w.Get(0), w.I32(1), w.Op(0x6b), w.Call(7), w.Get(0), w.I32(1), w.Op(0x6b), w.Call(7), w.Op(0x6a), w.Op(0x0b))})
		return m
	},
	"calls through a table": func() *w.Module {
		m := inFrame(w.Code(w.I32(60), w.Call(7), w.Op(0x1a)))
		step := w.Code(w.Get(0), w.I32(1), w.Op(0x6b), w.I32(7), w.Op(0x11, 7, 0))
		m.Funcs = append(m.Funcs, w.Func{Params: "i", Results: "i", Code: w.Code(
			w.Get(0), w.Op(0x45), w.Op(0x04, 0x7f), w.I32(1), w.Op(0x05), step, step, w.Op(0x6a), w.Op(0x0b))})
		m.Table = 8
		return m
	},
	"filling memory without a loop": func() *w.Module {
		var code []byte
		for range 1000 {
			code = append(code, w.Code(w.I32(0), w.I32(0), w.I32(16<<20), w.Op(0xfc, 11), []byte{0})...)
		}
		m := inFrame(code)
		m.Pages = 16 * 16
		return m
	},
	"sleep": func() *w.Module {
		// One subscription of the clock, relative, for a day.
		m := inFrame(w.Code(w.I32(0x8000), w.I32(0x9000), w.I32(1), w.I32(0xa000), w.Call(3), w.Op(0x1a)))
		m.Imports = append(m.Imports, w.Import{Module: "wasi_snapshot_preview1", Name: "poll_oneoff", Params: "iiii", Results: "i"})
		m.Data = append(m.Data, w.Data{At: 0x8000, Bytes: strings.Repeat("\x00", 24) + "\x00\x00\x00\x4e\x94\x4e\x00\x00" + strings.Repeat("\x00", 16)})
		return m
	},
	"log": func() *w.Module {
		return inFrame(w.Code(w.Op(0x03, 0x40), w.I32(1), w.I32(0), w.I32(60000), w.Call(0), w.Op(0x0c, 0), w.Op(0x0b)))
	},
	"opening a long path": func() *w.Module {
		return calling("path_open", "iiiiiIIii", w.I32(3), w.I32(0), w.I32(0), w.I32(16<<20), w.I32(0), w.I64(0), w.I64(0), w.I32(0), w.I32(0))
	},
	"reading to many places": func() *w.Module {
		return calling("fd_read", "iiii", w.I32(0), w.I32(0), w.I32(2<<20), w.I32(0))
	},
	"reading from somewhere to many places": func() *w.Module {
		return calling("fd_pread", "iiiIi", w.I32(0), w.I32(0), w.I32(2<<20), w.I64(0), w.I32(0))
	},
	"random bytes": func() *w.Module {
		var code []byte
		for range 3000 {
			code = append(code, w.Code(w.I32(0), w.I32(16<<20), w.Call(3), w.Op(0x1a))...)
		}
		m := inFrame(code)
		m.Imports = append(m.Imports, w.Import{Module: "wasi_snapshot_preview1", Name: "random_get", Params: "ii", Results: "i"})
		m.Pages = 16 * 16
		return m
	},
	"writing to stdout": func() *w.Module {
		// 20,000 pieces of 10 MiB at once.
		m := inFrame(w.Code(
			w.Op(0x03, 0x40),
			w.Get(2), w.I32(0), w.Op(0x36, 2, 0x10000), w.Get(2), w.I32(10<<20), w.Op(0x36, 2, 0x10004),
			w.Get(2), w.I32(8), w.Op(0x6a), w.Op(0x22, 2), w.I32(160000), w.Op(0x49), w.Op(0x0d, 0), w.Op(0x0b),
			w.I32(1), w.I32(0x10000), w.I32(20000), w.I32(0x4000), w.Call(3), w.Op(0x1a)))
		m.Imports = append(m.Imports, w.Import{Module: "wasi_snapshot_preview1", Name: "fd_write", Params: "iiii", Results: "i"})
		m.Funcs[2].Locals = "i"
		m.Pages = 16 * 16
		return m
	},
}

// inFrame is a guest with code in edged_on_frame. Its functions have the numbers 3 to 6.
func inFrame(code []byte) *w.Module {
	m := guest("", "")
	m.Funcs[2].Code = w.Code(code, w.I64(0))
	return m
}

// calling is a guest that calls a function of WASI again and again, with as much memory as there is
// by default.
func calling(name, params string, args ...[]byte) *w.Module {
	m := inFrame(w.Code(w.Op(0x03, 0x40), w.Code(args...), w.Call(3), w.Op(0x1a), w.Op(0x0c, 0), w.Op(0x0b)))
	m.Imports = append(m.Imports, w.Import{Module: "wasi_snapshot_preview1", Name: name, Params: params, Results: "i"})
	m.Pages = 16 * 16
	return m
}

// overtime is more than any stop takes on a machine that is busy with other things.
const overtime = 5 * time.Second

func TestRunaway(t *testing.T) {
	for name, module := range runaways {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, e *Engine) {
				r := new(record)
				o := r.options()
				o.CallLimit = 0
				p := start(t, e, module(), o)
				began := time.Now()
				v := p.Frame(t.Context(), preview())
				took := time.Since(began)
				s := p.Status()
				t.Logf("stopped after %v", took)
				if v.Skip || s.Failures != 1 || !strings.Contains(s.Reason, "took longer than 100ms") {
					t.Errorf("status %+v", s)
				}
				if took < DefaultCallLimit || took > DefaultCallLimit+overtime {
					t.Errorf("stopped after %v", took)
				}
			})
		})
	}
}

// TestRunawayStart has a guest loop wherever else it is called.
func TestRunawayStart(t *testing.T) {
	const usual = 50 * time.Millisecond
	for name, change := range map[string]func(*w.Module){
		"its start": func(m *w.Module) {
			m.Funcs = append(m.Funcs, w.Func{Code: w.Loop()})
			m.Start = len(m.Imports) + len(m.Funcs) - 1
		},
		exportInitialize: func(m *w.Module) { m.Funcs = append(m.Funcs, w.Func{Export: exportInitialize, Code: w.Loop()}) },
		exportStart: func(m *w.Module) {
			m.Funcs = append(m.Funcs, w.Func{Export: exportStart, Params: "ii", Results: "i", Code: w.Code(w.Loop(), w.I32(0))})
		},
		exportVersion: func(m *w.Module) { m.Funcs[0].Code = w.Code(w.Loop(), w.I32(abi)) },
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, e *Engine) {
				m := guest("", "")
				change(m)
				c, err := e.Compile(t.Context(), "test.wasm", m.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				// A busy machine may not have come to that call by then.
				want := func(limit time.Duration) string {
					return fmt.Sprintf("plugin test.wasm: %s took longer than %v", name, limit)
				}
				limit := usual
				_, err = c.startWithin(t.Context(), new(record).options(), limit)
				for err != nil && err.Error() != want(limit) && strings.HasSuffix(err.Error(), fmt.Sprintf("took longer than %v", limit)) && limit < startLimit {
					limit *= 4
					_, err = c.startWithin(t.Context(), new(record).options(), limit)
				}
				if err == nil || err.Error() != want(limit) {
					t.Errorf("%v, want %q", err, want(limit))
				}
			})
		})
	}
	t.Run(exportAlloc, func(t *testing.T) {
		m := guest("", "")
		m.Funcs[1].Code = w.Code(w.Loop(), w.I32(inputAt))
		o := new(record).options()
		o.CallLimit = usual
		p := start(t, newEngine(t, EngineConfig{}), m, o)
		p.Frame(t.Context(), preview())
		if s := p.Status(); s.Reason != "edged_alloc took longer than 50ms" {
			t.Errorf("%+v", s)
		}
	})
}

// TestCancelled ends calls by their context and by Close, at once and without blame.
func TestCancelled(t *testing.T) {
	engines(t, func(t *testing.T, e *Engine) {
		o := new(record).options()
		p := start(t, e, inFrame(w.Loop()), o)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		p.Frame(ctx, preview())
		if s := p.Status(); s.Failures != 0 || s.State == Disabled {
			t.Errorf("%+v", s)
		}
		p = start(t, e, inFrame(w.Loop()), o)
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Frame(t.Context(), preview())
		}()
		time.Sleep(10 * time.Millisecond)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		<-done
		if s := p.Status(); s.Failures != 0 || s.State != Disabled {
			t.Errorf("%+v", s)
		}
	})
}

// recursions are functions that call themselves for ever: they fill the stack.
var recursions = map[string]func() *w.Module{
	"small": func() *w.Module {
		m := inFrame(w.Call(7))
		m.Funcs = append(m.Funcs, w.Func{Code: w.Call(7)})
		return m
	},
	"many locals": func() *w.Module {
		m := inFrame(w.Call(7))
		m.Funcs = append(m.Funcs, w.Func{Locals: strings.Repeat("I", maxLocals), Code: w.Call(7)})
		return m
	},
	"many values": func() *w.Module {
		var code []byte
		const n = 8000
		for range n {
			code = append(code, w.I64(-1)...)
		}
		code = append(code, w.Call(7)...)
		for range n {
			code = append(code, 0x1a)
		}
		m := inFrame(w.Call(7))
		m.Funcs = append(m.Funcs, w.Func{Code: code})
		return m
	},
	"vectors": func() *w.Module {
		m := inFrame(w.Call(7))
		m.Funcs = append(m.Funcs, w.Func{Locals: strings.Repeat("v", maxLocals), Code: w.Call(7)})
		return m
	},
	"through a table": func() *w.Module {
		m := inFrame(w.Call(7))
		m.Funcs = append(m.Funcs, w.Func{Code: w.Code(w.I32(7), w.Op(0x11, 7, 0))})
		m.Table = 8
		return m
	},
}

func TestRecursion(t *testing.T) {
	for name, module := range recursions {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, e *Engine) {
				o := new(record).options()
				p := start(t, e, module(), o)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				p.Frame(t.Context(), preview())
				runtime.ReadMemStats(&after)
				allocated := after.TotalAlloc - before.TotalAlloc
				t.Logf("%.1f MiB allocated: %s", float64(allocated)/(1<<20), p.Status().Reason)
				// Growing a stack to its size takes as much again.
				if s := p.Status(); s.Failures != 1 || strings.Contains(s.Reason, "longer") || allocated > 2*maxStack {
					t.Errorf("%d bytes allocated, status %+v", allocated, s)
				}
			})
		})
	}
}
