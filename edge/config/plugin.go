package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/visualrwkv/edged/fw"
)

// Bounds of what a plugin may be allowed.
const (
	leastPlugin = 64 << 10 // bytes of memory, a page of WASM
	mostPlugin  = 256 << 20
	leastCall   = time.Millisecond
	mostCall    = 10 * time.Second
	leastRate   = 0.1 // pictures a second
	mostRate    = 30
)

// plugins reads the plugins once the scenes are known, which may stand behind them.
func (p *parsing) plugins(n ast.Node, f *File) {
	running := 0
	p.list(n, func(n ast.Node) {
		switch g, ok := p.plugin(n, f.Scenes); {
		case !ok:
		case len(f.Plugins) == maxPlugins:
			p.errorf(n, "more than %d plugins", maxPlugins)
		case g.Bundle != "" && slices.ContainsFunc(f.Plugins, func(o Plugin) bool { return o.Bundle == g.Bundle }):
			p.errorf(n, "%s of the bundle is there a second time", g.Bundle)
		default:
			f.Plugins = append(f.Plugins, g)
			if running += g.Runs(len(f.Scenes)); running > MaxRunning {
				p.errorf(n, "more than %d plugins that run, each counted in every scene", MaxRunning)
			}
		}
	})
}

// Runs is in how many of all scenes it does.
func (g *Plugin) Runs(scenes int) int {
	switch {
	case g.Off:
		return 0
	case len(g.Scenes) > 0:
		return len(g.Scenes)
	}
	return scenes
}

// RunsIn reports whether the plugin runs in a scene.
func (g *Plugin) RunsIn(scene string) bool {
	return !g.Off && (len(g.Scenes) == 0 || slices.Contains(g.Scenes, scene))
}

func (p *parsing) plugin(n ast.Node, scenes []Scene) (g Plugin, ok bool) {
	before := p.count
	allowed := false
	fields := p.running(&g)
	fields["file"] = p.path(&g.File)
	fields["bundle"] = p.word(&g.Bundle)
	fields["off"] = p.boolean(&g.Off)
	fields["scenes"] = func(n ast.Node) {
		p.list(n, func(n ast.Node) { p.sceneOf(n, scenes, &g.Scenes) })
		if len(g.Scenes) == 0 && p.count == before {
			p.errorf(n, "no scene")
		}
	}
	fields["allow"] = func(n ast.Node) {
		allowed = true
		p.list(n, func(n ast.Node) {
			var may string
			p.choice(&may, fw.Permissions...)(n)
			if slices.Contains(g.Allow, may) {
				p.errorf(n, "%s is there a second time", may)
			}
			g.Allow = append(g.Allow, may)
		})
	}
	p.object(n, "file", fields)
	if p.count == before {
		switch {
		case (g.File == "") == (g.Bundle == ""):
			p.errorf(n, "want file, or bundle for a plugin of the bundle that is installed")
		case g.File != "" && g.Off:
			p.errorf(n, "off is for plugins of a bundle: leave the file out instead")
		case g.File != "" && len(g.Allow) == 0:
			p.errorf(n, "a file needs allow: what it may do, of %s", listed(fw.Permissions))
		case g.File != "" && g.Width > 0 && !slices.Contains(g.Allow, "pixels"):
			p.errorf(n, "size is for plugins that are allowed pixels; others have previews")
		case g.Bundle != "" && allowed:
			p.errorf(n, "allow is for files: what a bundle's plugin may do is in the bundle")
		}
	}
	if d := find(p.defaults.Plugins, g.Bundle); d != nil {
		g.inherit(d)
	}
	return g, p.count == before
}

// running are the fields that say how a plugin runs, wherever it does.
func (p *parsing) running(g *Plugin) map[string]field {
	return map[string]field{
		"config":     p.json(&g.Config),
		"memory":     p.within(&g.Memory, leastPlugin, mostPlugin),
		"call_limit": p.duration(&g.CallLimit, leastCall, mostCall),
		"rate":       p.number(&g.Rate, leastRate, mostRate),
		"size":       p.size(&g.Width, &g.Height),
		"on_failure": p.choice(&g.OnFailure, OnFailurePass, OnFailureBlock),
	}
}

// inherit takes from d how the plugin runs where that is not said of g.
func (g *Plugin) inherit(d *Plugin) {
	if g.Config == nil {
		g.Config = d.Config
	}
	if g.Width == 0 {
		g.Width, g.Height = d.Width, d.Height
	}
	g.Memory, g.CallLimit = cmp.Or(g.Memory, d.Memory), cmp.Or(g.CallLimit, d.CallLimit)
	g.Rate, g.OnFailure = cmp.Or(g.Rate, d.Rate), cmp.Or(g.OnFailure, d.OnFailure)
}

// sceneOf adds the name of a scene that there is.
func (p *parsing) sceneOf(n ast.Node, scenes []Scene, dst *[]string) {
	var name string
	before := p.count
	p.word(&name)(n)
	switch {
	case p.count > before:
	case slices.Contains(*dst, name):
		p.errorf(n, "scene %s is there a second time", name)
	case !slices.ContainsFunc(scenes, func(s Scene) bool { return s.Name == name }):
		if len(scenes) > 0 { // else what is wrong is there
			p.errorf(n, "no scene is called %q", name)
		}
	default:
		*dst = append(*dst, name)
	}
}

// json reads any value as JSON, for whoever else understands it.
func (r *reader) json(dst *json.RawMessage) field {
	return func(n ast.Node) {
		var b bytes.Buffer
		before := r.count
		r.encode(&b, n)
		if r.count == before {
			*dst = b.Bytes()
		}
	}
}

func (r *reader) encode(b *bytes.Buffer, n ast.Node) {
	switch v := n.(type) {
	case *ast.NullNode:
		b.WriteString("null")
	case *ast.BoolNode:
		r.marshal(b, n, v.Value)
	case *ast.IntegerNode:
		r.marshal(b, n, v.Value)
	case *ast.FloatNode:
		if math.IsInf(v.Value, 0) {
			r.errorf(n, "a number that is too large")
			return
		}
		r.marshal(b, n, v.Value)
	case *ast.StringNode:
		r.marshal(b, n, v.Value)
	case *ast.LiteralNode:
		r.marshal(b, n, v.Value.Value)
	case *ast.SequenceNode:
		b.WriteByte('[')
		for i, item := range v.Values {
			if i > 0 {
				b.WriteByte(',')
			}
			r.encode(b, item)
		}
		b.WriteByte(']')
	case *ast.MappingNode:
		r.encodeObject(b, v.Values)
	case *ast.MappingValueNode:
		r.encodeObject(b, []*ast.MappingValueNode{v})
	default:
		r.wanted(n, "a text, a number, true, false, a list or keys with values")
	}
}

func (r *reader) encodeObject(b *bytes.Buffer, pairs []*ast.MappingValueNode) {
	b.WriteByte('{')
	for i, p := range pairs {
		key, ok := p.Key.(*ast.StringNode)
		if !ok {
			r.errorf(p.Key, "a key must be a plain word")
			return
		}
		if i > 0 {
			b.WriteByte(',')
		}
		r.marshal(b, key, key.Value)
		b.WriteByte(':')
		r.encode(b, p.Value)
	}
	b.WriteByte('}')
}

func (r *reader) marshal(b *bytes.Buffer, n ast.Node, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		r.errorf(n, "%v", err)
	}
	b.Write(data)
}
