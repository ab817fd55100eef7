package tokenizer

import (
	"bytes"
	"fmt"
)

// maxFile bounds the text format. The published file has 1,093,733 bytes.
const maxFile = 16 << 20

// Parse reads the text format of RWKV vocabularies: a line per token, in ascending
// order of ids, each
//
//	id literal length
//
// with one space between, where literal is a Python str or bytes literal as repr
// writes it and length the number of bytes it stands for. Any subset of the
// published lines is a vocabulary. Errors name the line.
func Parse(data []byte) (*Vocabulary, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%w: %d bytes of text, more than %d", ErrVocabulary, len(data), maxFile)
	}
	b := newBuilder(bytes.Count(data, []byte("\n"))+1, len(data)/2)
	var scratch []byte
	for n := 1; len(data) > 0; n++ {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		var err error
		if scratch, err = b.parseLine(scratch[:0], line); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrVocabulary, n, err)
		}
	}
	return b.vocabulary()
}

// parseLine adds the token of one line, unquoting into scratch, which it returns.
func (b *builder) parseLine(scratch, line []byte) ([]byte, error) {
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first < 0 || first == last {
		return scratch, fmt.Errorf("not of the form %q", "id literal length")
	}
	id, ok := number(line[:first])
	if !ok {
		return scratch, fmt.Errorf("id %.20q is not a number", line[:first])
	}
	size, ok := number(line[last+1:])
	if !ok {
		return scratch, fmt.Errorf("length %.20q is not a number", line[last+1:])
	}
	token, err := unquote(scratch, line[first+1:last])
	if err != nil {
		return token, fmt.Errorf("literal of id %d: %w", id, err)
	}
	if len(token) != size {
		return token, fmt.Errorf("token %d has %d bytes, the line says %d", id, len(token), size)
	}
	return token, b.add(id, token)
}

// number reads a decimal number of at most seven digits, without sign and without
// leading zeros.
func number(s []byte) (n int, ok bool) {
	if len(s) == 0 || len(s) > 7 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
