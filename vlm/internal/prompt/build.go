package prompt

import (
	"errors"
	"fmt"
	"strings"

	"github.com/visualrwkv/edged/tokenizer"
)

// maxTokens bounds the length of a prompt. Images make the most of it: 4096 are
// 64 images of 64 tokens, far beyond what was trained.
const maxTokens = 1 << 20

// Format is what a prompt depends on besides its words.
type Format struct {
	Vocabulary  *tokenizer.Vocabulary
	ImageToken  int  // the id that stands for one image token
	ImageTokens int  // image tokens of each image, p²
	Lowercase   bool // questions are put in lower case

	// Sandwich is the form of v6.0: one turn with one image, and the question both
	// before the image and after it.
	Sandwich bool
}

// Turn is a question and, in all turns but the last, the answer it got.
type Turn struct {
	Question string // tags in it are removed: Images counts
	Images   int    // images shown with the question, before its text
	Answer   string
}

// Prompt is what the decoder reads.
type Prompt struct {
	IDs    []int  // Format.ImageToken in Format.ImageTokens places an image
	Images int    // images of all turns, in order
	Text   string // the same with one [Tag] an image
}

// Build assembles a conversation. The prompt ends with "Assistant:", and the model
// goes on with the answer to the last turn. A text that the vocabulary does not
// cover is a [*tokenizer.UncoveredError], with its position in the cleaned text.
func (f *Format) Build(turns ...Turn) (*Prompt, error) {
	if len(turns) == 0 {
		return nil, errors.New("prompt without a turn")
	}
	if f.Sandwich && (len(turns) > 1 || turns[0].Images > 1) {
		return nil, fmt.Errorf("%d turns, the first with %d images: this model takes one question about one image", len(turns), turns[0].Images)
	}
	b := builder{Format: f}
	for i, t := range turns {
		last := i == len(turns)-1
		if t.Images < 0 || f.ImageTokens < 0 || int64(t.Images)*int64(f.ImageTokens) > maxTokens {
			return nil, fmt.Errorf("turn %d: %d images of %d tokens", i+1, t.Images, f.ImageTokens)
		}
		question, answer := Clean(t.Question), Clean(t.Answer)
		if f.Lowercase {
			question = strings.ToLower(question)
		}
		if last != (answer == "") {
			return nil, fmt.Errorf("turn %d of %d: an answer belongs to each turn but the last", i+1, len(turns))
		}
		if err := b.turn("User:", question, t.Images); err != nil {
			return nil, fmt.Errorf("question of turn %d: %w", i+1, err)
		}
		if err := b.turn("Assistant:", answer, 0); err != nil {
			return nil, fmt.Errorf("answer of turn %d: %w", i+1, err)
		}
		b.p.Images += t.Images
	}
	b.p.Text = b.text.String()
	return &b.p, nil
}

type builder struct {
	*Format
	p    Prompt
	text strings.Builder
}

// turn appends a turn. What stands before, between and after images is tokenised
// apart, as is each turn: "User: " keeps the token of its space, which "User: \n"
// would not.
func (b *builder) turn(speaker, text string, images int) error {
	switch {
	case images == 0 && text == "":
		return b.chunk(speaker, "", "")
	case images == 0:
		return b.chunk(speaker+" ", text, "\n\n")
	}
	if before := b.before(text); before != "" {
		if err := b.chunk(speaker+" ", before, "\n"); err != nil {
			return err
		}
	} else if err := b.chunk(speaker+" ", "", ""); err != nil {
		return err
	}
	for i := range images {
		if i > 0 {
			if err := b.chunk("\n", "", ""); err != nil {
				return err
			}
		}
		b.image()
	}
	if text == "" {
		return b.chunk("", "", "\n\n")
	}
	return b.chunk("\n", text, "\n\n")
}

// instruction is what data sets append to questions; the authors left it out of the copy of
// a question that stands before an image.
const instruction = "Answer the question using a single word or phrase."

// before returns what of a question stands before the image too.
func (b *builder) before(text string) string {
	if !b.Sandwich {
		return ""
	}
	return Clean(strings.ReplaceAll(text, instruction, ""))
}

func (b *builder) image() {
	b.text.WriteString(Tag)
	for range b.ImageTokens {
		b.p.IDs = append(b.p.IDs, b.ImageToken)
	}
}

// chunk appends one separately tokenised stretch. before and after belong to the
// template, text is the user's.
func (b *builder) chunk(before, text, after string) error {
	s := before + text + after
	ids, err := b.Vocabulary.AppendEncode(b.p.IDs, s)
	if err != nil {
		e, ok := errors.AsType[*tokenizer.UncoveredError](err)
		if ok && e.Pos >= len(before) && e.Pos < len(before)+len(text) {
			e.Pos -= len(before)
			return err
		}
		return fmt.Errorf("template %q: %w", s, err)
	}
	if len(ids) > maxTokens {
		return fmt.Errorf("more than %d tokens", maxTokens)
	}
	b.p.IDs = ids
	b.text.WriteString(s)
	return nil
}
