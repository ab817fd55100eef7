package tokenizer

import (
	"runtime"
	"strings"
	"testing"
)

const english = "User: What is in the picture? The quick brown fox jumps over the lazy dog, " +
	"and a person in a red coat carries two boxes behind the blue car.\n\nAssistant: "

func BenchmarkEncode(b *testing.B) {
	v := mustParse(b, fullVocabulary(b))
	for _, c := range []struct{ name, text string }{
		{"english", strings.Repeat(english, 100)},
		{"chinese", strings.Repeat("这张图片里有什么？图中有几辆车？一个穿红色外套的人。", 200)},
		{"source", strings.Repeat("func (v *Vocabulary) match(s string) (id, n int) {\n\tt := &v.trie\n", 200)},
	} {
		b.Run(c.name, func(b *testing.B) {
			var ids []int
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				ids, _ = v.AppendEncode(ids[:0], c.text)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	v := mustParse(b, fullVocabulary(b))
	ids, _ := v.Encode(strings.Repeat(english, 100))
	d := v.NewDecoder()
	var text []byte
	b.SetBytes(int64(len(english) * 100))
	for b.Loop() {
		text = text[:0]
		for _, id := range ids {
			text = d.AppendAdd(text, id)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	data := fullVocabulary(b)
	list := mustParse(b, data).Tokens()
	b.Run("text", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			mustParse(b, data)
		}
	})
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := FromTokens(list); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("resident", func(b *testing.B) {
		for b.Loop() {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			v := mustParse(b, data)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc), "heap-bytes")
			runtime.KeepAlive(v)
		}
	})
}
