package config

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/kinds"
)

// Limits of a file. The parser's time grows with the square of the depth, so depth
// is bounded through what can make it.
const (
	maxFile     = 64 << 10 // bytes
	maxLine     = 4096     // bytes
	maxBrackets = 1024     // openings of lists and mappings within lines
)

// Load reads the file at path. What is wrong with what it says is [Errors].
func Load(path string) (*File, error) { return LoadWith(path, nil) }

// LoadWith is Load with the defaults of a bundle, if there are any: what the file says wins, key by
// key.
func LoadWith(path string, d *Defaults) (*File, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return parse(path, data, d)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Parse reads data as [Load] does the file at path, which need not exist.
func Parse(path string, data []byte) (*File, error) { return parse(path, data, nil) }

func parse(path string, data []byte, d *Defaults) (*File, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a byte order mark, as editors of Windows write it
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if d == nil {
		d = builtin()
	}
	p := &parsing{reader: reader{name: path, lines: strings.Split(string(data), "\n")}, dir: filepath.Dir(abs), defaults: d}
	f := &File{Path: abs, WASM: WASMAuto, Budgets: Budgets{Celsius: defaultCelsius}, Memory: d.Memory, Bundled: d.Plugins}
	if p.bounded(data) {
		if body := p.body(data); body != nil {
			p.file(body, f)
		} else if p.count == 0 {
			p.add(1, 1, "the file says nothing: want scenes at least")
		}
	}
	if err := p.result(); err != nil {
		return nil, err
	}
	return f, nil
}

// parsing is one file being read.
type parsing struct {
	reader
	dir      string // that relative paths count from
	defaults *Defaults
}

// bounded refuses what is too large or too deep to be a configuration.
func (p *parsing) bounded(data []byte) bool {
	if len(data) > maxFile {
		p.add(1, 1, fmt.Sprintf("the file has more than %d KiB", maxFile>>10))
		return false
	}
	brackets := 0
	for i, l := range p.lines {
		brackets += strings.Count(l, "[") + strings.Count(l, "{")
		switch {
		case len(l) > maxLine:
			p.add(i+1, 1, fmt.Sprintf("the line has more than %d bytes", maxLine))
		case brackets > maxBrackets:
			p.add(i+1, 1, fmt.Sprintf("more than %d brackets", maxBrackets))
		case strings.ContainsRune(l, 0):
			p.add(i+1, 1, "this is no text")
		default:
			continue
		}
		return false
	}
	return true
}

// body returns the root of the only document; nil when there is none, or the errors say why not.
func (p *parsing) body(data []byte) ast.Node {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		e, ok := errors.AsType[*yaml.SyntaxError](err)
		if !ok || e.Token == nil {
			p.add(1, 1, err.Error())
			return nil
		}
		p.syntax(e)
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		switch {
		case d.Body == nil || d.Body.Type() == ast.NullType || d.Body.Type() == ast.CommentType:
		case body != nil:
			p.errorf(d.Body, "a second document: want one")
			return nil
		default:
			body = d.Body
		}
	}
	return body
}

