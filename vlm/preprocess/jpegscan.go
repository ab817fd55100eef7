package preprocess

import "fmt"

// jpegScan decodes the codes of one scan and forgets their values, but for the mean
// level of the block in work. Order and
// meaning follow image/jpeg (and T.81, F.2 and G.1), where they are liberal too.
type jpegScan struct {
	data        []byte
	pos         int // of the next byte
	start       int // first byte after the header or the last restart marker
	parts       []jpegPart
	first, last int // coefficients, in zig-zag order
	refining    bool
	interval    int

	acc  uint64 // n bits read ahead, the next one highest
	n    int
	eob  int  // blocks that are known to be at their end
	next byte // restart marker expected next, 0 to 7
}

// jpegPart is one channel in a scan; its tables begin at dcAt and acAt in the
// data, 0 where none was defined.
type jpegPart struct {
	comp       int
	dcAt, acAt int
	dc, ac     *huffman
	step       int32 // of DC coefficients
	level      int32 // DC coefficient of the block read last, in steps
}

// entropy checks the contents of all scans.
//
// What a block of a scan holds does not depend on other scans, except that a
// refinement of AC coefficients has a bit for each one that is known to be
// nonzero. Keeping that for a whole picture would take memory in proportion to
// its pixels; instead all AC scans of a channel, wherever they lie in the file,
// advance together block by block.
func (j *jpegStream) entropy() error {
	var groups [4][]*jpegScan
	for i := range j.scans {
		s := &j.scans[i]
		if s.first > 0 {
			c := s.parts[0].comp
			groups[c] = append(groups[c], s)
		} else if err := j.together(append(j.alone[:0], s)); err != nil {
			return err
		}
	}
	for _, g := range groups {
		if len(g) > 0 {
			if err := j.together(g); err != nil {
				return err
			}
		}
	}
	return nil
}

// together decodes scans that cover the same channels, block by block.
func (j *jpegStream) together(scans []*jpegScan) error {
	j.bind(scans)
	parts := scans[0].parts
	// A lone channel is still counted in the units of the whole picture, but has no data for
	// blocks outside it.
	across, down := j.units()
	units := across * down
	lone := len(parts) == 1
	ux, uy, lx, ly := 0, 0, 0, 0 // where the unit is, and the block of a lone channel
	for unit := range units {
		for pi := range parts {
			c := j.comps[parts[pi].comp]
			for i := range c.h * c.v {
				bx, by := ux*c.h+i&(c.h-1), uy*c.v+i>>(c.h>>1) // c.h is 1, 2 or 4
				if lone {
					bx, by = lx, ly
					if lx++; lx == across*c.h {
						lx, ly = 0, ly+1
					}
					if 8*bx >= j.w || 8*by >= j.h {
						continue
					}
				}
				var nonzero uint64
				for _, s := range scans {
					if err := s.block(&s.parts[pi], &nonzero); err != nil {
						return err
					}
				}
				if j.draft != nil {
					j.plot(&parts[pi], bx, by)
				}
			}
		}
		if ux++; ux == across {
			ux, uy = 0, uy+1
		}
		for _, s := range scans {
			if done := unit + 1; s.interval > 0 && done%s.interval == 0 && done < units {
				if err := s.restart(); err != nil {
					return err
				}
			}
		}
	}
	for _, s := range scans {
		if s.eob != 0 {
			return s.bad("run of %d blocks beyond the last", s.eob)
		}
	}
	return nil
}

// units returns how many units (MCUs) there are across and down.
func (j *jpegStream) units() (across, down int) {
	h, v := 8*j.comps[0].h, 8*j.comps[0].v
	return (j.w + h - 1) / h, (j.h + v - 1) / v
}

// bind reads the Huffman tables that the scans use; the memory for them is used
// again for the next scans.
func (j *jpegStream) bind(scans []*jpegScan) {
	n := 2 * len(scans) * len(scans[0].parts)
	if cap(j.spare) < n {
		j.spare = make([]huffman, n)
	}
	spare := j.spare[:n]
	table := func(at int) *huffman {
		if at == 0 {
			return nil
		}
		h := &spare[0]
		spare = spare[1:]
		h.read(j.data, at)
		return h
	}
	for _, s := range scans {
		s.start = s.pos
		for i := range s.parts {
			p := &s.parts[i]
			if s.first == 0 && !s.refining {
				p.dc = table(p.dcAt)
			}
			if s.last > 0 {
				p.ac = table(p.acAt)
			}
		}
	}
}

