package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// UncoveredError says that no token of a vocabulary begins at a position of a
// text. The full RWKV World vocabulary has every byte and never gives it.
type UncoveredError struct {
	Pos  int    // offset in bytes
	Byte byte   // the byte there
	Char string // the character it belongs to, or "" where the text is not UTF-8
	Word string // what stands between white space around it, after it if it is white space, cut to about 40 bytes
}

func (e *UncoveredError) Error() string {
	what := fmt.Sprintf("byte %#02x", e.Byte)
	if e.Char != "" {
		what = fmt.Sprintf("%q", e.Char)
	}
	return fmt.Sprintf("vocabulary has no token for %s at byte %d of the text, in %q", what, e.Pos, e.Word)
}

// Encode returns the ids of a text. The error, if any, is an [*UncoveredError].
func (v *Vocabulary) Encode(text string) ([]int, error) {
	return v.AppendEncode(make([]int, 0, len(text)/3+4), text)
}

// AppendEncode is [Vocabulary.Encode] appending to dst, which is returned as it
// was in case of an error.
func (v *Vocabulary) AppendEncode(dst []int, text string) ([]int, error) {
	start := len(dst)
	for pos := 0; pos < len(text); {
		id, n := v.match(text[pos:])
		if n == 0 {
			return dst[:start], uncovered(text, pos)
		}
		dst = append(dst, id)
		pos += n
	}
	return dst, nil
}

// uncovered describes what stands at pos. A text can be anything a user typed, so
// only the neighbourhood is looked at.
func uncovered(text string, pos int) error {
	const reach = 20
	e := &UncoveredError{Pos: pos, Byte: text[pos]}
	start := pos
	for start > 0 && pos-start < utf8.UTFMax-1 && !utf8.RuneStart(text[start]) {
		start--
	}
	end := pos + 1
	switch r, n := utf8.DecodeRuneInString(text[start:]); {
	case r == utf8.RuneError || start+n <= pos:
		start = pos
	case unicode.IsSpace(r): // words often have tokens with the space before them
		e.Char, end = text[start:start+n], start+n
		start = end
	default:
		e.Char, end = text[start:start+n], start+n
	}
	for start > 0 && pos-start < reach {
		r, n := utf8.DecodeLastRuneInString(text[:start])
		if unicode.IsSpace(r) {
			break
		}
		start -= n
	}
	for end < len(text) && end-pos < reach {
		r, n := utf8.DecodeRuneInString(text[end:])
		if unicode.IsSpace(r) {
			break
		}
		end += n
	}
	e.Word = strings.ToValidUTF8(text[start:end], "\uFFFD")
	return e
}
