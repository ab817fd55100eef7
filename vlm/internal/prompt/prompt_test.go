package prompt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"image"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/tokenizer"
)

type golden struct {
	Prompts []struct {
		Question  string `json:"question"`
		Images    int    `json:"num_images"`
		Tokens    int    `json:"num_token_per_image"`
		InputText string `json:"input_text"`
		IDs       []int  `json:"ids"`
	} `json:"prompts"`
	MultiTurn []struct {
		Conversations []struct{ From, Value string } `json:"conversations"`
		Images        int                            `json:"num_images"`
		Tokens        int                            `json:"num_token_per_image"`
		InputText     string                         `json:"input_text"`
		IDs           []int                          `json:"ids"`
	} `json:"multi_turn"`
	Packing []struct {
		Images   int `json:"n_images"`
		Tokens   int `json:"tokens_in"`
		Max      int `json:"max_feature_len"`
		Packed   int `json:"packed_len"`
		PerImage int `json:"tokens_per_image"`
	} `json:"max_feature_len_table"`
	Frames []struct {
		Available, Wanted int
		Indices           []int
	} `json:"frame_sampling"`
	Tiling []struct {
		Size  [2]int   `json:"size"`
		Boxes [][4]int `json:"tile_boxes_after_whole_image"`
	} `json:"single_image_tiling"`
}

func readGolden(t *testing.T) *golden {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	g := new(golden)
	if err := json.Unmarshal(data, g); err != nil {
		t.Fatal(err)
	}
	return g
}

