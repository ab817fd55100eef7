package plugin

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// differing is a guest as plugins for frames are: it sums the differences to the frame before,
// byte by byte, and keeps this one. With calls it does so through a function for each byte.
func differing(calls bool) *w.Module {
	m := guest(verdict(0, 0, 0, 0, 0, 0), "")
	m.Pages = 64
	const kept = 2 << 20
	// |a - b| of the bytes at local 2 and beside it.
	difference := w.Code(w.Get(2), w.Op(0x2d, 0, 0), w.Get(2), w.Op(0x2d, 0, kept), w.Op(0x6b), w.Op(0x22, 3),
		w.Get(3), w.I32(31), w.Op(0x75), w.Op(0x22, 4), w.Op(0x73), w.Get(4), w.Op(0x6b))
	add := w.Code(w.Get(5), difference, w.Op(0x6a), w.Set(5))
	if calls {
		add = w.Code(w.Get(5), w.Get(2), w.Call(7), w.Op(0x6a), w.Set(5))
		m.Funcs = append(m.Funcs, w.Func{Params: "i", Results: "i", Locals: "iiii", Code: w.Code(w.Get(0), w.Set(2), difference)})
	}
	m.Funcs[2].Locals = "iiii"
	m.Funcs[2].Code = w.Code(
		w.Get(0), w.I32(frameHeader), w.Op(0x6a), w.Set(2),
		w.Op(0x03, 0x40), add,
		w.Get(2), w.Get(2), w.Op(0x2d, 0, 0), w.Op(0x3a, 0, kept),
		w.Get(2), w.I32(1), w.Op(0x6a), w.Op(0x22, 2), w.Get(0), w.Get(1), w.Op(0x6a), w.Op(0x49), w.Op(0x0d, 0), w.Op(0x0b),
		w.Get(5), w.Op(0x1a), m.Funcs[2].Code)
	return m
}

// BenchmarkFrame is what asking about a frame takes, by engine, and by what stops a guest that
// does not end: the meter, wazero's check of a context (which does not stop recursion), nothing.
func BenchmarkFrame(b *testing.B) {
	small := preview()
	middle := &Frame{View: 1, Width: InterpretedWidth, Height: InterpretedHeight, Pixels: make([]byte, InterpretedWidth*InterpretedHeight*3)}
	large := &Frame{View: 1, Width: 640, Height: 480, Pixels: make([]byte, 640*480*3), Full: true}
	for _, g := range []struct {
		name  string
		guest *w.Module
		frame *Frame
	}{
		{"nothing,80x60", guest("", ""), small},
		{"difference,80x60", differing(false), small},
		{"calls,80x60", differing(true), small},
		{"difference,160x120", differing(false), middle},
		{"difference,640x480", differing(false), large},
	} {
		for _, mode := range []string{"compiler", "interpreter"} {
			for _, stop := range []string{"meter", "context", "none"} {
				b.Run(mode+"/"+g.name+"/"+stop, func(b *testing.B) {
					if mode == "compiler" && compilerDenied() != nil {
						b.Skip(compilerDenied())
					}
					p := stoppedBy(b, mode, stop, g.guest.Bytes())
					b.ReportAllocs()
					for b.Loop() {
						p.Frame(context.Background(), g.frame)
					}
					if s := p.Status(); s.Failures > 0 {
						b.Fatal(s)
					}
				})
			}
		}
	}
}

func stoppedBy(b testing.TB, mode, stop string, wasm []byte) *Plugin {
	b.Helper()
	ctx := context.Background()
	e := newEngine(b, EngineConfig{Mode: mode})
	m, err := e.Compile(ctx, "bench.wasm", wasm)
	if err != nil {
		b.Fatal(err)
	}
	if stop != "meter" {
		cfg := wazero.NewRuntimeConfigInterpreter()
		if mode == "compiler" {
			cfg = wazero.NewRuntimeConfigCompiler()
		}
		m.runtime = wazero.NewRuntimeWithConfig(ctx, cfg.WithCloseOnContextDone(stop == "context"))
		b.Cleanup(func() { _ = m.runtime.Close(ctx) })
		if _, err := provide(ctx, m.runtime); err != nil {
			b.Fatal(err)
		}
		if m.code, err = m.runtime.CompileModule(ctx, wasm); err != nil {
			b.Fatal(err)
		}
	}
	p, err := m.Start(ctx, new(record).options())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close() })
	return p
}
