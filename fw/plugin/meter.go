package plugin

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// What guests are made to do, besides their own work. RATIONALE.md has the reasons and figures.
//
// Two globals are added. One is fuel: every function and every turn of a loop takes as much as
// its code is long, copying and filling memory as many bytes as there are. When it is used up
// the guest calls the host, where [instance.tick] ends the call if its time is over. The other
// is depth: what the functions that are being called occupy of the stack, in values.
//
// The one instruction that leads to the host without an import, which would change the number
// of every function, is memory.grow. One that asks for more than there can be means nothing
// but that, and has no other effect.
const (
	tank       = 8 << 10 // fuel until the host is called
	codeUnit   = 16      // bytes of code for a unit of fuel
	memoryUnit = 64      // bytes of memory for one

	// What deep recursion may occupy: values on the stack, of 8 to 16 bytes. wazero's compiler
	// would go on to 80 MiB, its interpreter to 2000 functions of any size.
	maxDepth  = 256 << 10
	maxFrame  = 16 << 10 // of one function
	maxStack  = 8 << 20  // bytes, of either engine, with what growing it takes
	smallLeaf = 128      // bytes of a function that calls nothing and does not loop, which is free

	// What compiling takes grows with the squares of the branches of functions, in seconds, and
	// with their branches times their locals, in memory. RATIONALE.md has figures.
	maxBranches = 20_000
	maxSquares  = 500_000_000
	maxProduct  = 128 << 10
	maxProducts = 16 << 20 // of all functions

	growTick  = 0x8000 // pages that memory.grow asks for to call the host
	growDepth = 0x9a1d // the same when the stack is full
)

// Instructions that are looked at or written.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opLocalGet     = 0x20
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI32LtS       = 0x48
	opI32GtU       = 0x4b
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76

	noResult = 0x40 // type of a block
)

// meter writes one function anew.
type meter struct {
	m      *module
	s      *scanner // its body
	out    []byte
	fuel   uint32 // index of the globals
	depth  uint32
	spare  uint32 // index of a local that is added
	spared bool   // it is

	blocks   []block
	height   int // values on the stack
	most     int
	calls    []int // where in out the size of the frame belongs
	loops    bool
	wide     bool // it has vectors
	branches int  // blocks, branches and their targets, calls
}

// block is one that is open: a block, loop, if, or the function.
type block struct {
	base    int // values below its own
	params  int
	results int
	loop    bool
	from    int // of a loop: where its code begins in the module,
	charge  int // and where in out its fuel belongs
}

// rewrite reads a function of the code section, and returns it with its meter.
func (m *module) rewrite(s *scanner, sig signature) []byte {
	size := s.u32()
	if size > maxBody {
		s.fail("a function of %d bytes, more than %d", size, maxBody)
	}
	if int64(size) > int64(s.left()) {
		s.fail("a function of %d bytes in %d", size, s.left())
	}
	if s.err != nil {
		return nil
	}
	outer := s.end
	s.end = s.off + int(size)
	defer func() { s.end = outer }()

	declared, locals := m.locals(s)
	locals += len(sig.params)
	w := &meter{m: m, s: s, fuel: uint32(m.globals), depth: uint32(m.globals) + 1, spare: uint32(locals)}
	body := s.left()
	w.out = make([]byte, 0, body+body/4)
	w.wide = strings.Contains(sig.params, v128) || bytes.Contains(declared, []byte(v128))
	w.open(block{results: len(sig.results)})
	for len(w.blocks) > 0 && s.err == nil {
		w.step()
	}
	if s.err == nil && s.left() != 0 {
		s.fail("%d bytes behind the end of a function", s.left())
	}
	frame := locals + w.most + 8
	if w.wide {
		frame *= 2 // vectors take the room of two
	}
	if m.squares += w.branches * w.branches; m.squares > maxSquares || w.branches > maxBranches {
		s.fail("functions with too many branches: this one has %d", w.branches)
	}
	if m.products += w.branches * locals; m.products > maxProducts || w.branches*locals > maxProduct {
		s.fail("functions with too many branches and locals: this one has %d and %d", w.branches, locals)
	}
	if frame > maxFrame {
		s.fail("a function with %d values on its stack, more than %d", frame, maxFrame)
	}
	if s.err != nil {
		return nil
	}
	for _, at := range w.calls {
		put5(w.out[at:], frame)
	}

	var head []byte
	if !w.spared {
		head = append(head, declared...)
	} else {
		n, k := binary.Uvarint(declared)
		head = binary.AppendUvarint(head, n+1)
		head = append(append(head, declared[k:]...), 1, i32[0])
	}
	if len(w.calls) > 0 || w.loops || body > smallLeaf {
		head, _ = w.charge(head, 1+body/codeUnit)
	}
	if len(w.calls) > 0 {
		head = global(head, opGlobalGet, w.depth)
		head = constant(head, maxDepth)
		head = append(head, opI32GtU, opIf, noResult)
		head = append(w.call(head, growDepth), opEnd)
	}
	b := binary.AppendUvarint(make([]byte, 0, len(head)+len(w.out)+5), uint64(len(head)+len(w.out)))
	return append(append(b, head...), w.out...)
}

