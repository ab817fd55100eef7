package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Error is a refusal: what was found at which byte of the pickle.
type Error struct {
	Offset int
	Msg    string
}

func (e *Error) Error() string { return fmt.Sprintf("pickle: %s at byte %d", e.Msg, e.Offset) }

func errorf(off int, format string, args ...any) error {
	return &Error{off, fmt.Sprintf(format, args...)}
}

// scan checks every opcode and operand up to STOP without running anything,
// and counts the memo writes, so that run can trust the operands and knows the
// size of the memo. It returns the length of the program.
func scan(data []byte) (length, puts int, err error) {
	for off := 0; ; {
		if off >= len(data) {
			return 0, 0, errorf(off, "ends without STOP")
		}
		n, err := operand(data, off)
		if err != nil {
			return 0, 0, err
		}
		switch data[off] {
		case opStop:
			return off + 1, puts, nil
		case opBinPut, opLongBinPut:
			puts++
		}
		off += n
	}
}

// operand checks the opcode at off with its operand and returns their length.
func operand(data []byte, off int) (int, error) {
	op, rest := data[off], data[off+1:]
	n := 0
	switch op {
	case opMark, opStop, opBinPersID, opReduce, opBuild, opSetItem, opSetItems, opTuple, opTuple1,
		opTuple2, opTuple3, opEmptyDict, opEmptyTuple, opNewTrue, opNewFalse:
		return 1, nil
	case opProto, opBinInt1, opBinPut, opBinGet, opLong1:
		n = 1
	case opBinInt2:
		n = 2
	case opBinInt, opLongBinPut, opLongBinGet, opBinUnicode:
		n = 4
	case opGlobal:
		_, n, err := global(data, off)
		return n, err
	default:
		if name := opNames[op]; name != "" {
			return 0, errorf(off, "opcode %s is not allowed", name)
		}
		return 0, errorf(off, "unknown opcode 0x%02x", op)
	}
	if n > len(rest) {
		return 0, errorf(off, "%s is cut off", opNames[op])
	}
	switch op {
	case opProto:
		if off != 0 || rest[0] != 2 {
			return 0, errorf(off, "protocol %d where only protocol 2, at the start, is known", rest[0])
		}
	case opLong1:
		long := int(rest[0])
		if long > 8 {
			return 0, errorf(off, "integer of %d bytes where at most 8 fit", long)
		}
		if n += long; n > len(rest) {
			return 0, errorf(off, "LONG1 is cut off")
		}
	case opBinUnicode:
		size := binary.LittleEndian.Uint32(rest)
		if uint64(size) > uint64(len(rest)-4) {
			return 0, errorf(off, "text of %d bytes where %d are left", size, len(rest)-4)
		}
		if !utf8.Valid(rest[4 : 4+size]) {
			return 0, errorf(off, "text is not UTF-8")
		}
		n += int(size)
	}
	return 1 + n, nil
}

// maxGlobal bounds the search for the two line ends of a GLOBAL.
const maxGlobal = 256

// global finds the GLOBAL opcode at off in the table of globals and returns
// its index there and its length.
func global(data []byte, off int) (index, length int, err error) {
	rest := data[off+1:]
	rest = rest[:min(len(rest), maxGlobal)]
	module, tail, ok1 := bytes.Cut(rest, []byte("\n"))
	name, _, ok2 := bytes.Cut(tail, []byte("\n"))
	if !ok1 || !ok2 {
		return 0, 0, errorf(off, "global is cut off or longer than %d bytes", maxGlobal)
	}
	for i, g := range globals {
		m, n, _ := bytes.Cut([]byte(g.name), []byte(" "))
		if bytes.Equal(m, module) && bytes.Equal(n, name) {
			return i, 1 + len(module) + 1 + len(name) + 1, nil
		}
	}
	return 0, 0, errorf(off, "global %.64q is not allowed", string(module)+"."+string(name))
}
