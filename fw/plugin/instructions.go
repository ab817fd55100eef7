package plugin

// Instructions without blocks, calls and globals: what they take from the stack and give. https://www.w3.org/TR/wasm-core-2/#instructions%E2%91%A6
var effects = func() (t [256]struct{ take, give int8 }) {
	set := func(from, to, take, give int) {
		for i := from; i <= to; i++ {
			t[i].take, t[i].give = int8(take), int8(give)
		}
	}
	for i := range t {
		t[i].take = -1 // unknown
	}
	set(0x01, 0x01, 0, 0) // nop
	set(0x1a, 0x1a, 1, 0) // drop
	set(0x1b, 0x1c, 3, 1) // select
	set(0x20, 0x20, 0, 1) // local.get
	set(0x21, 0x21, 1, 0) // local.set
	set(0x22, 0x22, 1, 1) // local.tee
	set(0x25, 0x25, 1, 1) // table.get
	set(0x26, 0x26, 2, 0) // table.set
	set(0x28, 0x35, 1, 1) // loads
	set(0x36, 0x3e, 2, 0) // stores
	set(0x3f, 0x3f, 0, 1) // memory.size
	set(0x40, 0x40, 1, 1) // memory.grow
	set(0x41, 0x44, 0, 1) // constants
	set(0x45, 0xc4, 2, 1) // arithmetic, except:
	set(0x45, 0x45, 1, 1) // i32.eqz
	set(0x50, 0x50, 1, 1) // i64.eqz
	set(0x67, 0x69, 1, 1) // i32.clz to popcnt
	set(0x79, 0x7b, 1, 1) // i64.clz to popcnt
	set(0x8b, 0x91, 1, 1) // f32.abs to sqrt
	set(0x99, 0x9f, 1, 1) // f64.abs to sqrt
	set(0xa7, 0xc4, 1, 1) // conversions, extensions
	set(0xd0, 0xd0, 0, 1) // ref.null
	set(0xd1, 0xd1, 1, 1) // ref.is_null
	set(0xd2, 0xd2, 0, 1) // ref.func
	return t
}()

// vectorUnary are the vector instructions that take one value and give one, as ranges. Others
// take two, unless said otherwise.
var vectorUnary = [][2]uint32{{0, 10}, {15, 22}, {24, 25}, {27, 27}, {29, 29}, {31, 31}, {33, 33}, {77, 77}, {83, 83}, {92, 100}, {103, 106}, {116, 117},
	{122, 122}, {124, 129}, {131, 132}, {135, 138}, {148, 148}, {160, 161}, {163, 164}, {167, 170}, {192, 193}, {195, 196}, {199, 202}, {224, 225}, {227, 227},
	{236, 237}, {239, 239}, {248, 255}}

// plain passes the operands of an instruction, and says what it takes from the stack and gives.
// Bulk instructions have the length of what they do on top of the stack.
func (s *scanner) plain(op byte) (take, give int, bulk bool) {
	e := effects[op]
	take, give = int(e.take), int(e.give)
	switch {
	case op == 0xfc:
		return s.misc()
	case op == 0xfd:
		take, give = s.vector()
	case take < 0:
		s.off--
		s.fail("unknown instruction %#x", op)
	case op == 0x1c:
		s.types("types")
	case op >= 0x28 && op <= 0x3e:
		s.memory()
	case op >= 0x20 && op <= 0x26, op == 0x3f, op == 0x40, op == 0xd0, op == 0xd2:
		s.u32()
	case op == 0x41:
		s.skip(5)
	case op == 0x42:
		s.skip(10)
	case op == 0x43:
		s.bytes(4)
	case op == 0x44:
		s.bytes(8)
	}
	return take, give, false
}

// memory passes alignment and offset.
func (s *scanner) memory() {
	s.u32()
	s.u32()
}

// skip passes a signed number in LEB128 of at most n bytes.
func (s *scanner) skip(n int) {
	for range n {
		if s.byte() < 0x80 {
			return
		}
	}
	s.fail("a number of more than %d bytes", n)
}

// misc are the instructions behind 0xfc.
func (s *scanner) misc() (take, give int, bulk bool) {
	switch op := s.u32(); op {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating conversions
		return 1, 1, false
	case 8, 10, 12, 14: // memory.init, memory.copy, table.init, table.copy
		s.u32()
		s.u32()
		return 3, 0, true
	case 9, 13: // data.drop, elem.drop
		s.u32()
		return 0, 0, false
	case 11, 17: // memory.fill, table.fill
		s.u32()
		return 3, 0, true
	case 15: // table.grow, which cannot
		s.u32()
		return 2, 1, false
	case 16: // table.size
		s.u32()
		return 0, 1, false
	default:
		s.fail("unknown instruction 0xfc %d", op)
		return 0, 0, false
	}
}

// vector are the instructions behind 0xfd.
func (s *scanner) vector() (take, give int) {
	op := s.u32()
	take, give = 2, 1
	for _, r := range vectorUnary {
		if op >= r[0] && op <= r[1] {
			take = 1
		}
	}
	switch {
	case op > 255:
		s.fail("unknown instruction 0xfd %d", op)
	case op <= 11: // loads, v128.store
		s.memory()
	case op == 12: // v128.const
		s.bytes(16)
		return 0, 1
	case op == 13: // shuffle
		s.bytes(16)
	case op >= 21 && op <= 34: // lanes
		s.byte()
	case op >= 84 && op <= 91: // loads and stores of lanes
		s.memory()
		s.byte()
	case op == 92, op == 93: // loads with zeros
		s.memory()
	}
	switch {
	case op == 11, op >= 88 && op <= 91: // stores
		return 2, 0
	case op == 82: // bitselect
		return 3, 1
	}
	return take, give
}