// locals reads the declarations of a function's locals, and how many there are.
func (m *module) locals(s *scanner) (declared []byte, n int) {
	from := s.off
	for range s.count(2, "kinds of locals", maxLocals) {
		k := s.u32()
		if k > maxLocals || n+int(k) > maxLocals {
			s.fail("a function of more than %d locals", maxLocals)
			return nil, 0
		}
		n += int(k)
		if c := s.byte(); valueNames[c] == "" {
			s.fail("locals of type %#x", c)
		}
	}
	return s.b[from:s.off], n
}

func global(b []byte, op byte, index uint32) []byte {
	return binary.AppendUvarint(append(b, op), uint64(index))
}

// constant appends i32.const in as many bytes for every value, so that it can be changed.
func constant(b []byte, v int) []byte {
	b = append(b, opI32Const, 0, 0, 0, 0, 0)
	put5(b[len(b)-5:], v)
	return b
}

// put5 writes a number of up to 31 bits, not negative, in five bytes of LEB128.
func put5(b []byte, v int) {
	for i := range 4 {
		b[i] = byte(v>>(7*i)) | 0x80
	}
	b[4] = byte(v >> 28)
}

// call appends a call of the host.
func (w *meter) call(b []byte, pages int) []byte {
	return append(constant(b, pages), opMemoryGrow, 0, opDrop)
}

// charge appends the taking of n units, and returns where in b that number is.
func (w *meter) charge(b []byte, n int) ([]byte, int) {
	b = constant(global(b, opGlobalGet, w.fuel), n)
	at := len(b) - 5
	return w.refill(append(b, opI32Sub)), at
}

// refill appends setting fuel to what is on the stack, and what happens when it is used up.
func (w *meter) refill(b []byte) []byte {
	b = global(b, opGlobalSet, w.fuel)
	b = global(b, opGlobalGet, w.fuel)
	b = append(b, opI32Const, 0, opI32LtS, opIf, noResult)
	b = w.call(b, growTick)
	b = global(constant(b, tank), opGlobalSet, w.fuel)
	return append(b, opEnd)
}

// bulk appends the taking of fuel for as many bytes as lie on the stack, and leaves them there.
func (w *meter) bulk(b []byte) []byte {
	w.spared = true
	b = global(b, opLocalTee, w.spare)
	b = global(b, opGlobalGet, w.fuel)
	b = global(b, opLocalGet, w.spare)
	b = append(b, opI32Const, 6 /* log2 of memoryUnit */, opI32ShrU, opI32Sub)
	return w.refill(b)
}

// deeper appends that the function goes deeper (opI32Add) or comes back (opI32Sub).
func (w *meter) deeper(op byte) {
	b := constant(global(w.out, opGlobalGet, w.depth), 0)
	w.calls = append(w.calls, len(b)-5)
	w.out = global(append(b, op), opGlobalSet, w.depth)
}

// move takes values from the stack and puts others on it. In code that cannot be reached there
// may be fewer than are taken.
func (w *meter) move(take, give int) {
	w.height = max(w.height-take, w.blocks[len(w.blocks)-1].base) + give
	w.most = max(w.most, w.height)
}

// open opens a block, whose parameters lie on the stack.
func (w *meter) open(b block) {
	if b.params > 0 {
		w.move(b.params, b.params)
	}
	b.base = w.height - b.params
	w.blocks = append(w.blocks, b)
}

// blockType reads the type of a block.
func (w *meter) blockType() (b block) {
	s := w.s
	if s.left() > 0 && (s.b[s.off] == noResult || valueNames[s.b[s.off]] != "") {
		if s.byte() != noResult {
			b.results = 1
		}
		return b
	}
	t := s.u32()
	if int64(t) >= int64(len(w.m.types)) {
		s.fail("a block of type %d of %d", t, len(w.m.types))
		return b
	}
	return block{params: len(w.m.types[t].params), results: len(w.m.types[t].results)}
}

