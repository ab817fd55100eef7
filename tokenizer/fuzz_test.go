package tokenizer

import (
	"slices"
	"testing"
	"unicode/utf8"
)

func FuzzParse(f *testing.F) {
	f.Add(subsetVocabulary(f), "The quick brown fox")
	f.Add([]byte("1 'a' 1\n7 b'\\xff' 1\n9 \"'\" 1\n11 '\\u00e9\\n' 3\n"), "aé\n")
	f.Fuzz(func(t *testing.T, data []byte, text string) {
		v, err := Parse(data)
		if err != nil {
			return
		}
		exercise(t, v, text)
		w, err := FromTokens(v.Tokens())
		if err != nil || w.Count() != v.Count() || w.blob != v.blob || !slices.Equal(w.off, v.off) {
			t.Fatalf("tokens do not survive: %v", err)
		}
	})
}

func FuzzFromTokens(f *testing.F) {
	f.Add(`ab\x00`, `a`, `\\`, "aab")
	f.Fuzz(func(t *testing.T, a, b, c, text string) {
		if v, err := FromTokens([]string{"<s>", a, b, "", c}); err == nil {
			exercise(t, v, text)
		}
	})
}

func FuzzDecode(f *testing.F) {
	v := mustParse(f, []byte("1 b'\\xe2' 1\n2 b'\\x82' 1\n3 b'\\xac' 1\n4 'a' 1\n5 b'\\xf0\\x9f' 2\n6 b'\\x99\\x82' 2\n"))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 0, 7})
	f.Fuzz(func(t *testing.T, ids []byte) {
		d := v.NewDecoder()
		var streamed string
		list := make([]int, len(ids))
		for i, id := range ids {
			list[i] = int(id)
			streamed += d.Add(int(id))
			if !utf8.ValidString(streamed) || len(d.held) >= utf8.UTFMax {
				t.Fatalf("%v: %q, holding %q", ids[:i+1], streamed, d.held)
			}
		}
		if streamed += d.Flush(); streamed != v.Decode(list) {
			t.Fatalf("%q is not %q", streamed, v.Decode(list))
		}
	})
}
