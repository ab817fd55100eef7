package pickle

import "encoding/binary"

const (
	// maxSize bounds a pickle: a state dict needs about 200 bytes a tensor.
	maxSize = 16 << 20
	// maxStack bounds the stack. Python writes a dictionary in batches of 1,000
	// pairs; other writers may put all pairs of up to 8,000 tensors in one batch.
	maxStack = 1 << 14
	// maxMarks bounds the nesting of open MARKs; torch.save needs 4.
	maxMarks = 16
)

// machine is the state of one run, and afterwards what its Values point to.
type machine struct {
	data  []byte
	arena []ref // arena[0] is unused, so that 0 can mean "no pair"
	memo  []ref
	stack []ref
	marks []int // stack heights
}

// Parse runs the pickle at the start of data and returns the value it leaves;
// bytes behind its STOP are not looked at. The value borrows data.
func Parse(data []byte) (Value, error) {
	if len(data) > maxSize {
		return Value{}, errorf(0, "is %d bytes long, more than %d", len(data), maxSize)
	}
	n, puts, err := scan(data)
	if err != nil {
		return Value{}, err
	}
	m := &machine{
		data: data[:n],
		// A tensor costs at most 23 words plus two for each dimension, and
		// torch.save spends at least 80 bytes on it, two more for each
		// dimension, and its name. The constant serves very small files.
		arena: make([]ref, 1, 1024+n/2),
		memo:  make([]ref, puts),
		stack: make([]ref, 0, min(n, maxStack)),
		marks: make([]int, 0, maxMarks),
	}
	r, err := m.run()
	if err != nil {
		return Value{}, err
	}
	m.memo, m.stack, m.marks = nil, nil, nil
	return Value{m, r}, nil
}

// run executes the program, whose operands scan has checked.
func (m *machine) run() (ref, error) {
	for off := 0; ; {
		op := m.data[off]
		n, err := operand(m.data, off)
		if err != nil {
			return 0, err
		}
		if op == opStop {
			if len(m.stack) != 1 || len(m.marks) != 0 {
				return 0, errorf(off, "stops with %d values and %d marks on the stack", len(m.stack), len(m.marks))
			}
			return m.stack[0], nil
		}
		if err := m.step(op, off); err != nil {
			return 0, err
		}
		off += n
	}
}

func (m *machine) step(op byte, off int) error {
	switch op {
	case opProto:
		return nil
	case opMark:
		if len(m.marks) == maxMarks {
			return errorf(off, "more than %d open marks", maxMarks)
		}
		m.marks = append(m.marks, len(m.stack))
		return nil
	case opNewTrue:
		return m.push(newRef(Bool, 1), off)
	case opNewFalse:
		return m.push(newRef(Bool, 0), off)
	case opBinInt, opBinInt1, opBinInt2, opLong1:
		return m.push(newRef(Int, off), off)
	case opBinUnicode:
		return m.push(newRef(Str, off), off)
	case opGlobal:
		i, _, err := global(m.data, off)
		if err != nil {
			return err
		}
		return m.push(newRef(Global, i), off)
	case opBinPut, opLongBinPut:
		return m.put(m.index(off), off)
	case opBinGet, opLongBinGet:
		i := m.index(off)
		if i >= uint32(len(m.memo)) || m.memo[i] == 0 {
			return errorf(off, "memo %d was never written", i)
		}
		return m.push(m.memo[i], off)
	case opEmptyDict:
		return m.newDict(off)
	case opEmptyTuple:
		return m.tuple(0, off)
	case opTuple1, opTuple2, opTuple3:
		return m.tuple(int(op-opTuple1)+1, off)
	case opTuple:
		n, err := m.popMark(off)
		if err != nil {
			return err
		}
		return m.tuple(n, off)
	case opBinPersID:
		return m.persistent(off)
	case opReduce:
		return m.reduce(off)
	case opBuild:
		return m.build(off)
	case opSetItem:
		return m.setItems(2, off)
	default: // opSetItems: operand has refused all others
		n, err := m.popMark(off)
		if err != nil {
			return err
		}
		return m.setItems(n, off)
	}
}

// index returns the operand of a memo opcode.
func (m *machine) index(off int) uint32 {
	if op := m.data[off]; op == opBinPut || op == opBinGet {
		return uint32(m.data[off+1])
	}
	return binary.LittleEndian.Uint32(m.data[off+1:])
}

func (m *machine) put(i uint32, off int) error {
	// Python numbers the memo in order of writing, so no index can reach the
	// number of writes in the whole program.
	if i >= uint32(len(m.memo)) {
		return errorf(off, "memo %d in a pickle with %d memo writes", i, len(m.memo))
	}
	if m.free() < 1 {
		return errorf(off, "stores from an empty stack")
	}
	m.memo[i] = m.stack[len(m.stack)-1]
	return nil
}

// free returns the number of values above the last mark.
func (m *machine) free() int {
	if len(m.marks) == 0 {
		return len(m.stack)
	}
	return len(m.stack) - m.marks[len(m.marks)-1]
}

func (m *machine) push(r ref, off int) error {
	if len(m.stack) == cap(m.stack) {
		return errorf(off, "more than %d values on the stack", cap(m.stack))
	}
	m.stack = append(m.stack, r)
	return nil
}

// popMark removes the last mark and returns the number of values above it.
func (m *machine) popMark(off int) (int, error) {
	if len(m.marks) == 0 {
		return 0, errorf(off, "%s without a MARK", opNames[m.data[off]])
	}
	n := m.free()
	m.marks = m.marks[:len(m.marks)-1]
	return n, nil
}

// pop removes the n topmost values and returns them; they stay valid until the
// next push.
func (m *machine) pop(n, off int) ([]ref, error) {
	if m.free() < n {
		return nil, errorf(off, "%s takes %d values from a stack of %d", opNames[m.data[off]], n, m.free())
	}
	at := len(m.stack) - n
	top := m.stack[at:]
	m.stack = m.stack[:at]
	return top, nil
}
