package plugin

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/hostile"
	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// victim has something of everything that modules can have, and does all of it at a frame.
func victim() []byte {
	m := guest(verdict(1, 1, 0, 0, 1, 1, 0, 0, 0.5, 0.5), `{"action":"replace","text":"a","tags":["b"],"alert":"c"}`)
	for _, i := range []w.Import{{Name: "random_get", Params: "ii", Results: "i"}, {Name: "fd_write", Params: "iiii", Results: "i"}, {Name: "poll_oneoff", Params: "iiii", Results: "i"}, {Name: "proc_exit", Params: "i"}} {
		i.Module = "wasi_snapshot_preview1"
		m.Imports = append(m.Imports, i)
	}
	m.Pages, m.MaxPages, m.Table, m.Globals = 2, 100, 15, 2
	drop := w.Op(0x1a)
	m.Funcs[2].Locals = "iIfFv"
	m.Funcs[2].Code = w.Code(
		w.I32(1), w.I32(answerAt), w.I32(10), w.Call(0), // log
		w.I32(0x300), w.I32(14), w.Call(1), // emit
		w.Call(2), drop, // clock
		w.I32(0x200), w.I32(64), w.Call(3), drop, // random_get
		w.I32(1), w.I32(0x320), w.I32(1), w.I32(0x340), w.Call(4), drop, // fd_write
		w.I32(1), w.Op(0x40, 0), drop, // memory.grow
		w.I32(0), w.I32(1), w.I32(100), w.Op(0xfc, 11, 0), // memory.fill
		w.I32(0), w.I32(1), w.I32(100), w.Op(0xfc, 10, 0, 0), // memory.copy
		w.I32(100), w.Set(2),
		w.Op(0x03, 0x40), w.Get(2), w.I32(1), w.Op(0x6b), w.Op(0x22, 2), w.Op(0x0d, 0), w.Op(0x0b), // a loop
		w.I32(3), w.I32(11), w.Op(0x11, 11, 0), w.Op(0x24, 1), // call_indirect
		w.I32(0), w.Op(0xfd, 0, 0, 0), w.Get(6), w.Op(0xfd, 110), w.Op(0x21, 6), // vectors
		w.Op(0x02, 0x40), w.Op(0x02, 0x40), w.Get(2), w.Op(0x0e, 1, 0, 1), w.Op(0x0b), w.Op(0x0b), // br_table
		w.I32(0), w.I32(0), w.Op(0x25, 0), w.Op(0xd1), w.Op(0x36, 2, 0), // table.get, ref.is_null
		m.Funcs[2].Code)
	m.Funcs = append(m.Funcs,
		w.Func{Params: "i", Results: "i", Code: w.Code(w.Get(0), w.Op(0x04, 0x7f), w.Get(0), w.I32(1), w.Op(0x6b), w.Call(11), w.Op(0x05), w.I32(7), w.Op(0x0b))},
		w.Func{Export: exportStart, Params: "ii", Results: "i", Code: w.I32(0)},
		w.Func{Export: exportInitialize},
		w.Func{})
	m.Start = 14
	m.Data = append(m.Data, w.Data{At: 0x300, Bytes: `{"text":"abc"}`}, w.Data{At: 0x320, Bytes: "\x00\x03\x00\x00\x0e\x00\x00\x00"})
	return m.Bytes()
}

// twist changes some bytes for others: many such modules are still valid.
func twist(rng *rand.Rand, wasm []byte) []byte {
	b := bytes.Clone(wasm)
	for range 1 + rng.IntN(3) {
		b[8+rng.IntN(len(b)-8)] = byte(rng.IntN(1 << (1 + rng.IntN(8))))
	}
	return b
}

// TestVictim keeps the victim from failing by itself.
func TestVictim(t *testing.T) {
	engines(t, func(t *testing.T, e *Engine) {
		m, err := e.Compile(t.Context(), "victim.wasm", victim())
		if err != nil {
			t.Fatal(err)
		}
		r := new(record)
		p, err := m.Start(t.Context(), r.options())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if v := p.Frame(t.Context(), preview()); !v.Skip || len(r.alerts) != 1 || len(r.lines) != 2 {
			t.Errorf("%+v, %+v, log %q, alerts %v", v, p.Status(), r.lines, r.alerts)
		}
	})
}

