package config

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// mended is what to do about what the parser says. It points at a bracket that is not closed,
// unless it misses something before that.
var mended = map[string]string{
	"value is not allowed in this context":                               misplaced,
	"non-map value is specified":                                         misplaced,
	"value is not allowed in this context. map key-value is pre-defined": "this does not fit here: is every quote before it closed?",
	"mapping value is not allowed in this context":                       "no keys may be in or below this: is the next line indented too far, or does a text with a colon need quotes?",
	"unexpected key name":                                                "want a key, a colon and a space before the value",

	"could not find flow mapping end token '}'": "this { is not closed: a } is missing",
	"sequence end token ']' not found":          "this [ is not closed: a ] is missing",
	"',' or '}' must be specified":              "want , or } before this: a { is not closed, or a comma is missing",
	"',' or ']' must be specified":              "want , or ] before this: a [ is not closed, or a comma is missing",
}

const misplaced = "this does not fit here: is it indented like the lines that it belongs with?"

// syntax notes why the text is no YAML.
func (r *reader) syntax(e *yaml.SyntaxError) {
	line, column, text := e.Token.Position.Line, e.Token.Position.Column, e.Message
	if m, ok := mended[text]; ok {
		text = m
	}
	if strings.ContainsRune(text, '\t') || strings.Contains(text, "tab character") {
		text = "a tab: indent with spaces"
		if line >= 1 && line <= len(r.lines) {
			if before, _, ok := strings.Cut(r.lines[line-1], "\t"); ok {
				column = utf8.RuneCountInString(before) + 1
			}
		}
	}
	r.add(line, column, text)
}
