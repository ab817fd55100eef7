package edge

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/visualrwkv/edged/internal/procmem"
	"github.com/visualrwkv/edged/wire"
)

var _ wire.Handler = (*Daemon)(nil)

// Welcome implements [wire.Handler].
func (d *Daemon) Welcome(context.Context, *wire.Hello) (*wire.Welcome, error) {
	return &wire.Welcome{
		Server: "edged", Version: d.cfg.Version, Model: d.engine().name, Scenes: d.names(), Log: d.hub.journal != nil,
	}, nil
}

// Status implements [wire.Handler].
func (d *Daemon) Status(context.Context) (*wire.Status, error) {
	e := d.engine()
	st := &wire.Status{
		Version: d.cfg.Version, Model: e.name, Backend: e.backend,
		Time: time.Now().UnixMilli(), UptimeMS: ms(d.uptime()),
		RSSBytes: procmem.Resident(), StateBytes: d.Stats().Memory,
		Goroutines: int64(runtime.NumGoroutine()), Asking: d.answers.waiting.Load(), Log: d.logStatus(),
	}
	if d.cfg.Problems != nil {
		st.Problems = d.cfg.Problems()
	}
	if d.cfg.Bundle != nil {
		st.Bundle = d.cfg.Bundle()
	}
	st.Duty = 1
	if d.cfg.Thermal != nil {
		t := d.cfg.Thermal.State()
		st.Zone, st.Celsius, st.Duty = t.Zone, t.Celsius, t.Duty
	}
	for _, s := range d.all() {
		st.Scenes = append(st.Scenes, s.report())
		st.Plugins = append(st.Plugins, s.pluginStatus()...)
	}
	return st, nil
}

// Scenes implements [wire.Handler].
func (d *Daemon) Scenes(context.Context) (*wire.Scenes, error) {
	r := new(wire.Scenes)
	for _, s := range d.all() {
		r.Scenes = append(r.Scenes, wire.SceneInfo{Name: s.cfg.Name, Views: s.names, Langs: s.langs()})
	}
	return r, nil
}

// Watch implements [wire.Handler].
func (d *Daemon) Watch(ctx context.Context, w *wire.Watch, emit func(*wire.Event) error) error {
	if w.Scene != "" {
		if _, err := d.find(w.Scene); err != nil {
			return err
		}
	}
	if err := d.checkLanguage(w); err != nil {
		return err
	}
	return d.hub.watch(ctx, w, emit)
}

// checkLanguage refuses a watch for captions in a language in which there will be none.
func (d *Daemon) checkLanguage(w *wire.Watch) error {
	if w.Lang == "" {
		return nil
	}
	var known []string
	for _, s := range d.all() {
		for _, p := range s.prompts() {
			switch {
			case w.Scene != "" && w.Scene != s.cfg.Name || p.Language == "":
			case p.Language == w.Lang:
				return nil
			default:
				known = append(known, strconv.Quote(p.Language))
			}
		}
	}
	if len(known) == 0 {
		return wire.Errorf(wire.CodeRequest, "no captions in %q: the configuration gives no language", w.Lang)
	}
	slices.Sort(known)
	return wire.Errorf(wire.CodeRequest, "no captions in %q; there are some in %s", w.Lang, strings.Join(slices.Compact(known), ", "))
}

// Snapshots implements [wire.Handler].
func (d *Daemon) Snapshots(_ context.Context, g *wire.GetSnapshots) (*wire.Snapshots, error) {
	s, err := d.find(g.Scene)
	if err != nil {
		return nil, err
	}
	return &wire.Snapshots{Scene: s.cfg.Name, Snapshots: s.snapshots()}, nil
}

// Admin implements [wire.Handler].
func (d *Daemon) Admin(_ context.Context, a *wire.Admin) error {
	switch a.Action {
	case wire.ActionReload:
		if d.cfg.Reload == nil {
			return wire.Errorf(wire.CodeMissing, "this edged has no configuration to read again")
		}
		if err := d.cfg.Reload(); err != nil {
			return wire.Errorf(wire.CodeRequest, "%v", err)
		}
		return nil
	case wire.ActionPause, wire.ActionResume:
		return d.pause(a.Scene, a.Action == wire.ActionPause)
	case wire.ActionForget:
		s, err := d.find(a.Scene)
		if err != nil {
			return err
		}
		return s.forgetAll()
	}
	return wire.Errorf(wire.CodeRequest, "no action %q", a.Action)
}

// pause makes a scene, or all, look no more, or look again.
func (d *Daemon) pause(name string, paused bool) error {
	scenes := d.all()
	if name != "" {
		s, err := d.find(name)
		if err != nil {
			return err
		}
		scenes = []*scene{s}
	}
	for _, s := range scenes {
		s.setPaused(paused)
	}
	return nil
}

// Ask implements [wire.Handler].
func (d *Daemon) Ask(ctx context.Context, a *wire.Ask, piece func(string) error) (*wire.Answer, error) {
	s, err := d.find(a.Scene)
	if err != nil {
		return nil, err
	}
	q := &question{scene: s, text: strings.TrimSpace(a.Question), prompt: s.prompts()[0].Question, at: a.At, diff: a.Diff}
	if q.text == "" {
		return nil, wire.Errorf(wire.CodeRequest, "the question is empty")
	}
	if a.Since != 0 {
		if q.span, err = d.asksSpan(s, a, q.text); err != nil {
			return nil, err
		}
	}
	r, err := d.answers.ask(ctx, q, piece)
	if err != nil {
		return nil, err
	}
	if r.Change != nil {
		err = d.between(ctx, s.prompts()[0].Language, r)
	}
	return r, err
}

func (d *Daemon) names() []string {
	names := []string{}
	for _, s := range d.all() {
		names = append(names, s.cfg.Name)
	}
	return names
}

// find returns the scene of this name; of no name, the only one.
func (d *Daemon) find(name string) (*scene, error) {
	all := d.all()
	for _, s := range all {
		if s.cfg.Name == name || name == "" && len(all) == 1 {
			return s, nil
		}
	}
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = strconv.Quote(s.cfg.Name)
	}
	switch list := strings.Join(quoted, ", "); {
	case len(all) == 0:
		return nil, wire.Errorf(wire.CodeScene, "no scene is being watched")
	case name == "":
		return nil, wire.Errorf(wire.CodeScene, "which scene? There are %s", list)
	case len(all) == 1:
		return nil, wire.Errorf(wire.CodeScene, "no scene %q; there is %s", name, list)
	default:
		return nil, wire.Errorf(wire.CodeScene, "no scene %q; there are %s", name, list)
	}
}