func (p *parsing) file(n ast.Node, f *File) {
	var threads int64
	var log, scenes, plugins ast.Node
	p.object(n, "", map[string]field{
		"model":     p.path(&f.Model),
		"state_dir": p.path(&f.StateDir),
		"threads":   p.integer(&threads, 0, 1024),
		"cpus":      p.text(&f.CPUs),
		"socket":    func(n ast.Node) { p.socket(n, &f.Socket) },
		"budgets": func(n ast.Node) {
			p.object(n, "", map[string]field{
				"ram":            p.bytes(&f.Budgets.RAM),
				"disk":           p.bytes(&f.Budgets.Disk),
				"writes_per_day": p.bytes(&f.Budgets.WritesPerDay),
				"celsius":        p.number(&f.Budgets.Celsius, 0, 120),
			})
		},
		"memory": func(n ast.Node) { p.memory(n, &f.Memory) },
		"log": func(n ast.Node) {
			log = n
			p.object(n, "size", map[string]field{
				"size": p.bytes(&f.Log.Size),
				"age":  p.duration(&f.Log.Age, time.Hour, 100*365*24*time.Hour),
			})
		},
		"prompts": p.names(&f.Prompts),
		"outputs": func(n ast.Node) {
			p.list(n, func(n ast.Node) {
				var o Output
				before := p.count
				p.object(n, "jsonl", map[string]field{"jsonl": p.text(&o.JSONL)})
				switch {
				case p.count > before:
				case o.JSONL == "":
					p.errorf(n, "an output of no kind: want jsonl with a path, or with -")
				case o.JSONL != "-":
					o.JSONL = p.absolute(o.JSONL)
				}
				f.Outputs = append(f.Outputs, o)
			})
		},
		"plugins": func(n ast.Node) { plugins = n },
		"wasm":    p.choice(&f.WASM, WASMAuto, WASMCompiler, WASMInterpreter),
		"scenes":  func(n ast.Node) { scenes = n },
	})
	f.Threads = int(threads)
	p.kept(log, f)
	switch {
	case scenes != nil:
		p.scenes(scenes, f)
	case p.count == 0:
		p.errorf(n, "no scenes: want one at least")
	}
	if plugins != nil {
		p.plugins(plugins, f)
	}
}

// scenes reads the scenes once the prompts are known, which may stand behind them.
func (p *parsing) scenes(n ast.Node, f *File) {
	views := 0
	p.list(n, func(n ast.Node) {
		switch s, ok := p.scene(n, f.Prompts); {
		case !ok:
		case len(f.Scenes) == maxScenes:
			p.errorf(n, "more than %d scenes", maxScenes)
		case slices.ContainsFunc(f.Scenes, func(o Scene) bool { return o.Name == s.Name }):
			p.errorf(n, "a second scene is called %q", s.Name)
		case views+len(s.Views) > maxAllViews:
			p.errorf(n, "with the %d views of scene %s there are more than %d in all, disabled ones included", len(s.Views), s.Name, maxAllViews)
		default:
			f.Scenes = append(f.Scenes, s)
			views += len(s.Views)
		}
	})
	if len(f.Scenes) == 0 && p.count == 0 {
		p.errorf(n, "no scene")
	}
}

// kept checks the size of the log, which n is about, once the budgets are known.
func (p *parsing) kept(n ast.Node, f *File) {
	most, why := int64(mostLog), "the most there can be"
	if d := f.Budgets.Disk / 4; d > 0 && d < most {
		most, why = d, "a quarter of budgets.disk, as memories may have the rest"
	}
	switch s := f.Log.Size; {
	case s == 0:
	case s < leastLog:
		p.errorf(n, "a log of %d bytes: want 1MiB at least", s)
	case s > most:
		p.errorf(n, "a log of %d bytes: want no more than %d, %s", s, most, why)
	}
}

// speech adds the fields that say which questions captions answer: one of them may be
// given.
func (p *parsing) speech(fields map[string]field, prompts map[string]string, dst *[]Prompt) {
	language := func(n ast.Node) { p.language(n, prompts, dst) }
	given := ""
	for key, read := range map[string]field{
		"language": language,
		"languages": func(n ast.Node) {
			before := p.count
			if p.list(n, language); len(*dst) == 0 && p.count == before {
				p.errorf(n, "no language")
			}
		},
		"prompt": func(n ast.Node) {
			var q Prompt
			if p.text(&q.Question)(n); q.Question != "" {
				*dst = []Prompt{q}
			}
		},
	} {
		fields[key] = func(n ast.Node) {
			if given != "" {
				p.errorf(n, "%s besides %s: want one of language, languages and prompt", key, given)
				return
			}
			given = key
			read(n)
		}
	}
}

// language adds the prompt of a language.
func (p *parsing) language(n ast.Node, prompts map[string]string, dst *[]Prompt) {
	l, ok := p.scalar(n, "a language, one of prompts")
	if !ok || l == "" {
		return
	}
	question, known := prompts[l]
	switch {
	case len(l) > maxLanguage:
		p.errorf(n, "the name of a language has more than %d bytes", maxLanguage)
	case !known:
		p.errorf(n, "%q: prompts has no question in that language", l)
	case slices.ContainsFunc(*dst, func(o Prompt) bool { return o.Language == l }):
		p.errorf(n, "%q is there a second time", l)
	case len(*dst) == maxLanguages:
		p.errorf(n, "more than %d languages", maxLanguages)
	default:
		*dst = append(*dst, Prompt{l, question})
	}
}

