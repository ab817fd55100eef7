package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/visualrwkv/edged/camera"
)

// Error is one thing that is wrong with a file.
type Error struct {
	File         string
	Line, Column int // from 1
	Text         string

	excerpt string // the line, and a caret below the column
}

// Error gives the place, what is wrong, and the line with a caret.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s\n%s", e.File, e.Line, e.Column, e.Text, e.excerpt)
}

// Errors is all that is wrong with a file, from its top to its end.
type Errors []*Error

func (e Errors) Error() string {
	all := make([]string, len(e))
	for i, err := range e {
		all[i] = err.Error()
	}
	return strings.Join(all, "\n")
}

// maxErrors is how many are told; who wrote that many has the wrong file.
const maxErrors = 20

func (r *reader) add(line, column int, text string) {
	r.count++
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, &Error{r.name, line, column, text, r.excerpt(line, column)})
	}
}

// excerpt shows a line. What it holds of a camera's password is hidden: such
// lines end up in logs.
func (r *reader) excerpt(line, column int) string {
	if line < 1 || line > len(r.lines) {
		return ""
	}
	const widest = 120
	whole := []rune(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.TrimRight(r.lines[line-1], "\r")))
	text := []rune(camera.Redact(string(whole)))
	at := min(max(column, 1), len(whole)+1) - 1
	at = min(len([]rune(camera.Redact(string(whole[:at])))), len(text)) // what is hidden before it may be longer
	if cut := at - widest*3/4; cut > 0 && len(text) > widest {
		text, at = append([]rune("... "), text[cut:]...), at-cut+len("... ")
	}
	if len(text) > widest {
		text = append(text[:widest], []rune(" ...")...)
	}
	return fmt.Sprintf("%5d | %s\n      | %s^", line, string(text), strings.Repeat(" ", at))
}

// result is all that was found, in the order of the file.
func (r *reader) result() error {
	if len(r.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(r.errs, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.errs
}
