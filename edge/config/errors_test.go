package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestMistakes: what people write wrongly is answered in words that help.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"scenes:\n  - name: a\n   views: []\n":                       "c:3:4: this does not fit here: is it indented",
		"scenes:\n  - name: a\n    views:\n    - {}\n   - {}\n":      "c:5:4: this does not fit here: is it indented",
		"model: x\n  log: {age: 1d}\n":                               "c:1:8: no keys may be in or below this",
		"model: \"x\nwasm: \"auto\"\n":                               "c:2:8: this does not fit here: is every quote before it closed?",
		strings.Replace(small, "sim:1/front", "v4l:/dev/video0", 1):  `did you mean "v4l2:/dev/video0"?`,
		strings.Replace(small, "sim:1/front", "htp://u:word@c/x", 1): `did you mean "http://***@c/x"?`,
	} {
		_, err := Parse("c", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "word@") {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
	}
}

// TestExcerpt: the caret is below what is wrong, also behind a password that is hidden and in
// lines that are shown in part; and who writes with an editor of Windows is read.
func TestExcerpt(t *testing.T) {
	view := "scenes: [{name: a, views: [{name: v, source: 'rtsp://user:password@cam/x', %s}]}]\r\n"
	for _, pad := range []string{"enabled: true", "masks: [" + strings.Repeat("[0, 0, 1, 1], ", 12) + "]"} {
		for _, order := range []string{"rat: 5, " + pad, pad + ", rat: 5"} {
			_, err := Parse("c", []byte("\ufeff"+fmt.Sprintf(view, order)))
			errs, ok := errors.AsType[Errors](err)
			if !ok || len(errs) != 1 {
				t.Fatal(err)
			}
			line, caret, _ := strings.Cut(errs[0].excerpt, "\n")
			if at := strings.Index(caret, "^"); !strings.HasPrefix(line[at:], "rat: 5") || len(line) > 140 || strings.Contains(line, "password") {
				t.Errorf("%s\n%s", line, caret)
			}
		}
	}
}
