package tokenizer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
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
	grew := allocated(func() {
		if _, err := Parse([]byte(text.String())); err == nil || !strings.Contains(err.Error(), "too long prefixes") {
			t.Errorf("%v", err)
		}
	})
	if bound := uint64(5*text.Len()) + 1<<20; grew > bound { // text.String copies nothing, the []byte once
		t.Errorf("allocated %d bytes for %d", grew, text.Len())
	}
}

// TestMutations parses 1,000 damaged vocabularies: each is either a vocabulary that
// encodes and decodes, or a clear error, for memory of at most 4 times the input
// and 1 MiB.
func TestMutations(t *testing.T) {
	t.Run("subset", func(t *testing.T) { testMutations(t, subsetVocabulary(t), 1000) })
	t.Run("full", func(t *testing.T) { testMutations(t, fullVocabulary(t), 40) })
}

func testMutations(t *testing.T, data []byte, rounds int) {
	rng := rand.New(rand.NewPCG(5, 6))
	refused := 0
	for range rounds {
		bad := mutate(rng, data)
		var v *Vocabulary
		var err error
		grew := allocated(func() { v, err = Parse(bad) })
		if bound := uint64(4*len(bad)) + 1<<20; grew > bound {
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

// mutate returns a damaged copy: a flipped bit, a changed, lost or doubled stretch,
// or a cut.
func mutate(rng *rand.Rand, data []byte) []byte {
	bad := append(make([]byte, 0, len(data)+64), data...)
	for range 1 + rng.IntN(4) {
		if len(bad) == 0 {
			break
		}
		i := rng.IntN(len(bad))
		j := min(i+1+rng.IntN(40), len(bad))
		switch rng.IntN(6) {
		case 0:
			bad[i] ^= 1 << rng.IntN(8)
		case 1:
			bad[i] = byte(rng.IntN(256))
		case 2:
			bad[i] = "0123456789 '\"\\bxn\n"[rng.IntN(18)]
		case 3:
			bad = append(bad[:i], bad[j:]...)
		case 4:
			bad = append(bad[:j:j], bad[i:]...)
		case 5:
			bad = bad[:i]
		}
	}
	return bad
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
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
