package pipe

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	ring [4096]byte
	n    int // bytes written in all
}

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range b[max(0, len(b)-len(t.ring)):] {
		t.ring[t.n%len(t.ring)] = c
		t.n++
	}
	return len(b), nil
}

// tailLines is how many lines of a helper are shown.
const tailLines = 3

// address is where in its memory a part of ffmpeg is, as it says in each line: another one
// each time, so that the same failure would be told again and again.
var address = regexp.MustCompile(` @ 0x[0-9a-f]+`)

// String returns the last lines on one line, without what terminals would act on.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b []byte
	if at := t.n % len(t.ring); t.n > len(t.ring) {
		b = append(b, t.ring[at:]...)
		b = append(b, t.ring[:at]...)
		// The first line is cut, and a secret in it would no longer be known as one.
		_, after, _ := strings.Cut(string(b), "\n")
		b = []byte(after)
	} else {
		b = append(b, t.ring[:t.n]...)
	}
	var lines []string
	for l := range strings.FieldsFuncSeq(string(b), func(r rune) bool { return r == '\n' || r == '\r' }) {
		l = strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, l))
		l = address.ReplaceAllString(l, "")
		if l != "" && (len(lines) == 0 || lines[len(lines)-1] != l) {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "; ")
}
