package plugin

import (
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// named is a module whose function f has a name, which errors show.
func named(m *w.Module, f int, name string) []byte {
	s := append(w.U(w.U([]byte{1}, uint64(f)), uint64(len(name))), name...)
	return append(m.Bytes(), w.Section(0, append([]byte("\x04name"), w.Section(1, s)...))...)
}

// escapes is what a terminal would obey, or show in another order, and more than a log wants.
var escapes = "\x1b]0;title\x07\u202egnp.exe\u2028" + strings.Repeat("x", 4<<20)

// checkReason fails on what must not come out of a plugin's error.
func checkReason(t *testing.T, err, want string) {
	t.Helper()
	if !strings.Contains(err, want) {
		t.Errorf("%.100q, want %q", err, want)
	}
	checkText(t, "error", err, maxLine+100) // with what edged says before
}

// TestErrorsAreBrief: what a guest calls its functions and writes for others to read neither fills memory and
// logs nor gives orders to a terminal.
func TestErrorsAreBrief(t *testing.T) {
	deep := inFrame(w.Code(w.I32(40), w.Call(7)))
	deep.Funcs = append(deep.Funcs, w.Func{Params: "i", Code: w.Code(
		w.Get(0), w.Op(0x45), w.Op(0x04, 0x40), w.Trap(), w.Op(0x0b), w.Get(0), w.I32(1), w.Op(0x6b), w.Call(7))})
	starts := inFrame(nil)
	starts.Funcs, starts.Start = append(starts.Funcs, w.Func{Code: w.Trap()}), 7
	invalid := inFrame(nil)
	invalid.Funcs = append(invalid.Funcs, w.Func{Export: escapes, Code: w.Op(0x6a)})
	field := `{"` + strings.Repeat("x", 60<<10) + `":1}`
	emits := guest("", "")
	emits.Pages = 2
	emits.Data = append(emits.Data, w.Data{At: 1 << 16, Bytes: field})
	emits.Funcs = append(emits.Funcs, w.Func{Export: exportStart, Params: "ii", Results: "i",
		Code: w.Code(w.I32(1<<16), w.I32(int32(len(field))), w.Call(1), w.I32(0))})
	engines(t, func(t *testing.T, e *Engine) {
		for name, c := range map[string]struct {
			wasm []byte
			want string
		}{
			"a function's name":   {named(deep, 7, escapes), "unreachable in ]0;title"},
			"a start function's":  {named(starts, 7, escapes), "unreachable in ]0;title"},
			"an export's":         {invalid.Bytes(), "invalid function[4] export"},
			"a field's, at start": {emits.Bytes(), "emit: json: unknown field"},
		} {
			t.Run(name, func(t *testing.T) {
				r := new(record)
				var text string
				run := func() {
					m, err := e.Compile(t.Context(), "test.wasm", c.wasm)
					if err != nil {
						text = err.Error()
						return
					}
					defer m.Close(t.Context())
					p, err := m.Start(t.Context(), r.options())
					if err != nil {
						text = err.Error()
						return
					}
					defer p.Close()
					p.Frame(t.Context(), preview())
					text = p.Status().Reason
				}
				// Of a compiled export's name there are some copies, of 4 MiB.
				if budget := uint64(64 << 20); hostile.Allocated(budget, run) > budget {
					t.Error("more than 64 MiB allocated")
				}
				checkReason(t, text, c.want)
				for _, l := range r.lines {
					checkReason(t, l, "")
				}
			})
		}
	})
}
