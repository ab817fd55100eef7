package sim

import (
	"regexp"
	"slices"
	"strings"
)

var wordRE = regexp.MustCompile(` ?[a-z]+|[^a-z]`)

// Vocabulary returns every token of the language of this room, for a greedy
// longest-match tokenizer: whole words with their leading space, the words that
// begin a question without it, punctuation, and the marks of the prompt.
func Vocabulary() []string {
	set := map[string]bool{}
	add := func(text string) {
		for _, t := range wordRE.FindAllString(text, -1) {
			if t != " " {
				set[t] = true
			}
		}
	}
	for _, ws := range wordings {
		for _, w := range ws {
			add(strings.NewReplacer("%s", "", "%t", "").Replace(w))
		}
	}
	add(CaptionQuestion)
	for _, words := range [][]string{shapeNames[:], colorNames[:], motionWords[:], numbers, cameraAnswers[:],
		{"the room is empty", "a b, behind it a b; the b left.", "there is no", "yes", "no", "nothing", "and",
			"on the left", "in the middle", "on the right", "standing still"}} {
		for _, w := range words {
			if w != "" {
				add(" " + w)
			}
		}
	}
	delete(set, " b") // stood for a name
	tokens := make([]string, 0, len(set)+4)
	for t := range set {
		tokens = append(tokens, t)
	}
	slices.Sort(tokens)
	return append([]string{"\n", "\n\n", "User: ", "Assistant:"}, tokens...)
}
