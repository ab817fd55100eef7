package tokenizer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
)

func TestParseErrors(t *testing.T) {
	long := "1 '" + strings.Repeat("a", MaxToken+1) + "' 1025\n"
	for _, c := range []struct{ text, want string }{
		{"", "no tokens"},
		{"1 'a' 1\n\n", "line 2: not of the form"},
		{"1 'a' 1\r\n", `line 1: length "1\r" is not a number`},
		{"1 'a'1\n", "not of the form"},
		{"x 'a' 1\n", `id "x" is not a number`},
		{"01 'a' 1\n", `id "01" is not a number`},
		{"0 'a' 1\n", "id 0 is not in 1..65535"},
		{"65536 'a' 1\n", "id 65536 is not in 1..65535"},
		{"99999999999999999999 'a' 1\n", "is not a number"},
		{"2 'a' 1\n2 'b' 1\n", "line 2: id 2 after id 2, ids must ascend"},
		{"2 'a' 1\n1 'b' 1\n", "line 2: id 1 after id 2"},
		{"1 'a' 2\n", "token 1 has 1 bytes, the line says 2"},
		{"1 '' 0\n", "token 1 is empty"},
		{"1 'a\" 1\n", "not a quoted Python literal"},
		{"1 ' 1\n", "not a quoted Python literal"},
		{"1 b 1\n", "not a quoted Python literal"},
		{"1 'a'b' 3\n", "quote at byte 1 is not escaped"},
		{`1 'a\' 1` + "\n", "byte 1: escape is cut short"},
		{`1 '\q' 1` + "\n", `escape \q is not known`},
		{`1 '\x4' 1` + "\n", `escape \x needs 2 hexadecimal digits`},
		{`1 b'\u0041' 1` + "\n", `escape \u is not known`},
		{`1 '\ud800' 3` + "\n", `\ud800 is no character`},
		{`1 '\U00110000' 4` + "\n", `\U00110000 is no character`},
		{"1 b'é' 2\n", "byte 0xc3 at byte 0 is not escaped"},
		{"1 '\t' 1\n", "byte 0x09 at byte 0 is not escaped"},
		{"1 '\xff' 1\n", "byte 0 is not UTF-8"},
		{"1 'a' 1\n2 b'a' 1\n", "tokens 1 and 2 are the same"},
		{long, "token 1 has 1025 bytes, more than 1024"},
	} {
		_, err := Parse([]byte(c.text))
		if !errors.Is(err, ErrVocabulary) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.text, err, c.want)
		}
	}
	for _, list := range [][]string{nil, {"<s>"}, {"", "a", "", "a"}, {"", `\x0`}, {"", `\u0041`}, make([]string, MaxID+2)} {
		if _, err := FromTokens(list); !errors.Is(err, ErrVocabulary) {
			t.Errorf("%.40q: %v", list, err)
		}
	}
}

// TestSharedPrefixes: tokens that share long prefixes cannot make the trie large.
func TestSharedPrefixes(t *testing.T) {
	var text strings.Builder
	for i := range 2000 {
		p := strings.Repeat(string(rune('a'+i%26)), 10) + fmt.Sprint(i) + strings.Repeat("x", 500)
		fmt.Fprintf(&text, "%d '%sy' %d\n%d '%sz' %d\n", 2*i+1, p, len(p)+1, 2*i+2, p, len(p)+1)
	}
	budget := hostile.Budget(text.Len()) + uint64(text.Len()) // the []byte is a copy
	grew := hostile.Allocated(budget, func() {
		if _, err := Parse([]byte(text.String())); err == nil || !strings.Contains(err.Error(), "too long prefixes") {
			t.Errorf("%v", err)
		}
	})
	if grew > budget {
		t.Errorf("allocated %d bytes for %d", grew, text.Len())
	}
}

// patches are what quotes, escapes and numbers are made of.
var patches = []string{"0", "9", "'", "\"", "\\", "\\x", "\n", " ", "b'", "65536"}

// TestMutations parses 1,000 damaged vocabularies: each is either a vocabulary that
// encodes and decodes, or a clear error, for memory of at most 4 times the input
// and 1 MiB.
func TestMutations(t *testing.T) {
	t.Run("subset", func(t *testing.T) { testMutations(t, subsetVocabulary(t), 1000) })
	t.Run("full", func(t *testing.T) { testMutations(t, fullVocabulary(t), 40) })
}

// TestListMutations does the same with lists of escaped tokens, as GGUF files keep
// them; a string costs its bytes and its header.
func TestListMutations(t *testing.T) {
	tokens := mustParse(t, subsetVocabulary(t)).Tokens()
	// Ids without a token are most of a subset, and teach nothing.
	tokens = slices.DeleteFunc(tokens, func(s string) bool { return s == "" })
	lines := []byte(strings.Join(append(tokens, "", "", "last"), "\n"))
	const rounds = 1000
	rng := rand.New(rand.NewPCG(7, 8))
	refused := 0
	for range rounds {
		list := strings.Split(string(hostile.Damage(rng, lines, patches...)), "\n")
		size := 16 * len(list)
		for _, s := range list {
			size += len(s)
		}
		var v *Vocabulary
		var err error
		budget := hostile.Budget(size)
		if grew := hostile.Allocated(budget, func() { v, err = FromTokens(list) }); grew > budget {
			t.Fatalf("allocated %d bytes for %d", grew, size)
		}
		if err != nil {
			refused++
			if !errors.Is(err, ErrVocabulary) || len(err.Error()) > 300 {
				t.Fatalf("unclear error %q", err)
			}
			continue
		}
		exercise(t, v, strings.Join(list[:min(len(list), 40)], ""))
	}
	if refused == 0 || refused == rounds {
		t.Errorf("%d of %d refused", refused, rounds)
	}
}

func testMutations(t *testing.T, data []byte, rounds int) {
	rng := rand.New(rand.NewPCG(5, 6))
	refused := 0
	for range rounds {
		bad := hostile.Damage(rng, data, patches...)
		var v *Vocabulary
		var err error
		budget := hostile.Budget(len(bad))
		if grew := hostile.Allocated(budget, func() { v, err = Parse(bad) }); grew > budget {
			t.Fatalf("allocated %d bytes for %d", grew, len(bad))
		}
		if err != nil {
			refused++
			if !errors.Is(err, ErrVocabulary) || len(err.Error()) > 300 {
				t.Fatalf("unclear error %q", err)
			}
			continue
		}
		exercise(t, v, string(bad[:min(len(bad), 200)]))
	}
	t.Logf("%d of %d refused", refused, rounds)
}

// exercise checks what holds for every vocabulary.
func exercise(t *testing.T, v *Vocabulary, text string) {
	t.Helper()
	ids, err := v.Encode(text)
	if err != nil {
		if _, ok := errors.AsType[*UncoveredError](err); !ok {
			t.Fatalf("unclear error %q", err)
		}
		return
	}
	var back strings.Builder
	for _, id := range ids {
		back.WriteString(v.Token(id))
	}
	if back.String() != text {
		t.Fatalf("%q became %q", text, back.String())
	}
}