// vocabularies calls f with the lines of the RWKV World vocabulary that the golden
// prompts use, which are in testdata, and with the whole, which is not.
func vocabularies(t *testing.T, f func(t *testing.T, v *tokenizer.Vocabulary)) {
	t.Run("subset", func(t *testing.T) {
		data, err := os.ReadFile(filepath.Join("testdata", "subset.txt"))
		if err != nil {
			t.Fatal(err)
		}
		f(t, parse(t, data))
	})
	t.Run("full", func(t *testing.T) {
		path := os.Getenv("EDGED_VOCAB")
		if path == "" {
			path = filepath.Join("..", "..", "..", "..", "shared", "golden", "rwkv_vocab_v20230424.txt.gz")
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Skipf("full RWKV vocabulary: %v; set EDGED_VOCAB to rwkv_vocab_v20230424.txt or its .gz", err)
		}
		if strings.HasSuffix(path, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		f(t, parse(t, data))
	})
}

func parse(t *testing.T, data []byte) *tokenizer.Vocabulary {
	t.Helper()
	v, err := tokenizer.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

const imageToken = 65535

func TestGolden(t *testing.T) {
	g := readGolden(t)
	vocabularies(t, func(t *testing.T, v *tokenizer.Vocabulary) {
		check := func(what string, images, tokens int, text string, ids []int, turns []Turn) {
			f := Format{Vocabulary: v, ImageToken: imageToken, ImageTokens: tokens}
			p, err := f.Build(turns...)
			if err != nil {
				t.Errorf("%q: %v", what, err)
				return
			}
			if p.Text != text || !slices.Equal(p.IDs, ids) || p.Images != images {
				t.Errorf("%q: %d images, %q %v, want %d, %q %v", what, p.Images, p.Text, p.IDs, images, text, ids)
			}
		}
		for _, c := range g.Prompts {
			check(c.Question, c.Images, c.Tokens, c.InputText, c.IDs, []Turn{{Question: c.Question, Images: c.Images}})
		}
		for _, c := range g.MultiTurn {
			var turns []Turn
			for i := 0; i < len(c.Conversations); i += 2 {
				q, a := c.Conversations[i], c.Conversations[i+1]
				turns = append(turns, Turn{Question: q.Value, Images: strings.Count(q.Value, Tag), Answer: a.Value})
			}
			check(c.InputText, c.Images, c.Tokens, c.InputText, c.IDs, turns)
		}
		if v.Count() == 65529 { // a turn without an image is one chunk
			check("no image", 0, 4, "User: hi\n\nAssistant:", []int{24281, 59, 4571, 261, 5585, 41693, 59}, []Turn{{Question: "hi"}})
		}
	})
}

// The sandwich of v6.0: what stands before the image and after it is tokenised apart.
func TestSandwich(t *testing.T) {
	question := readGolden(t).Prompts[0].Question
	vocabularies(t, func(t *testing.T, v *tokenizer.Vocabulary) {
		q, before := Clean(question), Clean(question)
		if v.Count() == 65529 { // the subset has not the words
			q += "\n" + instruction
		}
		f := Format{Vocabulary: v, ImageToken: imageToken, ImageTokens: 3, Sandwich: true}
		p, err := f.Build(Turn{Question: q, Images: 1})
		if err != nil {
			t.Fatal(err)
		}
		want, err := v.AppendEncode(nil, "User: "+before+"\n")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, imageToken, imageToken, imageToken)
		for _, s := range []string{"\n" + q + "\n\n", "Assistant:"} {
			if want, err = v.AppendEncode(want, s); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(p.IDs, want) {
			t.Errorf("%v, want %v", p.IDs, want)
		}
	})
}

func TestPacking(t *testing.T) {
	for _, c := range readGolden(t).Packing {
		if n := EncoderTokens(c.Images, c.Tokens, c.Max); n != c.PerImage || n*c.Images != c.Packed {
			t.Errorf("%d images of %d in %d: %d, want %d", c.Images, c.Tokens, c.Max, n, c.PerImage)
		}
	}
	for _, c := range [][4]int{{0, 4, 4, 0}, {1, 0, 4, 0}, {5, 4, 4, 0}, {1, 4, -4, 0}, {1, 4, 3, 1}} {
		if n := EncoderTokens(c[0], c[1], c[2]); n != c[3] {
			t.Errorf("%v: %d", c, n)
		}
	}
}

func TestFrames(t *testing.T) {
	for _, c := range readGolden(t).Frames {
		if got := Frames(c.Available, c.Wanted); !slices.Equal(got, c.Indices) {
			t.Errorf("%d of %d: %v, want %v", c.Wanted, c.Available, got, c.Indices)
		}
	}
	if got := Frames(9, 1); !slices.Equal(got, []int{0}) {
		t.Errorf("one frame: %v", got)
	}
	if Frames(0, 4) != nil || Frames(4, 0) != nil {
		t.Error("frames of nothing")
	}
}

func TestTiles(t *testing.T) {
	for _, c := range readGolden(t).Tiling {
		got := Tiles(c.Size[0], c.Size[1], 448)
		want := []image.Rectangle{image.Rect(0, 0, c.Size[0], c.Size[1])}
		for _, b := range c.Boxes {
			want = append(want, image.Rect(b[0], b[1], b[2], b[3]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", c.Size, got, want)
		}
	}
	if got := Tiles(0, 5, 448); len(got) != 1 {
		t.Errorf("an empty picture has %d images", len(got))
	}
}

// TestClean compares with the regular expression of the authors' code.
func TestClean(t *testing.T) {
	blank := regexp.MustCompile(`\n([\s\v\x1c-\x1f\x{85}\x{a0}\x{3000}]*\n)+`)
	parts := []string{"\n", "\n", " ", "\t", "\r", "a", "b", Tag, "\u3000", "\x1c", "é", "\u00a0", "<im", "age>"}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		var b strings.Builder
		for range rng.IntN(14) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		s := b.String()
		want := strings.TrimFunc(strings.ReplaceAll(s, Tag, ""), isSpace)
		want = blank.ReplaceAllString(want, "\n")
		if got := Clean(s); got != want {
			t.Fatalf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestBuild(t *testing.T) {
	// One token a character; id = index.
	const letters = "_UserAitn: \n?abcABC<mg>"
	list := []string{"<s>"}
	seen := map[rune]bool{}
	for _, r := range letters[1:] {
		if !seen[r] {
			seen[r] = true
			s := string(r)
			if r == '\n' {
				s = `\n`
			}
			list = append(list, s)
		}
	}
	v, err := tokenizer.FromTokens(list)
	if err != nil {
		t.Fatal(err)
	}
	f := &Format{Vocabulary: v, ImageToken: 999, ImageTokens: 2}
	text := func(turns ...Turn) string {
		p, err := f.Build(turns...)
		if err != nil {
			return "error: " + err.Error()
		}
		return p.Text
	}
	for _, c := range []struct{ got, want string }{
		{text(Turn{Question: "a"}), "User: a\n\nAssistant:"},
		{text(Turn{}), "User:Assistant:"},
		{text(Turn{Images: 1}), "User: <image>\n\nAssistant:"},
		{text(Turn{Question: "<image><image>a", Images: 0}), "User: a\n\nAssistant:"},
		{text(Turn{Question: "a", Answer: "b <image>\n\nc "}, Turn{Question: "c"}), "User: a\n\nAssistant: b \nc\n\nUser: c\n\nAssistant:"},
		{text(), "error: prompt without a turn"},
		{text(Turn{Question: "a", Answer: "b"}), "error: turn 1 of 1: an answer belongs to each turn but the last"},
		{text(Turn{Question: "a"}, Turn{Question: "b"}), "error: turn 1 of 2: an answer belongs to each turn but the last"},
		{text(Turn{Question: "a", Images: -1}), "error: turn 1: -1 images of 2 tokens"},
		{text(Turn{Question: "a", Images: 1 << 30}), "error: turn 1: 1073741824 images of 2 tokens"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}

	// A tag that appears when a tag is removed is text, not an image.
	p, err := f.Build(Turn{Question: "<im<image>age>", Images: 1})
	if err != nil || slices.Index(p.IDs, 999) < 0 {
		t.Fatalf("%v, %v", p, err)
	}
	if n := len(p.IDs) - len(slices.DeleteFunc(slices.Clone(p.IDs), func(id int) bool { return id == 999 })); n != 2 {
		t.Errorf("%d placeholders for one image of two tokens", n)
	}

	if upper, lower := text(Turn{Question: "ABC"}), func() string { f.Lowercase = true; return text(Turn{Question: "ABC"}) }(); upper == lower || lower != "User: abc\n\nAssistant:" {
		t.Errorf("%q and in lower case %q", upper, lower)
	}

	sandwich := *f
	sandwich.Sandwich = true
	f = &sandwich
	for _, c := range []struct{ got, want string }{
		{text(Turn{Question: " a\n\nb ", Images: 1}), "User: a\nb\n<image>\na\nb\n\nAssistant:"},
		{text(Turn{Question: "a"}), "User: a\n\nAssistant:"},
		{text(Turn{Images: 1}), "User: <image>\n\nAssistant:"},
		{text(Turn{Question: "a", Images: 2}), "error: 1 turns, the first with 2 images: this model takes one question about one image"},
		{text(Turn{Question: "a", Answer: "b"}, Turn{Question: "c"}), "error: 2 turns, the first with 0 images: this model takes one question about one image"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	f.Sandwich = false

	_, err = f.Build(Turn{Question: "  abxc", Images: 2})
	e, ok := errors.AsType[*tokenizer.UncoveredError](err)
	if !ok || e.Pos != 2 || e.Char != "x" || !strings.HasPrefix(err.Error(), "question of turn 1: ") {
		t.Errorf("uncovered question: %v", err)
	}
	if v, err = tokenizer.FromTokens([]string{"", "a"}); err != nil {
		t.Fatal(err)
	}
	f.Vocabulary = v
	if _, err = f.Build(Turn{Question: "a"}); err == nil || !strings.Contains(err.Error(), `template "User: a\n\n"`) {
		t.Errorf("uncovered template: %v", err)
	}
}

// stop ends an answer.
const stop = "\n\n"

// answer is the definition of what Answers gives out in pieces.
func answer(text string) string {
	text, _, _ = strings.Cut(text, stop)
	return strings.TrimFunc(text, isSpace)
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{" A man.\n\nUser: x", "A man."},
		{"\n\nA man.", ""},
		{" one\ntwo \n three \n", "one\ntwo \n three"},
		{"", ""},
		{" \u3000é\uFFFD🙂 b\n\n", "é\uFFFD🙂 b"},
		{"a \n\n", "a"},
		{"a\n \nb", "a\n \nb"},
	} {
		var a Answers
		if got, _ := a.Add(c.text); got != c.want || answer(c.text) != c.want {
			t.Errorf("%q: %q and %q, want %q", c.text, got, answer(c.text), c.want)
		}
	}
	parts := []string{"\n", "\n", " ", "a", "é", "\u3000", "\n\n", "b\n", "🙂"}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 5000 {
		var a Answers
		var whole, got string
		over := false
		for range rng.IntN(10) {
			piece := parts[rng.IntN(len(parts))] + parts[rng.IntN(len(parts))]
			whole += piece
			text, done := a.Add(piece)
			got += text
			if done != strings.Contains(whole, stop) || over && text != "" {
				t.Fatalf("%q: done %v with %q", whole, done, text)
			}
			over = done
		}
		if want := answer(whole); got != want {
			t.Fatalf("%q: %q, want %q", whole, got, want)
		}
	}
}
