package tokenizer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestGolden(t *testing.T) {
	t.Run("subset", func(t *testing.T) { testGolden(t, mustParse(t, subsetVocabulary(t))) })
	t.Run("full", func(t *testing.T) { testGolden(t, mustParse(t, fullVocabulary(t))) })
}

func testGolden(t *testing.T, v *Vocabulary) {
	for _, g := range goldenEncodings(t) {
		ids, err := v.Encode(g.Text)
		if err != nil || !slices.Equal(ids, g.IDs) {
			t.Errorf("%q: %v, %v, want %v", g.Text, ids, err, g.IDs)
		}
		if text := v.Decode(g.IDs); text != g.Text {
			t.Errorf("%v: %q, want %q", g.IDs, text, g.Text)
		}
	}
}

func TestFullVocabulary(t *testing.T) {
	v := mustParse(t, fullVocabulary(t))
	if v.Count() != 65529 || v.Size() != 65530 {
		t.Fatalf("%d tokens, size %d", v.Count(), v.Size())
	}
	// Every token is itself the longest match of its own text.
	for id := 1; id < v.Size(); id++ {
		if got, n := v.match(v.Token(id)); got != id || n != len(v.Token(id)) {
			t.Fatalf("token %d %q matches as %d", id, v.Token(id), got)
		}
	}
	if nodes := len(v.trie.label); nodes != 79909 {
		t.Errorf("%d nodes; the comment of trie says 79,909", nodes)
	}
	testTokens(t, v)
}

// testTokens checks that a vocabulary survives the form it has in a model file.
func testTokens(t *testing.T, v *Vocabulary) {
	t.Helper()
	list := v.Tokens()
	if len(list) != v.Size() || list[0] != "<s>" {
		t.Fatalf("%d entries, the first %q", len(list), list[0])
	}
	for id, s := range list {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("entry %d %q is not printable ASCII", id, s)
		}
	}
	w, err := FromTokens(list)
	if err != nil {
		t.Fatal(err)
	}
	if w.Count() != v.Count() || w.Size() != v.Size() {
		t.Fatalf("%d tokens of size %d became %d of %d", v.Count(), v.Size(), w.Count(), w.Size())
	}
	for id := range v.Size() {
		if v.Token(id) != w.Token(id) {
			t.Fatalf("token %d %q became %q", id, v.Token(id), w.Token(id))
		}
	}
}

func TestTokens(t *testing.T) { testTokens(t, mustParse(t, subsetVocabulary(t))) }

func TestFromTokensEscapes(t *testing.T) {
	v, err := FromTokens([]string{"", `a`, ``, `\\`, `\x5c\x00`, `\n\r\t`, `\'\"`, `é`})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range []string{"", "a", "", `\`, "\\\x00", "\n\r\t", `'"`, "é"} {
		if got := v.Token(id); got != want {
			t.Errorf("token %d: %q, want %q", id, got, want)
		}
	}
	if v.Token(-1) != "" || v.Token(99) != "" {
		t.Error("ids outside have text")
	}
}

// TestLongestMatch compares with the definition on random vocabularies over a tiny
// alphabet, where tokens share many prefixes.
func TestLongestMatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	letters := func(n, of int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'a' + byte(rng.IntN(of))
		}
		return string(b)
	}
	for round := range 300 {
		alphabet := 1 + rng.IntN(4)
		set := map[string]bool{}
		for range 1 + rng.IntN(60) {
			set[letters(1+rng.IntN(9), alphabet)] = true
		}
		list := []string{"<s>"}
		for s := range set {
			list = append(list, s)
		}
		slices.Sort(list[1:])
		v, err := FromTokens(list)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			s := letters(rng.IntN(12), alphabet+1)
			want := 0
			for id := 1; id < len(list); id++ {
				if strings.HasPrefix(s, list[id]) && len(list[id]) > len(list[want]) || want == 0 && strings.HasPrefix(s, list[id]) {
					want = id
				}
			}
			if id, n := v.match(s); id != want || id != 0 && n != len(list[id]) {
				t.Fatalf("round %d: %q in %q: %d, want %d", round, s, list[1:], id, want)
			}
		}
	}
}

