package plugin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// given is the guest's input of n bytes, as it lies in its memory.
func given(t *testing.T, p *Plugin, n uint32) []byte {
	t.Helper()
	b, ok := p.in.memory.read(inputAt, n)
	if !ok {
		t.Fatalf("%+v", p.Status())
	}
	return b
}

// TestInputs has what the guest is given, byte for byte.
func TestInputs(t *testing.T) {
	engines(t, func(t *testing.T, e *Engine) {
		g := guest("", "")
		g.Funcs = append(g.Funcs, w.Func{Export: exportStart, Params: "ii", Results: "i", Code: w.I32(0)})
		o := new(record).options()
		o.Config = []byte(` {"line": [0.1, 0.5]}`)
		p := start(t, e, g, o)
		want := `{"abi":1,"scene":"yard","views":["a","b"],"permissions":["on_frame","mask","pixels","on_caption","replace","emit"],"config":{"line":[0.1,0.5]}}`
		if got := given(t, p, uint32(len(want))); string(got) != want {
			t.Errorf("start: %s", got)
		}
		f := preview()
		for i := range f.Pixels {
			f.Pixels[i] = byte(i)
		}
		f.Full = true
		p.Frame(t.Context(), f)
		var h struct {
			Size, View, Width, Height, Format, Flags, CameraWidth, CameraHeight uint32
			Time, Clock, Number                                                 uint64
			Pixels, Zero                                                        uint32
		}
		b := given(t, p, frameHeader+uint32(len(f.Pixels)))
		if _, err := binary.Decode(b, binary.LittleEndian, &h); err != nil {
			t.Fatal(err)
		}
		type header = struct {
			Size, View, Width, Height, Format, Flags, CameraWidth, CameraHeight uint32
			Time, Clock, Number                                                 uint64
			Pixels, Zero                                                        uint32
		}
		if !reflect.DeepEqual(header(h), header{64, 1, 80, 60, 1, 1, 640, 480, 1700000000123, 4567, 89, 64, 0}) || !bytes.Equal(b[frameHeader:], f.Pixels) {
			t.Errorf("frame: %+v", h)
		}
		p.Caption(t.Context(), &Caption{Text: "a\n\"dog\"", Lang: "en", Time: time.UnixMilli(1700000000123), Clock: time.Second, Frame: 4711, Views: []string{"b"}})
		want = `{"scene":"yard","text":"a\n\"dog\"","lang":"en","time":1700000000123,"clock":1000,"frame":4711,"views":["b"]}`
		if got := given(t, p, uint32(len(want))); string(got) != want {
			t.Errorf("caption: %s", got)
		}
	})
}

// TestBadFrame has frames that edged itself made wrong: the guest does not see them.
func TestBadFrame(t *testing.T) {
	r := new(record)
	p := start(t, newEngine(t, EngineConfig{}), guest(verdict(1, 0, 0, 0, 0, 0), ""), r.options())
	for _, change := range []func(*Frame){
		func(f *Frame) { f.View = 2 },
		func(f *Frame) { f.View = -1 },
		func(f *Frame) { f.Pixels = f.Pixels[1:] },
		func(f *Frame) { f.Width, f.Height = -80, -60 },
	} {
		f := preview()
		change(f)
		if v := p.Frame(t.Context(), f); v.Skip {
			t.Errorf("%+v", f)
		}
	}
	if s := p.Status(); s.Calls != 0 || !r.said("the plugin does not see it") {
		t.Errorf("%+v, %q", s, r.lines)
	}
}

