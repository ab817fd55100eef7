package main

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode"
)

// paint is a colour of a cell: 0 is the terminal's own, else 0x1rrggbb.
type paint uint32

func rgb(r, g, b uint8) paint { return 1<<24 | paint(r)<<16 | paint(g)<<8 | paint(b) }

// The marks of a cell's text.
const (
	bold = 1 << iota
	dim
)

type cell struct {
	ch     rune // 0: covered by the wide character to the left
	fg, bg paint
	marks  uint8
}

var blank = cell{ch: ' '}

// screen is a terminal's contents. Drawing goes to cells; flush sends what
// differs from what the terminal shows, so that nothing flickers and little
// travels.
type screen struct {
	w, h    int
	rich    bool // 24-bit colours; else the 256 of xterm
	cells   []cell
	shown   []cell
	unknown bool // the terminal shows nobody knows what
	out     bytes.Buffer
	pen     cell // colours and marks in force
}

func (s *screen) resize(w, h int) {
	s.w, s.h = w, h
	s.cells, s.shown = make([]cell, w*h), make([]cell, w*h)
	s.unknown = true
	s.clear()
}

func (s *screen) clear() {
	for i := range s.cells {
		s.cells[i] = blank
	}
}

// set draws one cell. Where it covers half of a wide character, the other half
// goes blank.
func (s *screen) set(x, y int, c cell) {
	if x < 0 || y < 0 || x >= s.w || y >= s.h {
		return
	}
	i := y*s.w + x
	if c.ch != 0 && s.cells[i].ch == 0 && x > 0 {
		s.cells[i-1] = blank
	}
	if width(s.cells[i].ch) == 2 && x+1 < s.w {
		s.cells[i+1] = blank
	}
	s.cells[i] = c
}

// text writes one line at (x, y), cut at the right border, and returns the
// column after it.
func (s *screen) text(x, y int, t string, fg paint, marks uint8) int {
	for _, r := range t {
		n := width(r)
		if n == 0 {
			continue
		}
		if x+n > s.w {
			break
		}
		s.set(x, y, cell{ch: r, fg: fg, marks: marks})
		if n == 2 {
			s.set(x+1, y, cell{})
		}
		x += n
	}
	return x
}

// flush returns the bytes that bring the terminal up to date; valid until the
// next call. The synchronised-update marks make terminals that know them show
// all at once, and are ignored by others.
func (s *screen) flush() []byte {
	s.out.Reset()
	s.out.WriteString("\x1b[?2026h")
	if s.unknown {
		s.out.WriteString("\x1b[0m\x1b[2J")
		s.pen = blank
		for i := range s.shown {
			s.shown[i] = blank
		}
		s.unknown = false
	}
	for y := range s.h {
		at := -1 // where the cursor is
		for x := range s.w {
			i := y*s.w + x
			if s.cells[i] == s.shown[i] || s.cells[i].ch == 0 {
				s.shown[i] = s.cells[i]
				continue
			}
			if at != x {
				fmt.Fprintf(&s.out, "\x1b[%d;%dH", y+1, x+1)
			}
			s.draw(s.cells[i])
			s.shown[i] = s.cells[i]
			at = x + width(s.cells[i].ch)
		}
	}
	s.out.WriteString("\x1b[?2026l")
	return s.out.Bytes()
}

// draw writes one cell at the cursor, with as few changes of colour as it needs.
func (s *screen) draw(c cell) {
	if c.marks != s.pen.marks {
		s.out.WriteString("\x1b[0m")
		s.pen = blank
		if c.marks&bold != 0 {
			s.out.WriteString("\x1b[1m")
		}
		if c.marks&dim != 0 {
			s.out.WriteString("\x1b[2m")
		}
		s.pen.marks = c.marks
	}
	if c.fg != s.pen.fg {
		s.color(38, c.fg)
		s.pen.fg = c.fg
	}
	if c.bg != s.pen.bg {
		s.color(48, c.bg)
		s.pen.bg = c.bg
	}
	s.out.WriteRune(c.ch)
}

// color selects p for the foreground (38) or the background (48).
func (s *screen) color(ground int, p paint) {
	b := s.out.AvailableBuffer()
	b = append(b, "\x1b["...)
	b = strconv.AppendInt(b, int64(ground), 10)
	switch {
	case p == 0:
		b = append(b[:2], '0'+byte(ground/10), '9')
	case s.rich:
		b = append(b, ";2"...)
		for shift := 16; shift >= 0; shift -= 8 {
			b = append(b, ';')
			b = strconv.AppendUint(b, uint64(p>>shift&255), 10)
		}
	default:
		b = append(b, ";5;"...)
		b = strconv.AppendUint(b, uint64(xterm256(p)), 10)
	}
	s.out.Write(append(b, 'm'))
}

// xterm256 is the nearest colour of xterm's palette: the 6x6x6 cube from 16 and
// the 24 greys from 232.
func xterm256(p paint) uint8 {
	r, g, b := int(p>>16&255), int(p>>8&255), int(p&255)
	near := func(v int) int { // index of the nearest level of 0, 95, 135, 175, 215, 255
		if v < 48 {
			return 0
		}
		return min(5, (max(v, 75)-35)/40)
	}
	level := func(i int) int {
		if i == 0 {
			return 0
		}
		return 55 + 40*i
	}
	distance := func(x, y, z int) int { return (r-x)*(r-x) + (g-y)*(g-y) + (b-z)*(b-z) }
	i, j, k := near(r), near(g), near(b)
	grey := max(0, min(23, ((r+g+b)/3-3)/10))
	v := 8 + 10*grey
	if distance(v, v, v) < distance(level(i), level(j), level(k)) {
		return uint8(232 + grey)
	}
	return uint8(16 + 36*i + 6*j + k)
}

// width is the number of columns a character takes: 0 for marks that sit on
// others, 2 for the wide scripts and pictographs.
func width(r rune) int {
	switch {
	case r == 0 || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc):
		return 0
	case r < 0x1100:
		return 1
	}
	for _, w := range wide {
		if w[0] <= r && r <= w[1] {
			return 2
		}
	}
	return 1
}

// columns is the width of a line.
func columns(line string) (n int) {
	for _, r := range line {
		n += width(r)
	}
	return n
}

var wide = [][2]rune{
	{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f},
	{0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd},
}
