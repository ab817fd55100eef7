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
}

func newVT(t *testing.T, w, h int) *vt {
	v := &vt{t: t, w: w, h: h, cells: make([]cell, w*h), pen: blank}
	v.erase()
	return v
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
	for end < len(b) && (b[end] < 0x40 || b[end] > 0x7e) {
		end++
	}
	if end >= len(b) {
		return 0
	}
	if b[1] != '[' {
		v.t.Errorf("unknown sequence %q", b[:end+1])
		return end + 1
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
		v.t.Errorf("character %q at %d,%d", r, v.x, v.y)
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
		fmt.Sscanf(args, "%d;%d", &v.y, &v.x)
		v.y, v.x = v.y-1, v.x-1
	case final == 'J' && args == "2":
		v.erase()
	case final == 'm':
		v.sgr(strings.Split(args, ";"))
	default:
		v.t.Errorf("unknown sequence %q %c", args, final)
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
		v.t.Errorf("unknown mode %s", name)
	}
}

func (v *vt) sgr(args []string) {
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			v.t.Errorf("colour %v", args)
		}
		return n
	}
	color := func() paint {
		if args[1] == "5" {
			return paint(number(2)) // an index; above no test mixes both
		}
		return rgb(uint8(number(2)), uint8(number(3)), uint8(number(4)))
	}
	switch args[0] {
	case "0":
		v.pen = blank
	case "1":
		v.pen.marks |= bold
	case "2":
		v.pen.marks |= dim
	case "38":
		v.pen.fg = color()
	case "48":
		v.pen.bg = color()
	case "39":
		v.pen.fg = 0
	case "49":
		v.pen.bg = 0
	default:
		v.t.Errorf("unknown attribute %v", args)
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
