package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// vt is as much of a terminal as edged needs: it obeys the sequences that the
// demo sends and fails the test on any other.
type vt struct {
	t         *testing.T
	w, h      int
	cells     []cell
	x, y      int
	pen       cell
	alternate bool // screen
	hidden    bool // cursor
	normal    strings.Builder
	rest      []byte
	confused  bool // by something that it does not know
}

func newVT(t *testing.T, w, h int) *vt {
	v := &vt{t: t, w: w, h: h, cells: make([]cell, w*h), pen: blank}
	v.erase()
	return v
}

// fail fails the test at the first thing that is wrong: what follows is likely a
// consequence.
func (v *vt) fail(format string, args ...any) {
	if !v.confused {
		v.t.Errorf(format, args...)
	}
	v.confused = true
}

func (v *vt) erase() {
	for i := range v.cells {
		v.cells[i] = blank
	}
}

// Write feeds the terminal; sequences may be cut anywhere.
func (v *vt) Write(p []byte) (int, error) {
	b := append(v.rest, p...)
	for len(b) > 0 {
		n := v.one(b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	v.rest = append([]byte(nil), b...)
	return len(p), nil
}

// one obeys the first character or sequence of b; 0 when it is not complete.
func (v *vt) one(b []byte) int {
	if b[0] != 0x1b {
		if !utf8.FullRune(b) {
			return 0
		}
		r, n := utf8.DecodeRune(b)
		v.put(r)
		return n
	}
	end := 2
	for end < len(b) && b[end] >= ' ' && b[end] < '@' {
		end++
	}
	if end >= len(b) {
		return 0
	}
	if b[1] != '[' || b[end] < '@' || b[end] > '~' {
		v.fail("unknown sequence %q", b[:end+1])
		return end
	}
	v.csi(string(b[2:end]), b[end])
	return end + 1
}

func (v *vt) put(r rune) {
	if !v.alternate {
		v.normal.WriteRune(r)
		return
	}
	n := width(r)
	if r < ' ' || n == 0 || v.x+n > v.w || v.y >= v.h {
		v.fail("character %q at %d,%d", r, v.x, v.y)
		return
	}
	c := v.pen
	c.ch = r
	v.cells[v.y*v.w+v.x] = c
	if n == 2 {
		v.cells[v.y*v.w+v.x+1] = cell{}
	}
	v.x += n
}

func (v *vt) csi(args string, final byte) {
	switch {
	case final == 'h' || final == 'l':
		v.mode(args, final == 'h')
	case final == 'H':
		if n, err := fmt.Sscanf(args, "%d;%d", &v.y, &v.x); n != 2 || v.y < 1 || v.x < 1 {
			v.fail("cursor to %q: %v", args, err)
			v.y, v.x = 1, 1
		}
		v.y, v.x = v.y-1, v.x-1
	case final == 'J' && args == "2":
		v.erase()
	case final == 'm':
		v.sgr(strings.Split(args, ";"))
	default:
		v.fail("unknown sequence %q %c", args, final)
	}
}

func (v *vt) mode(name string, on bool) {
	switch name {
	case "?1049":
		v.alternate = on
	case "?25":
		v.hidden = !on
	case "?7", "?2026":
	default:
		v.fail("unknown mode %s", name)
	}
}

func (v *vt) sgr(args []string) {
	color := func() paint {
		var c [3]uint8 // an index, or red, green and blue; no test mixes both
		n := map[string]int{"5": 1, "2": 3}[args[min(1, len(args)-1)]]
		if n == 0 || len(args) != 2+n {
			v.fail("colour %q", args)
			return 0
		}
		for i := range n {
			u, err := strconv.ParseUint(args[2+i], 10, 8)
			if err != nil {
				v.fail("colour %q: %v", args, err)
			}
			c[i] = uint8(u)
		}
		if n == 1 {
			return paint(c[0])
		}
		return rgb(c[0], c[1], c[2])
	}
	switch {
	case args[0] == "38":
		v.pen.fg = color()
	case args[0] == "48":
		v.pen.bg = color()
	case len(args) != 1:
		v.fail("unknown attribute %q", args)
	case args[0] == "0":
		v.pen = blank
	case args[0] == "1":
		v.pen.marks |= bold
	case args[0] == "2":
		v.pen.marks |= dim
	case args[0] == "39":
		v.pen.fg = 0
	case args[0] == "49":
		v.pen.bg = 0
	default:
		v.fail("unknown attribute %q", args)
	}
}

// String is the text on the screen; cells of pictures are '▀'.
func (v *vt) String() string {
	var b strings.Builder
	for y := range v.h {
		var line strings.Builder
		for x := range v.w {
			if c := v.cells[y*v.w+x]; c.ch != 0 {
				line.WriteRune(c.ch)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
