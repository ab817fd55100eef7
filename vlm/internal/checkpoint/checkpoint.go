package checkpoint

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// Checkpoint is a model that is published as one or more files.
type Checkpoint struct {
	Weights []Weight
	Meta    weights.Meta

	// Towers are the kinds of vision towers that came in files of their own.
	Towers []string
	// GGML is whether the language model is llama.cpp's.
	GGML bool
	// Unread are the tensors of such files, and of llama.cpp's, that have no place in a
	// model, by file.
	Unread []Unread
	// Lacks says of a model's tensor that could not be made what it lacks.
	Lacks map[string]string
}

// Unread are the names of a file's tensors that nothing reads, and of those that are read.
type Unread struct {
	File         string
	Unread, Read []string
}

// ErrUnknown is wrapped by errors about files that are of no known kind.
var ErrUnknown = fmt.Errorf("not a known checkpoint: %w", weights.ErrFormat)

// Read puts a model together from files that were opened each by itself. Tensors need not be
// complete or of the right shapes, but a name may occur only once.
func Read(files []*weights.File) (*Checkpoint, error) {
	c := &Checkpoint{Lacks: map[string]string{}}
	where := map[string]string{}
	for _, f := range files {
		m := &mapper{c: c, file: f.Files()[0], tensors: list(f), used: map[string]bool{}}
		md := f.Meta()
		var err error
		if arch, _ := md.Str("general.architecture"); f.Format() == "gguf" && arch == "rwkv6" {
			c.GGML = true
			md, err = m.ggml(md)
		} else if t := m.recognise(); t != nil {
			if slices.Contains(c.Towers, t.kind) {
				return nil, fmt.Errorf("%s: a second %s tower: %w", m.file, t.kind, ErrUnknown)
			}
			c.Towers = append(c.Towers, t.kind)
			m.tower(t)
			md = nil // is not about the model
		} else {
			err = m.authors(f)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.file, err)
		}
		for _, w := range m.made {
			if first, ok := where[w.Name]; ok {
				return nil, fmt.Errorf("%s: tensor %s is in %s too: %w", m.file, w.Name, first, weights.ErrFormat)
			}
			where[w.Name] = m.file
		}
		c.Weights = append(c.Weights, m.made...)
		for _, kv := range md {
			if !c.Meta.Has(kv.Key) {
				c.Meta = append(c.Meta, kv)
			}
		}
	}
	return c, nil
}

// mapper makes weights of one file's tensors.
type mapper struct {
	c       *Checkpoint
	file    string
	tensors map[string]tensors.Weight
	used    map[string]bool
	made    []Weight
}

// authors takes tensors that have their names already.
func (m *mapper) authors(f *weights.File) error {
	known := false
	for _, t := range tensors.List(f) {
		m.made = append(m.made, same(t.Name, t.Shape, t))
		for _, p := range []string{"rwkv.", "state_encoder.", "proj.", "vit."} {
			known = known || strings.HasPrefix(t.Name, p)
		}
	}
	if known {
		return nil
	}
	if arch, err := f.Meta().Str("general.architecture"); err == nil && f.Format() == "gguf" {
		return fmt.Errorf("architecture is %.64q, want visualrwkv or rwkv6: %w", arch, ErrUnknown)
	}
	var some []string
	for _, w := range m.made[:min(3, len(m.made))] {
		some = append(some, fmt.Sprintf("%.64q", w.Name))
	}
	return fmt.Errorf("tensors such as %s are those of no VisualRWKV model and of no vision tower that is known: %w", strings.Join(some, ", "), ErrUnknown)
}

// need returns a tensor of the file. What cannot be made without it is noted as lacking.
func (m *mapper) need(target, name string) (tensors.Weight, bool) {
	t, ok := m.tensors[name]
	if !ok {
		m.lack(target, "%s has no tensor %s", filepath.Base(m.file), name)
		return t, false
	}
	m.used[name] = true
	return t, true
}

func (m *mapper) lack(target, format string, args ...any) {
	m.c.Lacks[target] = fmt.Sprintf(format, args...)
}

// put adds a weight, or notes what is wrong with it.
func (m *mapper) put(target string, w Weight, err error) {
	if err != nil {
		m.lack(target, "%s: %v", filepath.Base(m.file), err)
		return
	}
	m.made = append(m.made, w)
}

// rename makes target of a tensor of another name; a shape with one -1 is filled in.
func (m *mapper) rename(target, name string, shape ...int) {
	t, ok := m.need(target, name)
	if !ok {
		return
	}
	if shape = fill(shape, t.Len()); shape == nil {
		shape = t.Shape
	}
	m.made = append(m.made, same(target, shape, t))
}

// fill replaces the -1 in shape so that it has n values; nil if that cannot be.
func fill(shape []int, n int) []int {
	rest := 1
	for _, d := range shape {
		if d > 0 {
			rest *= d
		}
	}
	if len(shape) == 0 || n%rest != 0 || !slices.Contains(shape, -1) && n != rest {
		return nil
	}
	out := slices.Clone(shape)
	for i, d := range out {
		if d < 0 {
			out[i] = n / rest
		}
	}
	return out
}

// finish notes what was not used.
func (m *mapper) finish() {
	u := Unread{File: m.file}
	for _, name := range slices.Sorted(maps.Keys(m.tensors)) {
		if m.used[name] {
			u.Read = append(u.Read, name)
		} else {
			u.Unread = append(u.Unread, name)
		}
	}
	if len(u.Unread) > 0 {
		m.c.Unread = append(m.c.Unread, u)
	}
}
