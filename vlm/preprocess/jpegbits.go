package preprocess

import "encoding/binary"

// lookAhead is the length of the codes that are found at once: all but rare ones.
const lookAhead = 9

// huffman is a table of T.81 annex C: the codes of one length are consecutive
// and follow those of the length before, extended by a bit.
type huffman struct {
	fast   [1 << lookAhead]uint16 // by the next bits: value and code length, 0 if longer
	max    [17]int32              // largest code of a length, -1 for none
	offset [17]int32              // index of a code's value less the code
	values []byte                 // borrowed from the stream
}

// read takes the table at data[at:], sixteen counts and the values, which
// huffmanTables has checked.
func (h *huffman) read(data []byte, at int) {
	*h = huffman{values: data[at+16:]}
	counts := data[at:][:16]
	var code, index int32
	for i, c := range counts {
		bits, n := i+1, int32(c)
		h.max[bits] = -1
		if n > 0 {
			h.max[bits] = code + n - 1
			h.offset[bits] = index - code
		}
		for range n {
			if bits <= lookAhead {
				first := code << (lookAhead - bits)
				for k := range int32(1) << (lookAhead - bits) {
					h.fast[first+k] = uint16(h.values[index])<<8 | uint16(bits)
				}
			}
			code++
			index++
		}
		code <<= 1
	}
}

// fill reads ahead while there is room, not beyond a marker or the end.
func (s *jpegScan) fill() {
	if len(s.data)-s.pos >= 8 && s.n <= 56 {
		v := binary.BigEndian.Uint64(s.data[s.pos:])
		if inv := ^v; (inv-0x0101010101010101)&v&0x8080808080808080 == 0 { // no byte is 0xff
			k := (64 - s.n) / 8
			s.acc = s.acc<<(8*k) | v>>(64-8*k)
			s.n += 8 * k
			s.pos += k
			return
		}
	}
	for s.n <= 56 && s.pos < len(s.data) {
		b := s.data[s.pos]
		if b == 0xff {
			if s.pos+1 == len(s.data) || s.data[s.pos+1] != 0 {
				return
			}
			s.pos++
		}
		s.pos++
		s.acc = s.acc<<8 | uint64(b)
		s.n += 8
	}
}

// bits returns the next n bits, at most 16.
func (s *jpegScan) bits(n int) (int, error) {
	if s.n < n {
		if s.fill(); s.n < n {
			return 0, s.bad("scan ends early")
		}
	}
	s.n -= n
	return int(s.acc >> s.n & (1<<n - 1)), nil
}

// code returns the value of the next Huffman code.
func (s *jpegScan) code(h *huffman) (byte, error) {
	if h == nil {
		return 0, s.bad("scan uses an undefined Huffman table")
	}
	if s.n < 16 {
		s.fill()
	}
	if s.n >= lookAhead {
		if f := h.fast[s.acc>>(s.n-lookAhead)&(1<<lookAhead-1)]; f != 0 {
			s.n -= int(f & 0xff)
			return byte(f >> 8), nil
		}
	}
	for bits := 1; bits <= min(16, s.n); bits++ {
		code := int32(s.acc >> (s.n - bits) & (1<<bits - 1))
		if code <= h.max[bits] {
			s.n -= bits
			return h.values[h.offset[bits]+code], nil
		}
	}
	if s.n < 16 {
		return 0, s.bad("scan ends early")
	}
	return 0, s.bad("bad Huffman code")
}

// restart goes past the next restart marker, skipping other bytes before it as
// image/jpeg does.
func (s *jpegScan) restart() error {
	// Give back whole bytes that were read ahead; 0xff takes two.
	for ; s.n >= 8; s.n -= 8 {
		if s.pos--; s.data[s.pos] == 0 && s.pos > s.start && s.data[s.pos-1] == 0xff {
			s.pos--
		}
	}
	for p := s.pos; p+1 < len(s.data); p++ {
		if s.data[p] != 0xff {
			continue
		}
		switch m := s.data[p+1]; {
		case m == mRST0+s.next:
			s.pos, s.start = p+2, p+2
			s.acc, s.n, s.eob = 0, 0, 0
			for i := range s.parts {
				s.parts[i].level = 0
			}
			s.next = (s.next + 1) & 7
			return nil
		case m == 0:
			p++
		case m != 0xff:
			return s.bad("marker %#x where restart %d belongs", m, s.next)
		}
	}
	return s.bad("restart marker %d missing", s.next)
}
