package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Defaults are what holds where a device's own configuration does not say: edged's, or those that a
// bundle brings (docs/bundle.md).
type Defaults struct {
	Memory  Memory
	Scene   Scene    // of every scene: all but Name and Views
	Plugins []Plugin // of the bundle, by Bundle: how they run, not where
}

func builtin() *Defaults {
	return &Defaults{
		Memory: Memory{Mode: Continuous, Snapshot: defaultSnapshot},
		Scene:  Scene{Interval: defaultInterval, MaxSkew: defaultMaxSkew, MaxWait: defaultMaxWait, Gate: Gate{State: -1, Idle: DefaultIdle}},
	}
}

// LoadDefaults reads the defaults of a bundle from a file.
func LoadDefaults(path string) (*Defaults, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return ParseDefaults(path, data)
}

// ParseDefaults reads data as [LoadDefaults] does the file at path, which need not exist. It may say
// little: what must be the device's own to say is an error.
func ParseDefaults(path string, data []byte) (*Defaults, error) {
	d := builtin()
	p := &parsing{reader: reader{name: path, lines: strings.Split(string(data), "\n")}, dir: filepath.Dir(path), defaults: builtin()}
	if p.bounded(data) {
		if body := p.body(data); body != nil {
			p.bundled(body, d)
		}
	}
	if err := p.result(); err != nil {
		return nil, err
	}
	return d, nil
}

func (p *parsing) bundled(n ast.Node, d *Defaults) {
	var prompts map[string]string
	var scenes ast.Node
	p.object(n, "", map[string]field{
		"plugins": func(n ast.Node) { p.bundledPlugins(n, d) },
		"memory":  func(n ast.Node) { p.memory(n, &d.Memory) },
		"prompts": p.names(&prompts),
		"scenes":  func(n ast.Node) { scenes = n },
	})
	if scenes == nil {
		return
	}
	fields := p.habits(&d.Scene)
	p.speech(fields, prompts, &d.Scene.Prompts)
	p.object(scenes, "interval", fields)
}

// bundledPlugins reads how the bundle's own plugins run.
func (p *parsing) bundledPlugins(n ast.Node, d *Defaults) {
	p.list(n, func(n ast.Node) {
		var g Plugin
		before := p.count
		fields := p.running(&g)
		fields["bundle"] = p.word(&g.Bundle)
		p.object(n, "bundle", fields)
		switch {
		case p.count > before:
		case g.Bundle == "":
			p.errorf(n, "want bundle: which of its plugins")
		case len(d.Plugins) == maxPlugins:
			p.errorf(n, "more than %d plugins", maxPlugins)
		case find(d.Plugins, g.Bundle) != nil:
			p.errorf(n, "%s of the bundle is there a second time", g.Bundle)
		default:
			d.Plugins = append(d.Plugins, g)
		}
	})
}

// find returns what is said of a plugin of a bundle, nil: nothing.
func find(all []Plugin, bundle string) *Plugin {
	if i := slices.IndexFunc(all, func(g Plugin) bool { return g.Bundle == bundle }); i >= 0 {
		return &all[i]
	}
	return nil
}

// Of returns how a plugin of a bundle runs that the configuration does not name, which is in all scenes.
func (f *File) Of(bundle string) Plugin {
	if g := find(f.Bundled, bundle); g != nil {
		return *g
	}
	return Plugin{Bundle: bundle}
}

// habits are the fields of a scene that are not its own alone.
func (p *parsing) habits(s *Scene) map[string]field {
	return map[string]field{
		"interval":         p.duration(&s.Interval, 0, 24*time.Hour),
		"caption_interval": p.duration(&s.CaptionInterval, 0, 24*time.Hour),
		"max_skew":         p.duration(&s.MaxSkew, 0, time.Hour),
		"max_wait":         p.duration(&s.MaxWait, time.Millisecond, time.Hour),
		"gate": func(n ast.Node) {
			p.object(n, "pixels", map[string]field{
				"pixels": p.number(&s.Gate.Pixels, -1, 255),
				"state":  p.number(&s.Gate.State, 0, 10),
				"idle":   p.duration(&s.Gate.Idle, 0, 24*time.Hour),
			})
		},
	}
}

// Differences lists what f, the configuration own read with the defaults of a bundle, has from these, a line
// each.
func (f *File) Differences(own *File) (lines []string) {
	theirs := own.habits()
	for i, h := range f.habits() {
		if h != theirs[i] {
			lines = append(lines, h)
		}
	}
	for _, d := range f.Bundled {
		is, was := &d, new(Plugin)
		if g := find(f.Plugins, d.Bundle); g != nil {
			is, was = g, find(own.Plugins, d.Bundle)
		}
		theirs := was.habits()
		for i, h := range is.habits() {
			if h != theirs[i] {
				lines = append(lines, "plugin "+d.Bundle+": "+h)
			}
		}
	}
	return lines
}

// habits lists what defaults can say of a plugin.
func (g *Plugin) habits() []string {
	return []string{
		fmt.Sprintf("config: %s", g.Config), fmt.Sprint("memory: ", g.Memory), fmt.Sprint("call_limit: ", g.CallLimit), fmt.Sprint("rate: ", g.Rate),
		fmt.Sprintf("size: %dx%d", g.Width, g.Height), "on_failure: " + g.OnFailure,
	}
}

// habits lists everything that defaults can say, in the words of the configuration.
func (f *File) habits() (all []string) {
	all = append(all, "memory.mode: "+f.Memory.Mode, fmt.Sprint("memory.window: ", f.Memory.Window), fmt.Sprint("memory.snapshot: ", f.Memory.Snapshot))
	for _, s := range f.Scenes {
		add := func(key string, value any) { all = append(all, fmt.Sprintf("scene %s: %s: %v", s.Name, key, value)) }
		add("interval", s.Interval)
		add("caption_interval", s.CaptionInterval)
		add("max_skew", s.MaxSkew)
		add("max_wait", s.MaxWait)
		add("gate.pixels", s.Gate.Pixels)
		add("gate.state", s.Gate.State)
		add("gate.idle", s.Gate.Idle)
		var asks []string
		for _, p := range s.Prompts {
			asks = append(asks, strings.TrimPrefix(p.Language+": "+p.Question, ": "))
		}
		add("prompts", strings.Join(asks, "; "))
	}
	return all
}
