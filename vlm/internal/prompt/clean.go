package prompt

import (
	"strings"
	"unicode"
)

// Tag marks the place of an image in a text.
const Tag = "<image>"

// Clean returns a turn's text as the model saw texts in training: without image
// tags, without white space at the ends, and with each run of blank lines replaced
// by one line break, since an empty line ends a turn.
func Clean(text string) string {
	text = strings.TrimFunc(strings.ReplaceAll(text, Tag, ""), isSpace)
	if !strings.Contains(text, "\n") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for {
		i := strings.IndexByte(text, '\n')
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i+1])
		text = text[i+1:]
		// White space up to the last line break of the run goes, indentation of
		// the line after it stays.
		run := len(text) - len(strings.TrimLeftFunc(text, isSpace))
		text = text[strings.LastIndexByte(text[:run], '\n')+1:]
	}
}

// isSpace is Python's str.isspace: Unicode white space and the four ASCII
// separators.
func isSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }
