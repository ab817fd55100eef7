package vlm

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/vlm/internal/checkpoint"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
)

// maxProblems bounds how many problems an error lists.
const maxProblems = 20

// Problems is the error about a checkpoint from which no model can be made: everything that
// is wrong with it and with what is said about it. It wraps [ErrConfig].
type Problems struct {
	List  []string // a sentence each, the first 20
	N     int      // in all
	Notes []string // what else [Source.Notes] tells, tensors that nothing reads among it
}

func (p *Problems) add(format string, args ...any) {
	if p.N++; len(p.List) < maxProblems {
		p.List = append(p.List, fmt.Sprintf(format, args...))
	}
}

// with returns all that is wrong, err included, as one error: err alone where nothing else is.
func (p *Problems) with(err error) error {
	if p.N == 0 {
		return err
	}
	if err != nil {
		p.add("%v", err)
	}
	return p
}

// Error lists the problems, one a line where there are several.
func (p *Problems) Error() string {
	if p.N == 1 && len(p.Notes) == 0 {
		return p.List[0]
	}
	s := fmt.Sprintf("%s:\n  %s", plural(p.N, "problem"), strings.Join(p.List, "\n  "))
	if more := p.N - len(p.List); more > 0 {
		s += fmt.Sprintf("\n  and %d more", more)
	}
	for _, n := range p.Notes {
		s += "\n  note: " + n
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Unwrap returns [ErrConfig].
func (p *Problems) Unwrap() error { return ErrConfig }

// check returns those of list that a model of c has, in order, and adds what is missing or
// misshapen to p.
func (s *Source) check(list []checkpoint.Weight, c Config, p *Problems) []checkpoint.Weight {
	if m := c.mixed(s.shapes); m != "" {
		p.add("%s", m)
		return list
	}
	have := map[string][]int{}
	for _, w := range list {
		have[w.Name] = w.Shape
	}
	switch reads := c.readsImage(); {
	case reads && c.EncoderBlocks == 0:
		p.add("decoder blocks that read an image state, but no state encoder: is the other half of a split export missing?")
	case !reads && c.EncoderBlocks > 0:
		p.add("a state encoder, but decoder blocks of variant %s, which read no image state: halves of different models?", c.Variant)
	}
	for _, t := range c.Towers {
		if t.Heads == 0 {
			p.add("key %q cannot be told from the tensors and must be given", keyVision+t.Kind+".head_count")
		}
		if g := t.grid(); g != c.Grid() {
			p.add("the %s tower has a grid of %d cells a side, the %s tower %d: give key %q", t.Kind, g, c.Towers[0].Kind, c.Grid(), keyVision+t.Kind+".image_size")
		}
	}
	want := map[string]bool{}
	for _, w := range c.expected(s.shapes) {
		want[w.name] = true
		shape, ok := have[w.name]
		switch {
		case !ok && s.ckpt.Lacks[w.name] != "":
			p.add("tensor %s is missing: %s", w.name, s.ckpt.Lacks[w.name])
		case !ok:
			p.add("tensor %s is missing", w.name)
		case !w.fits(shape) && strings.HasPrefix(w.name, "proj.") && len(c.Towers) > 0:
			p.add("tensor %s: shape %v, want %v for features of %s: a wrong tower, or one too few?", w.name, shape, w, c.features())
		case !w.fits(shape):
			p.add("tensor %s: shape %v, want %v", w.name, shape, w)
		}
	}
	return slices.DeleteFunc(list, func(w checkpoint.Weight) bool {
		if !want[w.Name] {
			return true
		}
		i := slices.IndexFunc(w.From, func(t tensors.Weight) bool { return !slices.Contains(convertible, t.Type) })
		if i >= 0 {
			p.add("tensor %s: cannot convert type %s", w.Name, w.From[i].TypeName())
		}
		return i >= 0
	})
}

// features names the towers.
func (c Config) features() string {
	var names []string
	for _, t := range c.Towers {
		names = append(names, t.Kind)
	}
	return strings.Join(names, ", ")
}

// Notes tells what the conversion to a model of c leaves out and what the model will lack, a
// sentence each.
func (s *Source) Notes(c Config) []string {
	var notes []string
	for _, u := range s.ckpt.Unread {
		notes = append(notes, fmt.Sprintf("%s: left out, since nothing reads them: %s", filepath.Base(u.File), groups(u.Unread, u.Read)))
	}
	want := map[string]bool{}
	for _, w := range c.expected(s.shapes) {
		want[w.name] = true
	}
	var unread, read []string
	for _, w := range s.ckpt.Weights {
		if want[w.Name] {
			read = append(read, w.Name)
		} else {
			unread = append(unread, w.Name)
		}
	}
	if len(unread) > 0 {
		notes = append(notes, "left out, since nothing reads them: "+groups(unread, read))
	}
	if len(c.Towers) == 0 {
		notes = append(notes, "no vision tower: the model will not see; give its file too")
	}
	n := 0
	for id, t := range c.Tokens {
		if id > 0 && t != "" {
			n++
		}
	}
	switch {
	case n == 0:
		notes = append(notes, "no vocabulary: the model will not read or write text; give one with -vocab")
	case n < c.Vocab/2:
		notes = append(notes, fmt.Sprintf("the vocabulary has %d tokens, the model %d: is it this model's?", n, c.Vocab))
	case c.Stop >= len(c.Tokens) || c.Tokens[c.Stop] == "":
		notes = append(notes, fmt.Sprintf("token %d, which ends an answer, is not in the vocabulary: is it this model's?", c.Stop))
	}
	return notes
}

// maxGroups bounds the groups of names in a sentence.
const maxGroups = 12

// groups shortens a list of names: those below a prefix that no name of read has are one.
func groups(names, read []string) string {
	taken := map[string]bool{} // prefixes of what is read
	for _, name := range read {
		for i, c := range name {
			if c == '.' {
				taken[name[:i+1]] = true
			}
		}
	}
	var order []string
	count := map[string]int{}
	for _, name := range names {
		key := name
		for i, c := range name {
			if c == '.' && !taken[name[:i+1]] {
				key = name[:i+1] + "*"
				break
			}
		}
		if count[key]++; count[key] == 1 {
			order = append(order, key)
		}
	}
	more := ""
	if n := len(order) - maxGroups; n > 0 {
		more = fmt.Sprintf(", and %d more", n)
		order = order[:maxGroups]
	}
	for i, key := range order {
		order[i] = fmt.Sprintf("%.80s", key)
		if strings.HasSuffix(key, "*") {
			order[i] += fmt.Sprintf(" (%d)", count[key])
		}
	}
	return strings.Join(order, ", ") + more
}
