package plugin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Limits of modules. wazero's decoder makes room for as many things as a module says that it
// has: 20 bytes can make it ask for gigabytes, which ends the process.
const (
	MaxModule = 16 << 20 // bytes of a file

	maxParams = 128     // of a function, and of results
	maxLocals = 4 << 10 // of a function
	maxBody   = 2 << 20 // bytes of a function
	maxThings = 1 << 14 // types, imports, globals, exports each
	maxFuncs  = 1 << 14 // what a compiler takes grows faster than their number: 2 s for so many empty ones
	maxPieces = 1 << 16 // of data, and of elements
	maxTables = 16
	maxTable  = 1 << 16 // elements of all tables
	maxName   = 256     // bytes of a function's name
)

// Sections of a module. https://www.w3.org/TR/wasm-core-2/#sections%E2%91%A0
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count"}

// signature is a function's type: a byte for each value.
type signature struct{ params, results string }

// Value types.
const (
	i32 = "\x7f"
	i64 = "\x7e"

	v128 = "\x7b"
)

var valueNames = map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref"}

func (s signature) String() string {
	var b bytes.Buffer
	list := func(types string) {
		b.WriteByte('(')
		for i := range len(types) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(valueNames[types[i]])
		}
		b.WriteByte(')')
	}
	list(s.params)
	b.WriteString(" -> ")
	list(s.results)
	return b.String()
}

// layout is what the host must know of a module.
type layout struct {
	size               int // bytes of the module
	metered            int // and with its meter
	defined            int // functions that it does not import
	minPages, maxPages uint32
	table              uint32               // elements of all tables
	functions          map[string]signature // exported
}

// scanner reads a module. The first error stays.
type scanner struct {
	b    []byte
	off  int // in the module
	end  int // of what is being read
	what string
	err  error
}

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%s at byte %#x: %s", s.what, s.off, fmt.Sprintf(format, args...))
		s.off = s.end
	}
}

func (s *scanner) left() int { return s.end - s.off }

func (s *scanner) byte() byte {
	if s.left() < 1 {
		s.fail("cut off")
		return 0
	}
	s.off++
	return s.b[s.off-1]
}

func (s *scanner) bytes(n uint32) []byte {
	if uint64(n) > uint64(s.left()) {
		s.fail("%d bytes of the %d that are left", n, s.left())
		return nil
	}
	s.off += int(n)
	return s.b[s.off-int(n) : s.off : s.off]
}

// u32 reads a number in LEB128.
func (s *scanner) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := s.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	s.fail("a number of more than 32 bits")
	return 0
}

// count reads how many things follow, at most so many, which have at least size bytes each.
func (s *scanner) count(size int, what string, most int) int {
	n := s.u32()
	if uint64(n)*uint64(size) > uint64(s.left()) {
		s.fail("%d %s in %d bytes", n, what, s.left())
		return 0
	}
	if int(n) > most {
		s.fail("%d %s, more than %d", n, what, most)
		return 0
	}
	return int(n)
}

func (s *scanner) name() string { return string(s.bytes(s.u32())) }

// types reads the types of values.
func (s *scanner) types(what string) string {
	t := s.bytes(uint32(s.count(1, what, maxParams)))
	for _, c := range t {
		if valueNames[c] == "" {
			s.fail("unknown type %#x among %s", c, what)
		}
	}
	return string(t)
}

// limits reads the size of a table or memory; without a maximum it is as large as can be.
func (s *scanner) limits() (minimum, maximum uint32) {
	switch c := s.byte(); c {
	case 0:
		return s.u32(), 1<<32 - 1
	case 1:
		minimum, maximum = s.u32(), s.u32()
		if minimum > maximum {
			s.fail("at least %d, at most %d", minimum, maximum)
		}
		return minimum, maximum
	default:
		s.fail("unknown kind of limits %#x", c)
		return 0, 0
	}
}

// module is what has been read of one.
type module struct {
	layout
	host     imports
	types    []signature
	imported int   // functions
	typeOf   []int // of functions, imported ones first
	globals  int
	memories int
	exported bool // the memory
	sections [len(sectionNames)][]byte
	tables   []table
	squares  int      // of the branches of functions, together
	products int      // of their branches and locals
	bodies   [][]byte // of functions, metered
	names    []byte   // of functions, shortened: a part of the section "name"; nil: none
	last     int      // place of the last section in sectionOrder
}

type table struct {
	kind byte
	size uint32
}

// sectionOrder is how sections follow each other.
var sectionOrder = []byte{secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secDataCount, secCode, secData}

