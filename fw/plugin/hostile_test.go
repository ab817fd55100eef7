package plugin

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// victim has something of everything that modules can have.
func victim() []byte {
	return w.Everything(verdict(1, 1, 0, 0, 1, 1, 0, 0, 0.5, 0.5), `{"action":"replace","text":"a","tags":["b"],"alert":"c"}`)
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
		for range n {
			wasm := w.Mutate(rng, v)
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
			if compiled%100 == 0 {
				if v := good.Frame(t.Context(), preview()); !v.Skip {
					t.Fatalf("after %d: the good plugin answers %+v, %+v", compiled, v, good.Status())
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
