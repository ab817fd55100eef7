package plugin

import (
	"runtime"
	"testing"

	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// TestCodeBytes holds the estimate against what modules of many functions occupy, and of as many
// that do nothing. Machine code lies outside of Go's memory: its size is that of its file in the cache.
func TestCodeBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("the same everywhere")
	}
	work := differing(true).Funcs[2]
	work.Export = ""
	for name, f := range map[string]w.Func{"work": work, "nothing": {}} {
		g := differing(true)
		for range 1500 {
			g.Funcs = append(g.Funcs, f)
		}
		t.Run(name, func(t *testing.T) { holdCodeBytes(t, g.Bytes()) })
	}
}

func holdCodeBytes(t *testing.T, wasm []byte) {
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	engines(t, func(t *testing.T, e *Engine) {
		before := live()
		m, err := e.Compile(t.Context(), "test.wasm", wasm)
		if err != nil {
			t.Fatal(err)
		}
		got := live() - before
		if e.compiler {
			c := newEngine(t, EngineConfig{Mode: "compiler", CacheDir: t.TempDir()})
			if _, err := c.Compile(t.Context(), "test.wasm", wasm); err != nil {
				t.Fatal(err)
			}
			got += only(t, c.cache).info.Size()
		}
		t.Logf("%d bytes of WASM, %d with the meter: %d, estimated %d", len(wasm), m.layout.metered, got, m.CodeBytes())
		if est := m.CodeBytes(); got > 2*est || got < est/4 {
			t.Errorf("%d bytes, estimated %d", got, est)
		}
		runtime.KeepAlive(m)
	})
}
