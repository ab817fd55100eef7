package preprocess

// huffman is a table of T.81 annex C: the codes of one length are consecutive
// and follow those of the length before, extended by a bit.
type huffman struct {
	fast   [256]uint16 // by the next 8 bits: value and code length, 0 if longer
	max    [17]int32   // largest code of a length, -1 for none
	offset [17]int32   // index of a code's value less the code
	values []byte      // borrowed from the stream
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
			if bits <= 8 {
				first := code << (8 - bits)
				for k := range int32(1) << (8 - bits) {
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
	for s.n <= 24 && s.pos < len(s.data) {
		b := s.data[s.pos]
		if b == 0xff {
			if s.pos+1 == len(s.data) || s.data[s.pos+1] != 0 {
				return
			}
			s.pos++
		}
		s.pos++
		s.acc = s.acc<<8 | uint32(b)
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
	if s.n >= 8 {
		if f := h.fast[s.acc>>(s.n-8)&0xff]; f != 0 {
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