func TestUncovered(t *testing.T) {
	v, err := FromTokens([]string{"<s>", "the", " ", "dog", "s", "\n", "t", "h", "e"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want UncoveredError
		msg  string
	}{
		{"the dog\nthe lazy", UncoveredError{12, 'l', "l", "lazy"},
			`vocabulary has no token for "l" at byte 12 of the text, in "lazy"`},
		{"the café", UncoveredError{4, 'c', "c", "café"}, ""},
		{"tété", UncoveredError{1, 0xc3, "é", "tété"}, ""},
		{"the\u00a0dogs s", UncoveredError{3, 0xc2, "\u00a0", "dogs"}, ""}, // the word after the space
		{"the\t", UncoveredError{3, '\t', "\t", ""}, ""},
		{"t\xfft", UncoveredError{1, 0xff, "", "t\uFFFDt"},
			`vocabulary has no token for byte 0xff at byte 1 of the text, in "t` + "\uFFFD" + `t"`},
	} {
		ids, err := v.AppendEncode([]int{7}, c.text)
		e, ok := errors.AsType[*UncoveredError](err)
		if !ok || *e != c.want || !slices.Equal(ids, []int{7}) {
			t.Errorf("%q: %v, %+v, want %+v", c.text, ids, err, c.want)
		}
		if c.msg != "" && err.Error() != c.msg {
			t.Errorf("%q: %q, want %q", c.text, err, c.msg)
		}
	}
	if _, err := v.Encode(strings.Repeat("t", 1<<16) + "x" + strings.Repeat("t", 1<<16)); len(err.Error()) > 200 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}

func TestDecoder(t *testing.T) {
	list := []string{"<s>"}
	for b := range 256 {
		list = append(list, fmt.Sprintf(`\x%02x`, b))
	}
	v, err := FromTokens(list)
	if err != nil {
		t.Fatal(err)
	}
	d := v.NewDecoder()
	add := func(bytes string) (out []string) {
		for i := range len(bytes) {
			out = append(out, d.Add(int(bytes[i])+1))
		}
		return append(out, d.Flush())
	}
	for _, c := range []struct {
		bytes string
		want  []string
	}{
		{"a", []string{"a", ""}},
		{"é", []string{"", "é", ""}},
		{"🙂", []string{"", "", "", "🙂", ""}},
		{"\xff", []string{"\uFFFD", ""}},
		{"\xe2\x82", []string{"", "", "\uFFFD"}},
		{"\xe2\x82a", []string{"", "", "\uFFFDa", ""}},
		{"\xf0\x9f\xe9", []string{"", "", "\uFFFD", "\uFFFD"}},
		{"\xed\xa0\x80", []string{"", "\uFFFD\uFFFD", "\uFFFD", ""}}, // a surrogate
	} {
		if got := add(c.bytes); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.bytes, got, c.want)
		}
	}
	if got := v.Decode([]int{0, 'h' + 1, 0, 'i' + 1, 70000, 0xe3 + 1, -5}); got != "hi\uFFFD\uFFFD\uFFFD" {
		t.Errorf("%q", got)
	}
}

// TestDecoderSplits checks that text does not depend on where tokens begin, and
// that what is given out is valid at every step.
func TestDecoderSplits(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	raw := []string{"\xe2", "\x82", "\xac", "\xf0\x9f", "\x99\x82", "a", "\xff", "\xed\xa0", "中", "\x80"}
	for range 2000 {
		var whole strings.Builder
		list := []string{"<s>"}
		for range 1 + rng.IntN(8) {
			s := raw[rng.IntN(len(raw))]
			whole.WriteString(s)
			list = append(list, string(appendEscaped(nil, s))+"")
		}
		text := whole.String()
		var d Decoder
		var got []byte
		for id := 1; id < len(list); id++ {
			b, err := appendUnescaped(nil, list[id])
			if err != nil {
				t.Fatal(err)
			}
			d.held = append(d.held, b...)
			got = d.drain(got, false)
			if len(d.held) >= utf8.UTFMax || !utf8.Valid(got) {
				t.Fatalf("%q: holds %q after %q", text, d.held, got)
			}
		}
		got = d.AppendFlush(got)
		one := Decoder{held: []byte(text)}
		if want := one.AppendFlush(nil); string(got) != string(want) {
			t.Fatalf("%q: %q, want %q", text, got, want)
		}
		if utf8.ValidString(text) && string(got) != text {
			t.Fatalf("%q became %q", text, got)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	v := mustParse(t, subsetVocabulary(t))
	ids := make([]int, 0, 64)
	text := make([]byte, 0, 256)
	d := v.NewDecoder()
	if n := testing.AllocsPerRun(100, func() {
		ids, _ = v.AppendEncode(ids[:0], "The quick brown fox")
		text = text[:0]
		for _, id := range ids {
			text = d.AppendAdd(text, id)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
