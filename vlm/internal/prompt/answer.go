package prompt

import "unicode/utf8"

// Answers extracts the answer from generated text that arrives in pieces: what stands
// before the first empty line, stripped. Its zero value is ready.
type Answers struct {
	begun   bool   // something has been given out
	done    bool   // the empty line has been seen
	newline bool   // the last byte was a line break
	held    []byte // white space that ends the answer or stands inside it
}

// Add returns what a piece, which must be whole characters, adds to the answer and
// whether the answer is over; what comes after that is ignored.
func (a *Answers) Add(piece string) (text string, done bool) {
	if a.done {
		return "", true
	}
	out := make([]byte, 0, len(a.held)+len(piece))
	for i, r := range piece {
		if r == '\n' && a.newline {
			a.done = true
			a.held = nil
			break
		}
		a.newline = r == '\n'
		_, n := utf8.DecodeRuneInString(piece[i:])
		if isSpace(r) {
			if a.begun {
				a.held = append(a.held, piece[i:i+n]...)
			}
			continue
		}
		out = append(append(out, a.held...), piece[i:i+n]...)
		a.held, a.begun = a.held[:0], true
	}
	return string(out), a.done
}