// step copies an instruction, with what belongs to it. Blocks end as they must; all else of its
// meaning is wazero's to check.
func (w *meter) step() {
	s, from := w.s, w.s.off
	op := s.byte()
	var bulk, deeper bool
	switch op {
	case opUnreachable, opReturn, opBr, opBrTable:
		w.branches++
		switch op {
		case opBr:
			s.u32()
		case opBrTable:
			n := s.count(1, "targets", maxBranches)
			w.branches += n
			for range n {
				s.u32()
			}
			s.u32()
		}
		w.height = w.blocks[len(w.blocks)-1].base
	case opBlock, opLoop, opIf:
		w.branches++
		if op == opIf {
			w.move(1, 0)
		}
		b := w.blockType()
		b.loop, b.from = op == opLoop, from
		w.open(b)
	case opElse:
		b := w.blocks[len(w.blocks)-1]
		w.height = b.base + b.params
	case opEnd:
		b := w.blocks[len(w.blocks)-1]
		w.blocks = w.blocks[:len(w.blocks)-1]
		w.height = b.base + b.results
		w.most = max(w.most, w.height)
		if b.loop {
			put5(w.out[b.charge:], 1+(s.off-b.from)/codeUnit)
		}
	case opBrIf:
		w.branches++
		s.u32()
		w.move(1, 0)
	case opCall:
		w.branches++
		f := s.u32()
		if int64(f) >= int64(len(w.m.typeOf)) {
			s.fail("a call of function %d of %d", f, len(w.m.typeOf))
			return
		}
		t := w.m.types[w.m.typeOf[f]]
		w.move(len(t.params), len(t.results))
		if int64(f) >= int64(w.m.imported) {
			deeper = true
		}
	case opCallIndirect:
		w.branches++
		t := s.u32()
		s.u32()
		if int64(t) >= int64(len(w.m.types)) {
			s.fail("a call of type %d of %d", t, len(w.m.types))
			return
		}
		w.move(1+len(w.m.types[t].params), len(w.m.types[t].results))
		deeper = true
	case opGlobalGet, opGlobalSet:
		if g := s.u32(); int64(g) >= int64(w.m.globals) {
			s.fail("global %d of %d", g, w.m.globals)
		}
		if op == opGlobalGet {
			w.move(0, 1)
		} else {
			w.move(1, 0)
		}
	default:
		w.wide = w.wide || op == 0xfd
		var take, give int
		take, give, bulk = s.plain(op)
		w.move(take, give)
	}
	if s.err != nil {
		return
	}
	if bulk {
		w.branches += 3
		w.out = w.bulk(w.out)
	}
	if deeper {
		w.deeper(opI32Add)
	}
	w.out = append(w.out, s.b[from:s.off]...)
	if deeper {
		w.deeper(opI32Sub)
	}
	if op == opLoop {
		w.loops = true
		w.out, w.blocks[len(w.blocks)-1].charge = w.charge(w.out, 0)
	}
}

// metered returns the module with the changed sections.
func (m *module) metered() []byte {
	out := make([]byte, 0, m.size+m.size/4)
	out = append(out, "\x00asm\x01\x00\x00\x00"...)
	section := func(id byte, b []byte) {
		out = binary.AppendUvarint(append(out, id), uint64(len(b)))
		out = append(out, b...)
	}
	for _, id := range sectionOrder {
		switch b := m.sections[id]; {
		case id == secGlobal:
			_, k := binary.Uvarint(b)
			b = append(binary.AppendUvarint(nil, uint64(m.globals)+2), b[max(k, 0):]...)
			for range 2 {
				b = append(b, i32[0], 1, opI32Const, 0, opEnd)
			}
			section(id, b)
		case id == secMemory:
			// As many as there can be: what there is is up to [memory].
			b := binary.AppendUvarint([]byte{1, 1}, uint64(m.minPages))
			section(id, binary.AppendUvarint(b, 1<<16))
		case id == secTable && b != nil:
			b := binary.AppendUvarint(nil, uint64(len(m.tables)))
			for _, t := range m.tables {
				b = binary.AppendUvarint(append(b, t.kind, 1), uint64(t.size))
				b = binary.AppendUvarint(b, uint64(t.size))
			}
			section(id, b)
		case id == secCode && b != nil:
			b := binary.AppendUvarint(nil, uint64(len(m.bodies)))
			for _, f := range m.bodies {
				b = append(b, f...)
			}
			section(id, b)
		case b != nil:
			section(id, b)
		}
	}
	if m.names != nil {
		section(secCustom, append([]byte("\x04name"), m.names...))
	}
	return out
}