func TestPermissions(t *testing.T) {
	e := newEngine(t, EngineConfig{})
	emits := w.Code(w.I32(0x300), w.I32(14), w.Call(1))
	g := guest(verdict(1, 0, 0, 0, 0, 0), `{"action":"replace","text":"a cat","tags":["x"],"alert":"cat!"}`)
	before(emits)(g)
	g.Data = append(g.Data, w.Data{At: 0x300, Bytes: `{"text":"abc"}`})
	run := func(permit ...string) (*Plugin, *record, Verdict, Answer) {
		r := new(record)
		o := r.options()
		o.Permissions = permit
		p := start(t, e, g, o)
		var v Verdict
		var a Answer
		for range 3 {
			v, a = p.Frame(t.Context(), preview()), p.Caption(t.Context(), &Caption{Text: "a dog"})
		}
		return p, r, v, a
	}
	p, r, v, a := run(PermitFrames)
	if wants, pixels := p.WantsFrames(); !wants || pixels || p.WantsCaptions() || !v.Skip || !reflect.DeepEqual(a, Answer{Action: Pass}) || len(r.alerts) != 0 {
		t.Errorf("frames: %v, %v, %+v, %+v, %v", wants, pixels, v, a, r.alerts)
	}
	if want := []string{"WARN it raised an alert without the permission emit: ignored"}; !slices.Equal(r.lines, want) {
		t.Errorf("%q", r.lines)
	}
	p, r, v, a = run(PermitCaptions, PermitPixels)
	if wants, pixels := p.WantsFrames(); wants || pixels || v.Skip || a.Action != Pass || a.Text+a.Alert != "" || !slices.Equal(a.Tags, []string{"x"}) || len(r.lines) != 2 {
		t.Errorf("captions: %v, %v, %+v, %+v, %q", wants, pixels, v, a, r.lines)
	}
	p, r, v, a = run(permissions...)
	if wants, pixels := p.WantsFrames(); !wants || !pixels || !v.Skip || a.Action != Replace || a.Alert != "cat!" || len(r.alerts) != 3 || r.alerts[0].Text != "abc" {
		t.Errorf("all: %v, %v, %+v, %+v, %v", wants, pixels, v, a, r.alerts)
	}
}

// TestQuotas has a guest that says and raises as much as it can.
func TestQuotas(t *testing.T) {
	e := newEngine(t, EngineConfig{Mode: "interpreter"})
	g := guest("", `{"alert":"again"}`)
	before(w.Code(w.I32(2), w.I32(0x300), w.I32(60000), w.Call(0), w.I32(0x300), w.I32(14), w.Call(1)))(g)
	g.Data = append(g.Data, w.Data{At: 0x300, Bytes: `{"text":"abc"}` + strings.Repeat("x", 1000)})
	m, err := e.Compile(t.Context(), "test.wasm", g.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		r := new(record)
		o := r.options()
		begin := time.Now()
		o.Clock = func() time.Duration { return time.Since(begin) }
		p, err := m.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var more int
		for range 2 {
			for range 50 {
				p.Frame(t.Context(), preview())
			}
			if a := p.Caption(t.Context(), &Caption{}); a.Alert != "" {
				more++
			}
			time.Sleep(time.Minute)
		}
		if len(r.alerts) != 2*maxAlerts || more != 0 {
			t.Errorf("%d alerts, %d by captions", len(r.alerts), more)
		}
		var lines, long int
		for _, l := range r.lines {
			if strings.HasPrefix(l, `WARN {"text":"abc"}x`) {
				lines++
				long = max(long, len(l)-len("WARN "))
			}
		}
		if lines != 2*maxLines || long != maxLine || !r.said("30 more lines within a minute were left out") || !r.said("41 more alerts within a minute were left out") {
			t.Errorf("%d lines of up to %d bytes: %.200q", lines, long, r.lines)
		}
	})
}