func (p *parsing) socket(n ast.Node, s *Socket) {
	p.object(n, "path", map[string]field{
		"path": p.path(&s.Path),
		"mode": p.mode(&s.Mode),
		"roles": func(n ast.Node) {
			p.list(n, func(n ast.Node) {
				r := Role{UID: -1, GID: -1}
				p.object(n, "", map[string]field{
					"uid":  p.integer(&r.UID, 0, math.MaxUint32),
					"gid":  p.integer(&r.GID, 0, math.MaxUint32),
					"role": p.choice(&r.Role, "view", "ask", "admin"),
				})
				if (r.UID < 0) == (r.GID < 0) || r.Role == "" {
					p.errorf(n, "want uid or gid, and role")
				}
				s.Roles = append(s.Roles, r)
			})
		},
	})
}

// mode reads permissions as chmod takes them.
func (p *parsing) mode(dst *fs.FileMode) field {
	return func(n ast.Node) {
		const want = "permissions, such as 0660"
		s, ok := p.scalar(n, want)
		if !ok {
			return
		}
		m, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
		if err != nil || m > 0o777 || m&0o600 != 0o600 {
			p.errorf(n, "%q: want %s, in which the owner can read and write", s, want)
			return
		}
		*dst = fs.FileMode(m)
	}
}

func (p *parsing) memory(n ast.Node, m *Memory) {
	var window int64
	p.object(n, "mode", map[string]field{
		"mode":     p.choice(&m.Mode, Continuous, Window),
		"window":   p.integer(&window, 2, 1<<30),
		"snapshot": p.duration(&m.Snapshot, time.Second, 30*24*time.Hour),
	})
	switch {
	case m.Mode != Window && window > 0:
		p.errorf(n, "window is for the mode %s", Window)
	case m.Mode != Window:
		m.Window = 0
	case window > 0:
		m.Window = int(window)
	case m.Window == 0:
		m.Window = defaultWindow
	}
}

func (p *parsing) scene(n ast.Node, prompts map[string]string) (s Scene, ok bool) {
	s = p.defaults.Scene
	s.Prompts = nil
	before := p.count
	var names []string
	fields := p.habits(&s)
	maps.Copy(fields, map[string]field{
		"name": p.word(&s.Name),
		"views": func(n ast.Node) {
			p.list(n, func(n ast.Node) {
				v, ok := p.view(n)
				switch {
				case !ok:
					return
				case len(names) == maxViews:
					p.errorf(n, "more than %d views", maxViews)
				case slices.Contains(names, v.Name):
					p.errorf(n, "a second view is called %q", v.Name)
				default:
					s.Views = append(s.Views, v)
				}
				names = append(names, v.Name)
			})
		},
	})
	p.speech(fields, prompts, &s.Prompts)
	p.object(n, "name", fields)
	if len(s.Prompts) == 0 {
		s.Prompts = slices.Clone(p.defaults.Scene.Prompts)
	}
	if p.count == before {
		switch {
		case s.Name == "":
			p.errorf(n, "a scene needs a name")
		case len(s.Views) == 0:
			p.errorf(n, "scene %s has no views", s.Name)
		case s.Enabled() == 0:
			p.errorf(n, "scene %s: all of its views are disabled", s.Name)
		}
	}
	return s, p.count == before
}

