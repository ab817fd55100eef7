package config

import (
	"image"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/camera/kinds"
)

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