func (s *jpegScan) bad(format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: "+format, append([]any{ErrFormat, s.pos}, args...)...)
}

// block decodes one block. Bit k of nonzero says that coefficient k is known to
// be nonzero from earlier scans.
func (s *jpegScan) block(p *jpegPart, nonzero *uint64) error {
	if s.refining {
		return s.refine(p, nonzero)
	}
	k := s.first
	if k == 0 {
		bits, err := s.code(p.dc)
		if err != nil {
			return err
		}
		if bits > 16 {
			return s.bad("DC difference of %d bits", bits)
		}
		v, err := s.bits(int(bits))
		if err != nil {
			return err
		}
		if d := int32(v); bits > 0 {
			if d < 1<<(bits-1) { // F.2.2.1, EXTEND
				d += -1<<bits + 1
			}
			p.level += d
		}
		k = 1
	}
	if k <= s.last && s.eob > 0 {
		s.eob--
		return nil
	}
	if p.ac == nil && k <= s.last {
		return s.bad("scan uses an undefined Huffman table")
	}
	for ; k <= s.last; k++ {
		if s.n < lookAhead+15 {
			s.fill()
		}
		// Nearly always a code and what belongs to it have been read ahead.
		if s.n >= lookAhead+15 {
			f := p.ac.fast[s.acc>>(s.n-lookAhead)&(1<<lookAhead-1)]
			switch bits := int(f >> 8 & 15); {
			case bits > 0:
				s.n -= int(f & 0xff)
				if k += int(f >> 12); k > s.last {
					return nil
				}
				s.n -= bits
				*nonzero |= 1 << k
				continue
			case 0 < f && f < 1<<8: // the end of the block
				s.n -= int(f)
				return nil
			}
		}
		v, err := s.code(p.ac)
		if err != nil {
			return err
		}
		run, bits := int(v>>4), int(v&15)
		if bits == 0 {
			if run < 15 {
				err = s.endOfBand(run)
				s.eob--
				return err
			}
			k += 15
			continue
		}
		if k += run; k > s.last {
			return nil
		}
		if _, err := s.bits(bits); err != nil {
			return err
		}
		*nonzero |= 1 << k
	}
	return nil
}

// endOfBand sets the run of blocks, this one included, that end here.
func (s *jpegScan) endOfBand(bits int) error {
	v, err := s.bits(bits)
	s.eob = 1<<bits | v
	return err
}

// refine decodes a refinement of one block, T.81 G.1.2.3.
func (s *jpegScan) refine(p *jpegPart, nonzero *uint64) error {
	if s.first == 0 {
		_, err := s.bits(1)
		return err
	}
	k := s.first
	for s.eob == 0 && k <= s.last {
		v, err := s.code(p.ac)
		if err != nil {
			return err
		}
		run, bits := int(v>>4), v&15
		switch {
		case bits > 1:
			return s.bad("new coefficient of %d bits in a refinement", bits)
		case bits == 0 && run < 15:
			if err := s.endOfBand(run); err != nil {
				return err
			}
			continue
		case bits == 1:
			if _, err := s.bits(1); err != nil {
				return err
			}
		}
		if k, err = s.skip(*nonzero, k, run); err != nil {
			return err
		}
		if k > s.last {
			return s.bad("more coefficients than a block has")
		}
		if bits == 1 {
			*nonzero |= 1 << k
		}
		k++
	}
	if s.eob > 0 {
		s.eob--
		_, err := s.skip(*nonzero, k, -1)
		return err
	}
	return nil
}

// skip reads the correction bit of every nonzero coefficient from k on, up to
// the zero coefficient that follows zeros others; all of them if zeros is
// negative.
func (s *jpegScan) skip(nonzero uint64, k, zeros int) (int, error) {
	for ; k <= s.last; k++ {
		if nonzero>>k&1 == 0 {
			if zeros == 0 {
				break
			}
			zeros--
		} else if _, err := s.bits(1); err != nil {
			return 0, err
		}
	}
	return k, nil
}