// TestHostile has damaged modules compiled, started and called: what must hold is that the test
// goes on, with each in time, and that a good plugin beside them answers as before.
func TestHostile(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 500
	}
	engines(t, func(t *testing.T, e *Engine) {
		good := start(t, e, guest(verdict(1, 0, 0, 0, 0, 0), ""), new(record).options())
		v := victim()
		o := new(record).options()
		o.CallLimit = 5 * time.Millisecond
		rng := rand.New(rand.NewPCG(7, 7))
		var compiled, started, failed int
		var worst time.Duration
		patches := []string{"\x03\x40\x0c\x00\x0b", "\x40\x00", "\x10\x0b", "\x00", "\x11\x0b\x00", "\xfc\x0b\x00", "\xfd\x0c", "\xff\xff\xff\xff\x0f", "\x0b"}
		for i := range n {
			wasm := twist(rng, v)
			if i%2 == 0 {
				wasm = hostile.Damage(rng, v, patches...)
			}
			began := time.Now()
			m, err := e.Compile(context.Background(), "hostile.wasm", wasm)
			if err != nil {
				continue
			}
			compiled++
			if p, err := m.startWithin(context.Background(), o, 20*time.Millisecond); err == nil {
				started++
				p.Frame(context.Background(), preview())
				p.Caption(context.Background(), &Caption{Text: "a dog"})
				if p.Status().Failures > 0 {
					failed++
				}
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			worst = max(worst, time.Since(began))
			if i%100 == 0 {
				if v := good.Frame(t.Context(), preview()); !v.Skip {
					t.Fatalf("after %d: the good plugin answers %+v, %+v", i, v, good.Status())
				}
			}
		}
		t.Logf("of %d: %d compiled, %d started, %d of those failed; the longest took %v", n, compiled, started, failed, worst)
		if started == 0 || failed == 0 || compiled == n {
			t.Error("the damages are not such that all ends were seen")
		}
		if worst > overtime {
			t.Errorf("one took %v", worst)
		}
		if good.Status().Failures != 0 {
			t.Errorf("the good plugin: %+v", good.Status())
		}
	})
}

// TestHostileWASI calls everything that there is of WASI with bad arguments.
func TestHostileWASI(t *testing.T) {
	n := 60
	if testing.Short() {
		n = 6
	}
	e := newEngine(t, EngineConfig{Mode: "interpreter"})
	numbers := []int64{0, 1, 2, 3, 8, 48, 0x4000, 0x8000, 0xfff8, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, 0x05555556, 1 << 40, -1}
	rng := rand.New(rand.NewPCG(3, 3))
	letters := map[byte]string{0x7f: "i", 0x7e: "I"}
	spell := func(types string) (s string) {
		for _, c := range []byte(types) {
			s += letters[c]
		}
		return s
	}
	functions := e.host["wasi_snapshot_preview1"]
	if len(functions) < 40 {
		t.Fatalf("%d functions", len(functions))
	}
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		sig := functions[name]
		for range n {
			g := guest(verdict(1, 0, 0, 0, 0, 0), "")
			g.Imports = append(g.Imports, w.Import{Module: "wasi_snapshot_preview1", Name: name, Params: spell(sig.params), Results: spell(sig.results)})
			var code []byte
			for _, c := range []byte(sig.params) {
				if v := numbers[rng.IntN(len(numbers))]; c == i32[0] {
					code = append(code, w.I32(int32(v))...)
				} else {
					code = append(code, w.I64(v)...)
				}
			}
			code = append(code, w.Call(3)...)
			if sig.results != "" {
				code = append(code, 0x1a)
			}
			before(code)(g)
			m, err := e.Compile(t.Context(), name, g.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			o := new(record).options()
			o.CallLimit = 5 * time.Millisecond
			p, err := m.Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			v := p.Frame(t.Context(), preview())
			if took := time.Since(began); took > overtime {
				t.Errorf("%s took %v", name, took)
			}
			if s := p.Status(); v.Skip != (s.Failures == 0) {
				t.Errorf("%s: %+v, %+v", name, v, s)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if err := m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
