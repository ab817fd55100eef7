package tokenizer

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// unquote appends the bytes that a Python str ('...', "...") or bytes (b'...')
// literal stands for. It knows the escapes that Python's repr writes and refuses
// the others.
func unquote(dst, lit []byte) ([]byte, error) {
	raw := len(lit) > 0 && lit[0] == 'b'
	if raw {
		lit = lit[1:]
	}
	if len(lit) < 2 || lit[0] != '\'' && lit[0] != '"' || lit[len(lit)-1] != lit[0] {
		return dst, errors.New("not a quoted Python literal")
	}
	quote, body := lit[0], lit[1:len(lit)-1]
	for i := 0; i < len(body); {
		c := body[i]
		switch {
		case c == quote:
			return dst, fmt.Errorf("quote at byte %d is not escaped", i)
		case c == '\\':
			var n int
			var err error
			if dst, n, err = unescape(dst, body[i:], raw); err != nil {
				return dst, fmt.Errorf("byte %d: %w", i, err)
			}
			i += n
		case c < ' ' || c == 0x7f || raw && c >= utf8.RuneSelf:
			return dst, fmt.Errorf("byte %#02x at byte %d is not escaped", c, i)
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(body[i:])
			if r == utf8.RuneError && n == 1 {
				return dst, fmt.Errorf("byte %d is not UTF-8", i)
			}
			dst = append(dst, body[i:i+n]...)
			i += n
		}
	}
	return dst, nil
}

// unescape appends what the escape at the start of s stands for and returns its
// length. In a str literal (raw false) numbers are code points, in a bytes
// literal bytes.
func unescape(dst, s []byte, raw bool) ([]byte, int, error) {
	if len(s) < 2 {
		return dst, 0, errors.New("escape is cut short")
	}
	digits := 0
	switch s[1] {
	case '\\', '\'', '"':
		return append(dst, s[1]), 2, nil
	case 'n':
		return append(dst, '\n'), 2, nil
	case 'r':
		return append(dst, '\r'), 2, nil
	case 't':
		return append(dst, '\t'), 2, nil
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	}
	if digits == 0 || raw && digits != 2 {
		return dst, 0, fmt.Errorf("escape \\%c is not known", s[1])
	}
	r, ok := hex(s[2:], digits)
	if !ok {
		return dst, 0, fmt.Errorf("escape \\%c needs %d hexadecimal digits", s[1], digits)
	}
	if raw {
		return append(dst, byte(r)), 2 + digits, nil
	}
	if r > utf8.MaxRune || !utf8.ValidRune(rune(r)) {
		return dst, 0, fmt.Errorf("\\%c%0*x is no character", s[1], digits, r)
	}
	return utf8.AppendRune(dst, rune(r)), 2 + digits, nil
}

// hex reads exactly n <= 8 hexadecimal digits.
func hex(s []byte, n int) (v uint32, ok bool) {
	if len(s) < n {
		return 0, false
	}
	for _, c := range s[:n] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint32(c)
	}
	return v, true
}