// TestWASI has what is behind WASI: nothing but output, clocks and the same random bytes.
func TestWASI(t *testing.T) {
	wasi := func(name, params string) w.Import {
		return w.Import{Module: "wasi_snapshot_preview1", Name: name, Params: params, Results: "i"}
	}
	const (
		argsSizes = iota + 3
		environSizes
		fdRead
		fdWrite
		pathOpen
		prestat
		random
		clock
		sleep
	)
	g := guest("", "")
	g.Imports = append(g.Imports, wasi("args_sizes_get", "ii"), wasi("environ_sizes_get", "ii"), wasi("fd_read", "iiii"), wasi("fd_write", "iiii"),
		wasi("path_open", "iiiiiIIii"), wasi("fd_prestat_get", "ii"), wasi("random_get", "ii"), wasi("clock_time_get", "iIi"), wasi("poll_oneoff", "iiii"))
	g.Pages = 2
	at := 0
	// result keeps what a function answered, or a number in memory, where the test looks.
	result := func(code ...[]byte) []byte {
		c := w.Code(w.I32(int32(0x8000+4*at)), w.Code(code...), w.Op(0x36, 2, 0))
		at++
		return c
	}
	load := func(at int32) []byte { return w.Code(w.I32(at), w.Op(0x28, 2, 0)) }
	call := func(f int, args ...int32) []byte {
		var c []byte
		for _, a := range args {
			c = append(c, w.I32(a)...)
		}
		return w.Code(c, w.Call(f))
	}
	before(w.Code(
		result(call(argsSizes, 0x100, 0x104)), result(load(0x100)), // 0, 0
		result(call(environSizes, 0x100, 0x104)), result(load(0x100)), // 0, 0
		result(call(fdRead, 0, 0x200, 1, 0x110)), result(load(0x110)), // 0, 0: the end
		result(call(fdWrite, 1, 0x200, 1, 0x114)), result(load(0x114)), // 0, 12
		result(call(fdWrite, 2, 0x208, 1, 0x114)), result(load(0x114)), // 0, 5
		result(call(fdWrite, 3, 0x200, 1, 0x114)), // EBADF
		result(w.I32(3), w.I32(0), w.I32(0), w.I32(1), w.I32(0), w.I64(0), w.I64(0), w.I32(0), w.I32(0), w.Call(pathOpen)), // EBADF
		result(call(prestat, 3, 0x100)),                                    // EBADF
		result(call(random, 0x9000, 64)),                                   // 0
		result(w.I32(0), w.I64(1), w.I32(0x9100), w.Call(clock)),           // 0: real time
		result(call(sleep, 0x9200, 0x9300, 2, 0x118)), result(load(0x118)), // 0, 1: the clock's
	))(g)
	sub := func(user byte, kind byte, ns uint64) string {
		b := make([]byte, 48)
		b[0], b[8] = user, kind
		binary.LittleEndian.PutUint64(b[24:], ns)
		return string(b)
	}
	g.Data = append(g.Data, w.Data{At: 0x200, Bytes: "\x00\x03\x00\x00\x0c\x00\x00\x00\x0c\x03\x00\x00\x05\x00\x00\x00"}, w.Data{At: 0x300, Bytes: "one\ntwo\x1b[0m\nhelp\n"},
		w.Data{At: 0x9200, Bytes: sub(1, 0, 3e6) + sub(2, 0, 3600e9)})
	engines(t, func(t *testing.T, e *Engine) {
		var first []byte
		for range 2 {
			r := new(record)
			p := start(t, e, g, r.options())
			began := time.Now()
			p.Frame(t.Context(), preview())
			if s := p.Status(); s.Failures > 0 {
				t.Fatalf("%+v", s)
			}
			if slept := time.Since(began); slept < 3*time.Millisecond {
				t.Errorf("slept for %v", slept)
			}
			got := make([]uint32, at)
			b, _ := p.in.memory.read(0x8000, uint32(4*at))
			if _, err := binary.Decode(b, binary.LittleEndian, got); err != nil {
				t.Fatal(err)
			}
			if want := []uint32{0, 0, 0, 0, 0, 0, 0, 12, 0, 5, errnoBadf, errnoBadf, errnoBadf, 0, 0, 0, 1}; !slices.Equal(got, want) {
				t.Errorf("answers %v, want %v", got, want)
			}
			if want := []string{"INFO one", "INFO two [0m", "WARN help"}; !slices.Equal(r.lines, want) {
				t.Errorf("log %q, want %q", r.lines, want)
			}
			now, _ := p.in.memory.read(0x9100, 8)
			if d := time.Since(time.Unix(0, int64(binary.LittleEndian.Uint64(now)))); d < 0 || d > time.Minute {
				t.Errorf("its clock is %v behind", d)
			}
			event, _ := p.in.memory.read(0x9300, 32)
			if event[0] != 1 {
				t.Errorf("event % x", event)
			}
			bytes64, _ := p.in.memory.read(0x9000, 64)
			if first == nil {
				first = slices.Clone(bytes64)
			} else if !bytes.Equal(first, bytes64) || bytes.Equal(first, make([]byte, 64)) {
				t.Errorf("random bytes % x, before % x", bytes64, first)
			}
		}
	})
}

