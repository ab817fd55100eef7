package weights

import (
	"encoding/binary"
	"math"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader pulls values from a JSON text (RFC 8259) without building a tree:
// encoding/json drops duplicate keys silently and allocates many times the size
// of a hostile header. The first error sticks and ends all loops.
//
// Reading an object of numbers:
//
//	for r.open('{'); r.more('}'); {
//		key := r.key()
//		n := r.uint()
//	}
type jsonReader struct {
	file  string
	item  item   // for errors
	data  []byte // the file, up to the end of the text
	off   int
	first bool // nothing read yet in the innermost open container
	err   error
}

// maxDepth bounds the nesting of values that are skipped.
const maxDepth = 16

func (r *jsonReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = badItem(r.file, r.item, int64(r.off), format, args...)
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *jsonReader) peek() byte {
	for r.err == nil && r.off < len(r.data) {
		switch c := r.data[r.off]; c {
		case ' ', '\t', '\n', '\r':
			r.off++
		default:
			return c
		}
	}
	return 0
}

// take consumes the byte c.
func (r *jsonReader) take(c byte) {
	if r.peek() != c {
		r.fail("JSON: no %q where one belongs", c)
		return
	}
	r.off++
}

// open begins an object or array.
func (r *jsonReader) open(c byte) {
	r.take(c)
	r.first = true
}

// more reports whether another element follows in the container that ends with
// c, and consumes the comma before it or the end.
func (r *jsonReader) more(c byte) bool {
	if r.err == nil && r.peek() == c {
		r.off++
		r.first = false
		return false
	}
	if !r.first {
		r.take(',')
	}
	r.first = false
	return r.err == nil
}

// key reads the name of an object's next member and the colon behind it.
func (r *jsonReader) key() []byte {
	s := r.str()
	r.take(':')
	return s
}

// end checks that only white space follows.
func (r *jsonReader) end() {
	if r.peek() != 0 || r.err == nil && r.off < len(r.data) {
		r.fail("JSON: more behind the end")
	}
}

// uint reads a non-negative integer that fits an int.
func (r *jsonReader) uint() int {
	c := r.peek()
	n, start := uint64(0), r.off
	for r.off < len(r.data) && r.data[r.off] >= '0' && r.data[r.off] <= '9' {
		if n = n*10 + uint64(r.data[r.off]-'0'); n > math.MaxInt || r.off-start > 18 {
			r.fail("JSON: number is too large")
			return 0
		}
		r.off++
	}
	if r.off == start || c == '0' && r.off > start+1 {
		r.fail("JSON: no integer where one belongs")
	}
	return int(n)
}

// str reads a string. The result borrows the text unless it had escapes.
func (r *jsonReader) str() []byte {
	r.take('"')
	start := r.off
	for ; r.err == nil; r.off++ {
		switch {
		case r.off == len(r.data):
			r.fail("JSON: text is cut off")
		case r.data[r.off] == '"':
			s := r.data[start:r.off]
			if !utf8.Valid(s) {
				r.fail("JSON: text is not UTF-8")
				return nil
			}
			r.off++
			return s
		case r.data[r.off] == '\\':
			return r.escaped(start)
		case r.data[r.off] < ' ':
			r.fail("JSON: control character in a text")
		}
	}
	return nil
}

// escaped reads the rest of a string that has an escape at r.off.
func (r *jsonReader) escaped(start int) []byte {
	// Find the end first: an unescaped text is never longer than its source.
	end := r.off
	for end < len(r.data) && r.data[end] != '"' {
		if r.data[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(r.data) {
		r.fail("JSON: text is cut off")
		return nil
	}
	out := append(make([]byte, 0, end-start), r.data[start:r.off]...)
	for r.err == nil && r.off < end {
		c := r.data[r.off]
		switch {
		case c == '\\':
			out = r.escape(out, end)
			continue
		case c < ' ':
			r.fail("JSON: control character in a text")
		}
		out = append(out, c)
		r.off++
	}
	r.off = end + 1
	if !utf8.Valid(out) {
		r.fail("JSON: text is not UTF-8")
	}
	return out
}

// escape appends the character of the escape at r.off, which ends before end.
func (r *jsonReader) escape(out []byte, end int) []byte {
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	c := r.data[r.off+1]
	if c == 'u' {
		u := r.hex4(r.off+2, end)
		r.off += 6
		if utf16.IsSurrogate(u) {
			low := rune(-1)
			if r.off+1 < end && r.data[r.off] == '\\' && r.data[r.off+1] == 'u' {
				low = r.hex4(r.off+2, end)
			}
			if u = utf16.DecodeRune(u, low); u == utf8.RuneError {
				r.fail("JSON: half a surrogate pair")
			}
			r.off += 6
		}
		return utf8.AppendRune(out, u)
	}
	for i := range len(from) {
		if from[i] == c {
			r.off += 2
			return append(out, to[i])
		}
	}
	r.fail("JSON: unknown escape")
	return out
}

func (r *jsonReader) hex4(off, end int) rune {
	if off+4 > end {
		r.fail("JSON: escape is cut off")
		return 0
	}
	var u [2]byte
	for i := range 4 {
		d := r.data[off+i]
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d|32 >= 'a' && d|32 <= 'f':
			d = d | 32 - 'a' + 10
		default:
			r.fail("JSON: escape is not hexadecimal")
		}
		u[i/2] = u[i/2]<<4 | d&15
	}
	return rune(binary.BigEndian.Uint16(u[:]))
}

// skip reads over a value of any kind.
func (r *jsonReader) skip(depth int) {
	if depth == maxDepth {
		r.fail("JSON: nested more than %d deep", maxDepth)
		return
	}
	switch c := r.peek(); c {
	case '"':
		r.str()
	case '{':
		for r.open('{'); r.more('}'); {
			r.key()
			r.skip(depth + 1)
		}
	case '[':
		for r.open('['); r.more(']'); {
			r.skip(depth + 1)
		}
	default: // a number or one of three words; their spelling is not our concern
		start := r.off
		for r.off < len(r.data) && isScalar(r.data[r.off]) {
			r.off++
		}
		if r.off == start {
			r.fail("JSON: no value where one belongs")
		}
	}
}

func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == 'E' || c == '+' || c == '-' || c == '.'
}
