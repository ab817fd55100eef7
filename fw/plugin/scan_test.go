package plugin

import (
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	w "github.com/visualrwkv/edged/internal/wasmtest"
)

// TestRefused has what is wrong with a module said by name and place.
func TestRefused(t *testing.T) {
	e := newEngine(t, EngineConfig{Mode: "interpreter"})
	set := func(change func(*w.Module)) []byte {
		m := guest("", "")
		change(m)
		return m.Bytes()
	}
	header := "\x00asm\x01\x00\x00\x00"
	for name, c := range map[string]struct {
		wasm []byte
		want string
	}{
		"empty":            {nil, "not a WASM module of version 1"},
		"ELF":              {[]byte("\x7fELF\x01\x00\x00\x00"), "not a WASM module of version 1"},
		"version 2":        {[]byte("\x00asm\x02\x00\x00\x00"), "not a WASM module of version 1"},
		"large":            {make([]byte, MaxModule+1), "16777217 bytes, more than 16777216"},
		"cut":              {guest("", "").Bytes()[:100], "a section of kind 5 with 3 bytes of the 2 that are left"},
		"no memory":        {set(func(m *w.Module) { m.Pages = 0 }), `no memory of its own exported as "memory"`},
		"large memory":     {set(func(m *w.Module) { m.Pages = 4097 }), "section memory at byte 0x66: a memory of 4097 pages (256 MiB) at least, more than 256 MiB"},
		"wrong memory":     {set(func(m *w.Module) { m.Pages, m.MaxPages = 3, 2 }), "section memory at byte 0x66: at least 3, at most 2"},
		"no version":       {set(func(m *w.Module) { m.Funcs[0].Export = "" }), "no export edged_abi_version () -> (i32)"},
		"wrong version":    {set(func(m *w.Module) { m.Funcs[0].Results = "I" }), "export edged_abi_version is () -> (i64), must be () -> (i32)"},
		"no alloc":         {set(func(m *w.Module) { m.Funcs[1].Export = "malloc" }), "no export edged_alloc (i32) -> (i32)"},
		"wrong alloc":      {set(func(m *w.Module) { m.Funcs[1].Params = "ii" }), "export edged_alloc is (i32, i32) -> (i32), must be (i32) -> (i32)"},
		"wrong frame":      {set(func(m *w.Module) { m.Funcs[2].Params = "i" }), "export edged_on_frame is (i32) -> (i64), must be (i32, i32) -> (i64)"},
		"wrong caption":    {set(func(m *w.Module) { m.Funcs[3].Results = "" }), "export edged_on_caption is (i32, i32) -> (), must be"},
		"wrong start":      {set(func(m *w.Module) { m.Funcs[0].Export = exportStart }), "no export edged_abi_version"},
		"wrong initialize": {set(func(m *w.Module) { m.Funcs = append(m.Funcs, w.Func{Export: exportInitialize, Params: "f"}) }), "export _initialize is (f32) -> (), must be () -> ()"},
		"neither": {set(func(m *w.Module) { m.Funcs[2].Export, m.Funcs[3].Export = "", "" }),
			"neither edged_on_frame nor edged_on_caption is exported"},
		"a command": {set(func(m *w.Module) { m.Funcs[0].Export = "_start" }), "it exports _start: plugins are built as reactors"},
		"an import": {set(func(m *w.Module) { m.Imports[1].Name = "open" }), `section import at byte 0x`},
		"an import by name": {set(func(m *w.Module) { m.Imports[1].Name = "open" }),
			`import of "edged"."open", which edged does not have`},
		"a module": {set(func(m *w.Module) { m.Imports[1].Module = "env" }), `import of "env"."emit", which edged does not have`},
		"an import's type": {set(func(m *w.Module) { m.Imports[1].Params = "iI" }),
			"import of edged.emit as (i32, i64) -> (), it is (i32, i32) -> ()"},
		"WASI's type": {set(func(m *w.Module) {
			m.Imports = append(m.Imports, w.Import{Module: "wasi_snapshot_preview1", Name: "proc_exit", Params: "I"})
		}), "import of wasi_snapshot_preview1.proc_exit as (i64) -> (), it is (i32) -> ()"},
		"WASI has no such": {set(func(m *w.Module) {
			m.Imports = append(m.Imports, w.Import{Module: "wasi_snapshot_preview1", Name: "fork"})
		}), `import of "wasi_snapshot_preview1"."fork"`},
		"a memory from outside": {[]byte(header + "\x02\x0b\x01\x03env\x01m\x02\x00\x01"), "section"},
		"large table":           {set(func(m *w.Module) { m.Table = maxTable + 1 }), "tables of more than 65536 elements"},
		"many types":            {[]byte(header + "\x01\x05\xff\xff\xff\xff\x0f"), "section type at byte 0xf: 4294967295 types in 0 bytes"},
		"many functions":        {[]byte(header + "\x03\x05\xff\xff\xff\xff\x0f"), "section function at byte 0xf: 4294967295 functions in 0 bytes"},
		"many elements":         {[]byte(header + "\x09\x0a\x01\x00\x41\x00\x0b\xff\xff\xff\xff\x0f"), "section element at byte 0x14: 4294967295 elements in 0 bytes"},
		"many expressions":      {[]byte(header + "\x09\x08\x01\x05\x70\xff\xff\xff\xff\x0f"), "section element at byte 0x12: 4294967295 elements in 0 bytes"},
		"much data":             {[]byte(header + "\x0b\x0a\x01\x00\x41\x00\x0b\xff\xff\xff\xff\x0f"), "section data at byte 0x14: 4294967295 bytes of the 0 that are left"},
		"a long name":           {[]byte(header + "\x07\x0b\x01\xff\xff\xff\xff\x0f12345"), "section export at byte 0x10: 4294967295 bytes of the 5 that are left"},
		"a global's global":     {[]byte(header + "\x06\x06\x01\x7f\x00\x23\x00\x0b"), "section global at byte 0xf: global 0 of 0"},
		"many parameters":       {[]byte(header + "\x01\x07\x01\x60\xff\xff\xff\xff\x07"), "section type at byte 0x11: 2147483647 parameters in 0 bytes"},
		"many locals":           {set(func(m *w.Module) { m.Funcs[2].Locals = strings.Repeat("i", maxLocals+1) }), "function 5 at byte 0x"},
		"much code":             {set(func(m *w.Module) { m.Funcs[2].Code = make([]byte, maxBody) }), "a function of 2097154 bytes, more than 2097152"},
		"global of the meter":   {set(func(m *w.Module) { m.Funcs[2].Code = w.Code(w.I32(1<<30), w.Op(0x24, 0), w.I64(0)) }), "global 0 of 0"},
		"second memory":         {[]byte(header + "\x05\x05\x02\x00\x01\x00\x01"), "2 memories, more than 1"},
		"section twice":         {[]byte(header + "\x01\x01\x00\x01\x01\x00"), "section type at byte 0xd: it is not where it belongs"},
		"unknown instruction":   {set(func(m *w.Module) { m.Funcs[2].Code = []byte{0xfe, 0, 0} }), "unknown instruction 0xfe"},
		"types of values":       {set(func(m *w.Module) { m.Funcs[2].Code = w.I32(1) }), "invalid function[2] export[\"edged_on_frame\"]"},
		"branches and locals": {set(func(m *w.Module) {
			m.Funcs[2].Locals = strings.Repeat("i", 1000)
			m.Funcs[2].Code = w.Code(w.I32(0), w.Op(0x0e, 200), make([]byte, 201))
		}), "too many branches and locals: this one has 201 and 1002"},
		"branches": {set(func(m *w.Module) {
			m.Funcs[2].Code = w.Code(w.I32(0), w.Op(0x0e, maxBranches), make([]byte, maxBranches+1))
		}), "too many branches: this one has 20001"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := e.Compile(t.Context(), "test.wasm", c.wasm); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "plugin test.wasm: ") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	e := newEngine(t, EngineConfig{Mode: "interpreter"})
	g := guest("", "")
	g.Pages = 3
	m, err := e.Compile(t.Context(), "test.wasm", g.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Options){
		"the module needs 0.2 MiB of memory, its limit is 0.1 MiB": func(o *Options) { o.Memory = pageSize + 1 },
		"memory of 268435457 bytes, more than 268435456":           func(o *Options) { o.Memory = MaxMemory + 1 },
		"a call limit of 11s, not within 1ms and 10s":              func(o *Options) { o.CallLimit = 11e9 },
		`unknown permission "root"`:                                func(o *Options) { o.Permissions = []string{"root"} },
		"it is to mask, and cannot: that needs edged_on_frame and the permission \"on_frame\"": func(o *Options) {
			o.Permissions, o.OnFailure = []string{PermitMask, PermitCaptions}, ""
		},
		`on failure "open", neither pass nor block`: func(o *Options) { o.OnFailure = "open" },
		"it may do nothing":                         func(o *Options) { o.Permissions = []string{PermitEmit, PermitPixels} },
		"its config":                                func(o *Options) { o.Config = []byte("{") },
		"a config of 65537 bytes":                   func(o *Options) { o.Config = make([]byte, maxConfig+1) },
	} {
		o := new(record).options()
		change(&o)
		if _, err := m.Start(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "plugin test.wasm: "+want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestEffects holds the table of instructions against wazero's validation: with the operands
// that it says there must be types with which the instruction is valid.
func TestEffects(t *testing.T) {
	if testing.Short() {
		t.Skip("the same everywhere")
	}
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	defer r.Close(t.Context())
	valid := func(ins []byte, take, give int) bool {
		const types = "iIfFv"
		n := 1
		for range take {
			n *= len(types)
		}
		for k := range n {
			var params string
			var code []byte
			for i := range take {
				params += types[k%len(types) : k%len(types)+1]
				k /= len(types)
				code = append(code, w.Get(i)...)
			}
			code = append(code, ins...)
			for range give {
				code = append(code, 0x1a)
			}
			m := w.Module{Pages: 1, Funcs: []w.Func{{Params: params, Code: code}}}
			if c, err := r.CompileModule(t.Context(), m.Bytes()); err == nil {
				_ = c.Close(t.Context())
				return true
			}
		}
		return false
	}
	check := func(ins []byte) {
		s := &scanner{b: ins, end: len(ins), what: "test"}
		take, give, _ := s.plain(s.byte())
		if s.err != nil || s.left() > 0 {
			t.Errorf("% x: %v, %d bytes left", ins, s.err, s.left())
		} else if !valid(ins, take, give) {
			t.Errorf("% x takes %d and gives %d: wazero does not think so", ins, take, give)
		}
	}
	for op := byte(0x28); op <= 0x3e; op++ {
		check([]byte{op, 0, 0})
	}
	for op := byte(0x45); op <= 0xc4; op++ {
		check([]byte{op})
	}
	for op := uint64(0); op < 8; op++ {
		check(w.Op(0xfc, op))
	}
	n := 0
	for op := uint64(0); op <= 255; op++ {
		switch op {
		// There are no such.
		case 154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238:
			continue
		}
		n++
		ins := w.Op(0xfd, op)
		switch {
		case op <= 11, op == 92, op == 93:
			ins = append(ins, 0, 0)
		case op == 12, op == 13:
			ins = append(ins, make([]byte, 16)...)
		case op >= 21 && op <= 34:
			ins = append(ins, 0)
		case op >= 84 && op <= 91:
			ins = append(ins, 0, 0, 0)
		}
		check(ins)
	}
	if n != 236 {
		t.Errorf("%d vector instructions, there are 236", n)
	}
}