// TestMemory has guests that want more than there is.
func TestMemory(t *testing.T) {
	// It grows a page at a time until it cannot, and touches the last byte.
	grow := w.Code(w.Op(0x03, 0x40), w.I32(1), w.Op(0x40, 0), w.I32(-1), w.Op(0x47), w.Op(0x0d, 0), w.Op(0x0b),
		w.Op(0x3f, 0), w.I32(16), w.Op(0x74), w.I32(1), w.Op(0x6b), w.I32(1), w.Op(0x3a, 0, 0))
	for _, c := range []struct {
		declared int
		limit    int64
		want     int64
	}{{0, 0, DefaultMemory}, {0, 1 << 20, 1 << 20}, {0, pageSize + 1, 2 * pageSize}, {3, 1 << 20, 3 * pageSize}, {1000, 1 << 20, 1 << 20}} {
		t.Run(fmt.Sprint(c.declared, " pages, limit ", c.limit), func(t *testing.T) {
			engines(t, func(t *testing.T, e *Engine) {
				g := inFrame(grow)
				g.MaxPages = c.declared
				o := new(record).options()
				o.Memory = c.limit
				p := start(t, e, g, o)
				if least := p.module.InstanceBytes(c.limit); least < c.want {
					t.Errorf("it is said to occupy up to %d bytes", least)
				}
				p.Frame(t.Context(), preview())
				if s := p.Status(); s.Failures != 0 || s.MemoryBytes != c.want {
					t.Errorf("%+v, want %d bytes of memory", s, c.want)
				}
			})
		})
	}
	t.Run("table", func(t *testing.T) {
		engines(t, func(t *testing.T, e *Engine) {
			// table.grow by as much as there is of numbers: it answers -1.
			g := inFrame(w.Code(w.Op(0xd0, 0x70), w.I32(1<<30), w.Op(0xfc, 15, 0), w.I32(-1), w.Op(0x47), w.Op(0x04, 0x40), w.Trap(), w.Op(0x0b)))
			g.Table = 3
			p := start(t, e, g, new(record).options())
			if p.Frame(t.Context(), preview()); p.Status().Failures != 0 {
				t.Errorf("%+v", p.Status())
			}
		})
	})
}

// TestMeterKeeps has a guest compute the same with and without its meter, on either engine.
func TestMeterKeeps(t *testing.T) {
	f := preview()
	for i := range f.Pixels {
		f.Pixels[i] = byte(i * i >> 3)
	}
	for _, calls := range []bool{false, true} {
		g := differing(calls)
		sum := w.Code(w.Get(5), w.Op(0x1a))
		i := bytes.Index(g.Funcs[2].Code, sum)
		g.Funcs[2].Code = w.Code(g.Funcs[2].Code[:i], w.I32(0x10), w.Get(5), w.Op(0x36, 2, 0), g.Funcs[2].Code[i:])
		var want uint32
		for _, v := range f.Pixels {
			want += uint32(v)
		}
		for _, mode := range []string{"compiler", "interpreter"} {
			if mode == "compiler" && compilerDenied() != nil {
				continue
			}
			for _, stop := range []string{"meter", "none"} {
				p := stoppedBy(t, mode, stop, g.Bytes())
				p.Frame(t.Context(), f)
				b, _ := p.in.memory.read(0x10, 4)
				if got := binary.LittleEndian.Uint32(b); got != want {
					t.Errorf("%s, %s, calls %v: %d, want %d; %+v", mode, stop, calls, got, want, p.Status())
				}
			}
		}
	}
}