var errNoModule = errors.New("not a WASM module of version 1")

// prepare checks what the host relies on and wazero's decoder does not, and rewrites the
// module. Errors name the section, and where in the file it is.
func prepare(wasm []byte, host imports) (*layout, []byte, error) {
	if len(wasm) > MaxModule {
		return nil, nil, fmt.Errorf("%d bytes, more than %d", len(wasm), MaxModule)
	}
	if !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, nil, errNoModule
	}
	m := module{host: host, layout: layout{size: len(wasm), functions: map[string]signature{}}}
	s := &scanner{b: wasm, off: 8, end: len(wasm), what: "sections"}
	for s.err == nil && s.left() > 0 {
		m.section(s)
	}
	if s.err == nil {
		s.err = m.check()
	}
	if s.err != nil {
		return nil, nil, s.err
	}
	code := m.metered()
	m.layout.metered = len(code)
	return &m.layout, code, nil
}

// section reads one section.
func (m *module) section(s *scanner) {
	id := s.byte()
	size := s.u32()
	if s.err == nil && (int(id) >= len(sectionNames) || uint64(size) > uint64(s.left())) {
		s.fail("a section of kind %d with %d bytes of the %d that are left", id, size, s.left())
	}
	if s.err != nil {
		return
	}
	outer := s.end
	s.end = s.off + int(size)
	s.what = "section " + sectionNames[id]
	if id == secCustom {
		if s.name() == "name" {
			m.functionNames(*s)
		}
		s.off = s.end
	} else if place := slices.Index(sectionOrder, id) + 1; place <= m.last {
		s.fail("it is not where it belongs")
	} else {
		m.last = place
		m.sections[id] = s.b[s.off:s.end]
		m.read(s, id)
		if s.left() != 0 {
			s.fail("%d bytes too many", s.left())
		}
	}
	s.end, s.what = outer, "sections"
}

// functionNames keeps the names of functions, for errors, if they are well made: in custom
// sections errors do not count. An error has up to thirty of them, so of each there is as much as
// a person reads. The scanner is a copy.
func (m *module) functionNames(s scanner) {
	for s.err == nil && s.left() > 0 {
		id, size := s.byte(), s.u32()
		part := s
		s.bytes(size)
		if s.err != nil || id != 1 {
			continue
		}
		part.end = s.off
		n := part.count(2, "names", maxFuncs)
		names := binary.AppendUvarint(nil, uint64(n))
		for range n {
			index, name := part.u32(), part.name()
			if !utf8.ValidString(name) {
				part.fail("not UTF-8")
			}
			name = clean(name[:min(len(name), maxName)])
			names = binary.AppendUvarint(binary.AppendUvarint(names, uint64(index)), uint64(len(name)))
			names = append(names, name...)
		}
		if part.err == nil && part.left() == 0 {
			m.names = append(binary.AppendUvarint([]byte{1}, uint64(len(names))), names...)
		}
	}
}

func (m *module) read(s *scanner, id byte) {
	switch id {
	case secType:
		for range s.count(3, "types", maxThings) {
			if c := s.byte(); c != 0x60 {
				s.fail("a type of kind %#x, which is no function's", c)
			}
			m.types = append(m.types, signature{s.types("parameters"), s.types("results")})
		}
	case secImport:
		m.imports(s)
	case secFunction:
		for range s.count(1, "functions", maxFuncs) {
			m.function(s)
		}
	case secTable:
		for range s.count(3, "tables", maxTables) {
			t := table{kind: s.byte()}
			if t.kind != 0x70 && t.kind != 0x6f {
				s.fail("a table of type %#x", t.kind)
			}
			t.size, _ = s.limits()
			if t.size > maxTable || m.table+t.size > maxTable {
				s.fail("tables of more than %d elements", maxTable)
				return
			}
			m.table += t.size
			m.tables = append(m.tables, t)
		}
	case secMemory:
		m.memories = s.count(2, "memories", 1)
		for range m.memories {
			if m.minPages, m.maxPages = s.limits(); int64(m.minPages)*pageSize > MaxMemory {
				s.fail("a memory of %d pages (%d MiB) at least, more than %d MiB", m.minPages, m.minPages/16, MaxMemory>>20)
			}
		}
	case secGlobal:
		n := s.count(4, "globals", maxThings)
		for m.globals < n && s.err == nil {
			s.bytes(2)
			s.expression(m.globals)
			m.globals++
		}
	case secExport:
		m.exports(s)
	case secStart:
		s.u32()
	case secElement:
		m.segments(s)
	case secCode:
		n := s.count(3, "functions", maxFuncs)
		if n != len(m.typeOf)-m.imported {
			s.fail("%d functions, %d have types", n, len(m.typeOf)-m.imported)
			return
		}
		for i := range n {
			s.what = fmt.Sprintf("function %d", m.imported+i)
			m.bodies = append(m.bodies, m.rewrite(s, m.types[m.typeOf[m.imported+i]]))
		}
		m.defined = n
	case secData:
		for range s.count(2, "segments", maxPieces) {
			kind := s.u32()
			if kind == 2 {
				s.u32()
			}
			if kind != 1 {
				s.expression(m.globals)
			}
			s.bytes(s.u32())
		}
	case secDataCount:
		s.u32()
	}
}

