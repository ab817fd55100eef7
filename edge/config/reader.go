package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// reader turns nodes into values and collects what is wrong with them, so that
// all of it can be told at once.
type reader struct {
	name  string // of the file
	lines []string
	errs  Errors
	count int // of errors, those that are not told included
}

// field reads the value of one key.
type field func(n ast.Node)

// errorf notes that something is wrong at n.
func (r *reader) errorf(n ast.Node, format string, args ...any) {
	line, column := start(n)
	r.add(line, column, fmt.Sprintf(format, args...))
}

// start is where a node begins, for people. The token of a mapping is its first
// colon.
func start(n ast.Node) (line, column int) {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return start(m.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return start(m.Key)
	}
	p := n.GetToken().Position
	return p.Line, p.Column
}

// object reads a mapping by its fields. A key that has none is an error; one
// without a value is taken for not given. plain is the field that somebody probably means
// who writes a value instead of the mapping; empty: there is none.
func (r *reader) object(n ast.Node, plain string, fields map[string]field) {
	var pairs []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		pairs = m.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{m}
	default:
		want := "keys with values"
		if plain != "" {
			want += ", such as {" + plain + ": ...}"
		} else {
			want += known(fields)
		}
		r.wanted(n, want)
		return
	}
	for _, p := range pairs {
		key, ok := p.Key.(*ast.StringNode)
		if !ok {
			r.errorf(p.Key, "a key must be a plain word")
			continue
		}
		read, ok := fields[key.Value]
		if !ok {
			r.errorf(key, "unknown key %q%s", key.Value, suggest(key.Value, fields))
			continue
		}
		if _, null := p.Value.(*ast.NullNode); !null {
			read(p.Value)
		}
	}
}

// list reads a sequence, each of its items with f.
func (r *reader) list(n ast.Node, f field) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wanted(n, "a list: each item in a line of its own after -, or all in [ ]")
		return
	}
	for _, v := range s.Values {
		f(v)
	}
}

// names reads a mapping from any keys to texts.
func (r *reader) names(dst *map[string]string) field {
	return func(n ast.Node) {
		m, ok := n.(*ast.MappingNode)
		if !ok {
			r.wanted(n, "keys with values")
			return
		}
		*dst = map[string]string{}
		for _, p := range m.Values {
			var value string
			r.text(&value)(p.Value)
			(*dst)[p.Key.GetToken().Value] = value
		}
	}
}

// scalar returns the text of a plain value as it was written.
func (r *reader) scalar(n ast.Node, want string) (text string, ok bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(v.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	r.wanted(n, want)
	return "", false
}

func (r *reader) wanted(n ast.Node, want string) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		r.errorf(n, "anchors and aliases are not used here: write it out")
	case *ast.TagNode:
		r.errorf(n, "tags are not used here")
	default:
		r.errorf(n, "want %s", want)
	}
}

func (r *reader) text(dst *string) field {
	return func(n ast.Node) {
		if s, ok := r.scalar(n, "a text"); ok {
			*dst = s
		}
	}
}

// word reads a name that appears in commands, file names and messages.
func (r *reader) word(dst *string) field {
	return func(n ast.Node) {
		s, ok := r.scalar(n, "a name")
		if !ok {
			return
		}
		bad := s == "" || len(s) > 64 || strings.ContainsFunc(s, func(c rune) bool {
			return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.", c))
		})
		if bad {
			r.errorf(n, "name %q: want up to 64 letters, digits, - _ .", s)
			return
		}
		*dst = s
	}
}

func (r *reader) choice(dst *string, values ...string) field {
	return func(n ast.Node) {
		want := "one of " + listed(values)
		s, ok := r.scalar(n, want)
		switch {
		case !ok:
		case !slices.Contains(values, s):
			r.errorf(n, "%q: want %s", s, want)
		default:
			*dst = s
		}
	}
}

func (r *reader) boolean(dst *bool) field {
	return func(n ast.Node) {
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.wanted(n, "true or false")
			return
		}
		*dst = b.Value
	}
}

func (r *reader) integer(dst *int64, least, most int64) field {
	return func(n ast.Node) {
		want := fmt.Sprintf("a whole number from %d to %d", least, most)
		s, ok := r.scalar(n, want)
		if !ok {
			return
		}
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil || i < least || i > most {
			r.errorf(n, "%q: want %s", s, want)
			return
		}
		*dst = i
	}
}

func (r *reader) number(dst *float64, least, most float64) field {
	return func(n ast.Node) {
		want := fmt.Sprintf("a number from %v to %v", least, most)
		s, ok := r.scalar(n, want)
		if !ok {
			return
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f >= least && f <= most) {
			r.errorf(n, "%q: want %s", s, want)
			return
		}
		*dst = f
	}
}

// duration reads what Go writes, with d for days.
func (r *reader) duration(dst *time.Duration, least, most time.Duration) field {
	return func(n ast.Node) {
		want := fmt.Sprintf("a time from %s to %s, such as 500ms, 30s, 5m, 2h or 7d", short(least), short(most))
		s, ok := r.scalar(n, want)
		if !ok {
			return
		}
		d, err := parseDuration(s)
		if err != nil || d < least || d > most {
			r.errorf(n, "%q: want %s", s, want)
			return
		}
		*dst = d
	}
}

// short is d without what is 0 at its end.
func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}

// units of sizes, the longer names first.
var units = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40},
	{"B", 1}, {"", 1},
}

func (r *reader) bytes(dst *int64) field {
	return func(n ast.Node) {
		const want = "a size, such as 512MiB or 2GB"
		s, ok := r.scalar(n, want)
		if !ok {
			return
		}
		b, ok := parseBytes(s)
		if !ok {
			r.errorf(n, "%q: want %s", s, want)
			return
		}
		*dst = b
	}
}

// within reads a size that is from least to most.
func (r *reader) within(dst *int64, least, most int64) field {
	return func(n ast.Node) {
		var b int64
		before := r.count
		r.bytes(&b)(n)
		switch {
		case r.count > before:
		case b < least || b > most:
			r.errorf(n, "%d bytes: want %dKiB to %dMiB", b, least>>10, most>>20)
		default:
			*dst = b
		}
	}
}

func parseBytes(s string) (int64, bool) {
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil || !(f > 0 && f*float64(u.bytes) < 1<<60) {
				return 0, false
			}
			return int64(f * float64(u.bytes)), true
		}
	}
	return 0, false
}

// suggest names the key that was probably meant, or all.
func suggest(key string, fields map[string]field) string {
	if k := nearest(key, fields); k != "" {
		return fmt.Sprintf("; did you mean %q?", k)
	}
	return known(fields)
}

// nearest is the word of all that is most like the one given, or "" where none is.
func nearest[T any](word string, all map[string]T) (at string) {
	best := min(3, len(word)/2+1) // a short word is not far from many
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if d := distance(word, k); d < best {
			best, at = d, k
		}
	}
	return at
}

func listed(words []string) string { return strings.Join(words, ", ") }

func known(fields map[string]field) string {
	return "; known here are " + listed(slices.Sorted(maps.Keys(fields)))
}

// distance is how many letters must be changed, added or left out to make b of a,
// for short words; long ones are far from everything.
func distance(a, b string) int {
	if len(a) > 32 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