func (p *parsing) view(n ast.Node) (v View, ok bool) {
	enabled := true
	before := p.count
	var source ast.Node
	p.object(n, "source", map[string]field{
		"name":    p.word(&v.Name),
		"source":  func(n ast.Node) { source = n; p.text(&v.Source)(n) },
		"size":    p.size(&v.Width, &v.Height),
		"rate":    p.number(&v.Rate, 0, 1000),
		"enabled": p.boolean(&enabled),
		"region":  p.area(&v.Region),
		"masks": func(n ast.Node) {
			p.list(n, func(n ast.Node) {
				var a camera.Area
				p.area(&a)(n)
				v.Masks = append(v.Masks, a)
			})
			if len(v.Masks) > maxMasks {
				p.errorf(n, "more than %d masks", maxMasks)
			}
		},
		"controls":     func(n ast.Node) { p.controls(n, &v) },
		"frozen_after": p.duration(&v.FrozenAfter, time.Second, 24*time.Hour),
	})
	if p.count == before {
		switch {
		case v.Name == "":
			p.errorf(n, "a view needs a name")
		case v.Source == "":
			p.errorf(n, "view %s needs a source", v.Name)
		default:
			p.source(source, &v)
		}
	}
	v.Disabled = !enabled
	return v, p.count == before
}

// source checks how a source is written, and makes its path absolute.
func (p *parsing) source(n ast.Node, v *View) {
	for _, kind := range []string{"dir:", "file:"} {
		if path, ok := strings.CutPrefix(v.Source, kind); ok && path != "" {
			v.Source = kind + p.absolute(path)
		}
	}
	var all kinds.Set
	o := v.Options(func([]byte) (image.Image, error) { return nil, nil })
	_, err := all.Open(v.Source, o)
	kind, rest, _ := strings.Cut(v.Source, ":")
	switch {
	case err == nil:
	case strings.HasPrefix(v.Source, "/dev/"):
		p.errorf(n, "%v; did you mean %q?", err, "v4l2:"+v.Source)
	case strings.HasPrefix(v.Source, "/"):
		p.errorf(n, "%v; a path has file: or dir: before it", err)
	case o.Kinds[kind] == nil && nearest(kind, o.Kinds) != "":
		p.errorf(n, "%v; did you mean %q?", err, camera.Redact(nearest(kind, o.Kinds)+":"+rest))
	default:
		p.errorf(n, "%v", err)
	}
}

// Options returns what the view wishes of its camera.
func (v *View) Options(decode func([]byte) (image.Image, error)) *camera.Options {
	return &camera.Options{Width: v.Width, Height: v.Height, Rate: v.Rate, Controls: v.Controls, Repeats: v.FrozenAfter, Decode: decode}
}

func (p *parsing) size(w, h *int) field {
	return func(n ast.Node) {
		const want = "a size, such as 640x480"
		s, ok := p.scalar(n, want)
		if !ok {
			return
		}
		a, b, _ := strings.Cut(s, "x")
		x, err1 := strconv.Atoi(a)
		y, err2 := strconv.Atoi(b)
		if err1 != nil || err2 != nil || x < 16 || y < 16 || x > maxSide || y > maxSide {
			p.errorf(n, "%q: want %s, 16 to %d each", s, want, maxSide)
			return
		}
		*w, *h = x, y
	}
}

func (p *parsing) area(dst *camera.Area) field {
	return func(n ast.Node) {
		const want = "[left, top, right, bottom], each from 0 to 1"
		s, ok := n.(*ast.SequenceNode)
		if !ok || len(s.Values) != len(dst) {
			p.wanted(n, want)
			return
		}
		var a camera.Area
		before := p.count
		for i, v := range s.Values {
			p.number(&a[i], 0, 1)(v)
		}
		if p.count > before {
			return
		}
		if a[0] >= a[2] || a[1] >= a[3] {
			p.errorf(n, "an area of nothing: want %s", want)
			return
		}
		*dst = a
	}
}

func (p *parsing) controls(n ast.Node, v *View) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		p.wanted(n, "names of controls with numbers")
		return
	}
	v.Controls = map[string]int32{}
	for _, pair := range m.Values {
		var value int64
		p.integer(&value, math.MinInt32, math.MaxInt32)(pair.Value)
		v.Controls[pair.Key.GetToken().Value] = int32(value)
	}
}

// path reads a path.
func (p *parsing) path(dst *string) field {
	return func(n ast.Node) {
		s, ok := p.scalar(n, "a path")
		switch {
		case !ok:
		case strings.ContainsRune(s, 0):
			p.errorf(n, "a path cannot hold a zero byte")
		case s != "":
			*dst = p.absolute(s)
		}
	}
}

func (p *parsing) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(p.dir, path)
}
