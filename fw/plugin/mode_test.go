package plugin

import (
	"strings"
	"testing"
)

func TestModes(t *testing.T) {
	if e := newEngine(t, EngineConfig{Mode: "interpreter"}); e.Mode() != "interpreter (configured)" {
		t.Errorf("mode %q", e.Mode())
	}
	if _, err := NewEngine(t.Context(), EngineConfig{Mode: "fast"}); err == nil || err.Error() != `wasm: "fast" is neither auto, compiler nor interpreter` {
		t.Error(err)
	}
	want := "compiler (auto)"
	if err := compilerDenied(); err != nil {
		want = "interpreter (auto: " + err.Error() + ")"
		if _, e := NewEngine(t.Context(), EngineConfig{Mode: "compiler"}); e == nil || !strings.Contains(e.Error(), err.Error()) {
			t.Errorf("with the compiler: %v", e)
		}
	}
	if e := newEngine(t, EngineConfig{}); e.Mode() != want {
		t.Errorf("mode %q, want %q", e.Mode(), want)
	}
}
