package tokenizer

import (
	"fmt"
	"strings"
)

// endToken is the entry of id 0 in a list of tokens.
const endToken = "<s>"

// FromTokens makes a vocabulary from a list of escaped tokens as a GGUF file keeps
// it in tokenizer.ggml.tokens: the index is the id, entry 0 stands for [End] and is
// not looked at, an empty entry is an id without a token, and every other entry is
// the token with the escapes of a Python bytes literal (\xNN, \n, \r, \t, \\, \', \").
// Bytes that are not escaped stand for themselves. Errors name the id.
func FromTokens(tokens []string) (*Vocabulary, error) {
	if len(tokens) > MaxID+1 {
		return nil, fmt.Errorf("%w: %d tokens, more than %d", ErrVocabulary, len(tokens), MaxID+1)
	}
	size := 0
	for _, t := range tokens {
		size += len(t) // an escape is never shorter than what it stands for
	}
	if size > maxFile {
		return nil, fmt.Errorf("%w: %d bytes of tokens, more than %d", ErrVocabulary, size, maxFile)
	}
	b := newBuilder(len(tokens), size)
	var token []byte
	for id, t := range tokens {
		if id == End || t == "" {
			continue
		}
		var err error
		if token, err = appendUnescaped(token[:0], t); err != nil {
			return nil, fmt.Errorf("%w: token %d: %w", ErrVocabulary, id, err)
		}
		if err = b.add(id, token); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrVocabulary, err)
		}
	}
	return b.vocabulary()
}

// Tokens returns the vocabulary as the list that [FromTokens] reads, with
// [Vocabulary.Size] entries. Printable ASCII but for the backslash stands for
// itself, every other byte is written \xNN.
func (v *Vocabulary) Tokens() []string {
	list := make([]string, v.Size())
	list[End] = endToken
	var buf []byte
	for id := 1; id < len(list); id++ {
		t := v.Token(id)
		buf = appendEscaped(buf[:0], t)
		if string(buf) == t {
			list[id] = t
		} else {
			list[id] = string(buf)
		}
	}
	return list
}

func appendEscaped(dst []byte, token string) []byte {
	const digits = "0123456789abcdef"
	for i := range len(token) {
		if c := token[i]; c < ' ' || c > '~' || c == '\\' {
			dst = append(dst, '\\', 'x', digits[c>>4], digits[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

func appendUnescaped(dst []byte, s string) ([]byte, error) {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...), nil
		}
		dst = append(dst, s[:i]...)
		s = s[i:]
		var esc [4]byte // the longest escape of a bytes literal
		var n int
		var err error
		if dst, n, err = unescape(dst, esc[:copy(esc[:], s)], true); err != nil {
			return dst, err
		}
		s = s[n:]
	}
}