// function reads the type of one.
func (m *module) function(s *scanner) {
	t := s.u32()
	if int64(t) >= int64(len(m.types)) {
		s.fail("a function of type %d of %d", t, len(m.types))
		t = 0
	}
	m.typeOf = append(m.typeOf, int(t))
}

func (m *module) imports(s *scanner) {
	n := s.count(4, "imports", maxThings)
	for range n {
		module, name := s.name(), s.name()
		kind := s.byte()
		if s.err != nil {
			return
		}
		if kind != 0 {
			s.fail("%.64q.%.64q is no function: functions alone can be imported", module, name)
			return
		}
		m.function(s)
		if s.err != nil {
			return
		}
		want, ok := m.host[module][name]
		if got := m.types[m.typeOf[len(m.typeOf)-1]]; !ok {
			s.fail("import of %.64q.%.64q, which edged does not have", module, name)
		} else if got != want {
			s.fail("import of %s.%s as %v, it is %v", module, name, got, want)
		}
	}
	m.imported = n
}

func (m *module) exports(s *scanner) {
	for range s.count(3, "exports", maxThings) {
		name, kind, index := s.name(), s.byte(), s.u32()
		switch kind {
		case 0:
			if int64(index) >= int64(len(m.typeOf)) {
				s.fail("%.64q is function %d of %d", name, index, len(m.typeOf))
				return
			}
			m.functions[name] = m.types[m.typeOf[index]]
		case 2:
			m.exported = m.exported || name == "memory" && index == 0
		case 3:
			if int64(index) >= int64(m.globals) {
				s.fail("%.64q is global %d of %d", name, index, m.globals)
			}
		}
	}
}

// expression passes an expression without variables but globals below the number given.
func (s *scanner) expression(globals int) {
	for s.err == nil {
		switch op := s.byte(); op {
		case opEnd:
			return
		case opGlobalGet:
			if g := s.u32(); int64(g) >= int64(globals) {
				s.fail("global %d of %d", g, globals)
			}
		default:
			s.plain(op)
		}
	}
}

// segments are what tables are filled with. Of a segment's kind bit 0 says that it does not lie
// in a table from the beginning, bit 1 that it names the table or is declared alone, bit 2
// that it has expressions.
func (m *module) segments(s *scanner) {
	elements := 0
	for range s.count(2, "segments", maxPieces) {
		kind := s.u32()
		if kind > 7 {
			s.fail("a segment of kind %d", kind)
		}
		if kind&3 == 2 {
			s.u32()
		}
		if kind&1 == 0 {
			s.expression(m.globals)
		}
		if kind&3 != 0 {
			s.byte()
		}
		n := s.count(1, "elements", maxPieces)
		if elements += n; elements > maxPieces {
			s.fail("segments of more than %d elements", maxPieces)
		}
		for i := 0; i < n && s.err == nil; i++ {
			if kind < 4 {
				s.u32()
			} else {
				s.expression(m.globals)
			}
		}
	}
}

// check says what is missing of the ABI.
func (m *module) check() error {
	if m.memories != 1 || !m.exported {
		return errors.New(`no memory of its own exported as "memory"`)
	}
	for _, e := range exports {
		got, ok := m.functions[e.name]
		if !ok && e.needed {
			hint := ""
			if _, command := m.functions["_start"]; command {
				hint = "; it exports _start: plugins are built as reactors (Go: -buildmode=c-shared, clang: -mexec-model=reactor)"
			}
			return fmt.Errorf("no export %s %v%s", e.name, e.signature, hint)
		}
		if ok && got != e.signature {
			return fmt.Errorf("export %s is %v, must be %v", e.name, got, e.signature)
		}
	}
	_, frame := m.functions[exportFrame]
	_, caption := m.functions[exportCaption]
	if !frame && !caption {
		return fmt.Errorf("neither %s nor %s is exported", exportFrame, exportCaption)
	}
	return nil
}
