package tokenizer

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// End is the id of padding and of the end of text. It has no text.
	End = 0
	// MaxID is the largest id a vocabulary can hold. RWKV World ends at 65529;
	// VisualRWKV's prompts mark an image with 65535, which is no token.
	MaxID = 1<<16 - 1
	// MaxToken is the largest number of bytes in a token. RWKV World has 128.
	MaxToken = 1 << 10
)

// ErrVocabulary is wrapped by every error about a vocabulary's own data.
var ErrVocabulary = errors.New("bad vocabulary")

// Vocabulary is a set of tokens with ids 1 to [MaxID].
type Vocabulary struct {
	blob  string   // the bytes of all tokens, in order of ids
	off   []uint32 // token id is blob[off[id]:off[id+1]]; empty: no such token
	count int
	trie  trie
}

// Size returns the largest id plus one. The embedding of a model may have more
// rows than that.
func (v *Vocabulary) Size() int { return len(v.off) - 1 }

// Count returns the number of tokens.
func (v *Vocabulary) Count() int { return v.count }

// Token returns the bytes of a token, which need not be valid UTF-8, or "" if
// there is none of that id.
func (v *Vocabulary) Token(id int) string {
	if uint(id) >= uint(v.Size()) {
		return ""
	}
	return v.blob[v.off[id]:v.off[id+1]]
}

// builder collects tokens in ascending order of ids.
type builder struct {
	blob  strings.Builder
	off   []uint32
	count int
}

// newBuilder expects about n tokens of size bytes in all.
func newBuilder(n, size int) *builder {
	b := &builder{off: make([]uint32, 1, min(n, MaxID)+2)}
	b.blob.Grow(size)
	return b
}

func (b *builder) add(id int, token []byte) error {
	switch {
	case id < 1 || id > MaxID:
		return fmt.Errorf("id %d is not in 1..%d", id, MaxID)
	case id < len(b.off):
		return fmt.Errorf("id %d after id %d, ids must ascend", id, len(b.off)-1)
	case len(token) == 0:
		return fmt.Errorf("token %d is empty", id)
	case len(token) > MaxToken:
		return fmt.Errorf("token %d has %d bytes, more than %d", id, len(token), MaxToken)
	}
	b.skip(id)
	b.blob.Write(token)
	b.count++
	return nil
}

// skip gives the ids below id that have no token yet an empty one.
func (b *builder) skip(id int) {
	if need := id + 1; cap(b.off) < need {
		grown := make([]uint32, len(b.off), min(max(need, 2*cap(b.off)), MaxID+2))
		copy(grown, b.off)
		b.off = grown
	}
	for len(b.off) <= id {
		b.off = append(b.off, uint32(b.blob.Len()))
	}
}

func (b *builder) vocabulary() (*Vocabulary, error) {
	if b.count == 0 {
		return nil, fmt.Errorf("%w: no tokens", ErrVocabulary)
	}
	b.off = append(b.off, uint32(b.blob.Len()))
	v := &Vocabulary{blob: b.blob.String(), off: b.off, count: b.count}
	if err := v.trie.build(v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrVocabulary, err)
	}
	return v, nil
}
