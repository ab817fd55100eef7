package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/fw/plugin"
)

// wasmFolder is where below the state folder compiled plugins are kept.
const wasmFolder = "wasm"

// maxModule is one byte more than a module may have, which [plugin.Engine.Compile] refuses.
const maxModule = 16<<20 + 1

// pluginSpec is a plugin that is to run: of the bundle, or of the configuration.
type pluginSpec struct {
	name        string // for people
	path        string
	permissions []string
	config.Plugin
}

// bundledPlugins are those that a bundle brings, whose files are at path. They run in all scenes.
func bundledPlugins(m *fw.Manifest, path func(*fw.File) string) (all []pluginSpec) {
	for _, f := range m.Find(fw.RolePlugin) {
		all = append(all, pluginSpec{pluginName(f.Name), path(f), f.Permissions, config.Plugin{Bundle: f.Name}})
	}
	return all
}

func pluginName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".wasm") }

// specs puts the plugins of a bundle that the configuration does not name before those that it
// does. absent are those that it names and the bundle does not have, as when another one was installed; of these one
// without which nothing may pass is among all, without a path.
func specs(f *config.File, bundle []pluginSpec) (all []pluginSpec, absent []string) {
	for _, b := range bundle {
		if !slices.ContainsFunc(f.Plugins, func(p config.Plugin) bool { return p.Bundle == b.Bundle }) {
			b.Plugin = f.Of(b.Bundle)
			all = append(all, b)
		}
	}
	for _, p := range f.Plugins {
		if p.Bundle == "" {
			all = append(all, pluginSpec{pluginName(p.File), p.File, p.Allow, p})
			continue
		}
		at := slices.IndexFunc(bundle, func(b pluginSpec) bool { return b.Bundle == p.Bundle })
		if at < 0 {
			absent = append(absent, p.Bundle)
			if p.OnFailure == config.OnFailureBlock {
				all = append(all, pluginSpec{name: pluginName(p.Bundle), Plugin: p})
			}
			continue
		}
		b := bundle[at]
		b.Plugin = p
		all = append(all, b)
	}
	return all, absent
}

// loadedPlugin is a plugin as it is handed to scenes.
type loadedPlugin struct {
	spec pluginSpec
	edge.Plugin
}

// pluginSet are the plugins that run, in their order.
type pluginSet []loadedPlugin

// of returns those of a scene.
func (s pluginSet) of(scene string) (all []edge.Plugin) {
	for _, p := range s {
		if p.spec.RunsIn(scene) {
			all = append(all, p.Plugin)
		}
	}
	return all
}

// err says what keeps plugins from running; with ofBundle alone, those that a bundle has brought. What a bundle did
// not bring is no error: the binary brings none.
func (s pluginSet) err(ofBundle bool) error {
	var errs []error
	for _, p := range s {
		if p.Missing != "" && p.spec.path != "" && (!ofBundle || p.spec.Bundle != "") {
			errs = append(errs, errors.New(p.Missing))
		}
	}
	return errors.Join(errs...)
}

// bytes is how much memory plugins may take in the scenes of f: theirs, and of each scene the
// picture that they are shown.
func (s pluginSet) bytes(f *config.File) (n int64) {
	modules := map[*plugin.Module]bool{}
	for _, scene := range f.Scenes {
		largest := 0
		for _, v := range scene.Views {
			w, h := pictureSize(v)
			largest = max(largest, w*h)
		}
		for i, p := range s.of(scene.Name) {
			if p.Module == nil {
				continue
			}
			if n += p.Module.InstanceBytes(p.Memory); i == 0 {
				n += 3 * int64(largest)
			}
			if !modules[p.Module] {
				modules[p.Module] = true
				n += p.Module.CodeBytes()
			}
		}
	}
	return n
}

// pluginHost compiles plugins, each once as long as it is in use.
type pluginHost struct {
	config plugin.EngineConfig
	log    *runLog // nil: nobody is told how they run

	mu      sync.Mutex
	engine  *plugin.Engine // nil until there is a plugin
	modules map[[sha256.Size]byte]*plugin.Module
}

// newPluginHost keeps compiled plugins in the state folder; empty: nowhere.
func newPluginHost(mode, state string, log *runLog) *pluginHost {
	h := &pluginHost{config: plugin.EngineConfig{Mode: mode}, log: log, modules: map[[sha256.Size]byte]*plugin.Module{}}
	if state != "" {
		h.config.CacheDir = filepath.Join(state, wasmFolder)
	}
	return h
}

// load compiles the plugins of a configuration and of a bundle. Those that cannot run are in the set
// all the same, with the reason, see [pluginSet.err]: captions matter more.
func (h *pluginHost) load(ctx context.Context, f *config.File, bundle []pluginSpec) (set pluginSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all, absent := specs(f, bundle)
	if len(absent) > 0 && h.log != nil {
		h.log.printf("plugins: %s of the configuration: what runs has brought no such plugin", strings.Join(absent, ", "))
	}
	running := 0
	for _, s := range all {
		p := loadedPlugin{s, edge.Plugin{Rate: s.Rate, Options: plugin.Options{
			Name: s.name, Permissions: s.permissions, Config: s.Config, Memory: s.Memory, CallLimit: s.CallLimit, OnFailure: s.OnFailure,
			Width: s.Width, Height: s.Height,
		}}}
		n := s.Runs(len(f.Scenes))
		if n == 0 {
			continue
		}
		var err error
		switch running += n; {
		case running > config.MaxRunning:
			err = fmt.Errorf("plugin %s: more than %d plugins run, each counted in every scene", s.name, config.MaxRunning)
		case s.path == "":
			err = fmt.Errorf("plugin %s: what runs has brought no %s, and nothing may pass without it", s.name, s.Bundle)
		default:
			p.Module, err = h.compile(ctx, s)
		}
		if err != nil {
			p.Missing = err.Error()
		}
		set = append(set, p)
	}
	return set
}

// compile returns the module of a plugin's file as it is now. mu is held.
func (h *pluginHost) compile(ctx context.Context, s pluginSpec) (*plugin.Module, error) {
	wasm, err := readModule(s.path)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", s.name, err)
	}
	if h.engine == nil {
		if h.engine, err = plugin.NewEngine(ctx, h.config); err != nil {
			return nil, err
		}
		if h.log != nil {
			h.log.print("plugins are run by the " + h.engine.Mode())
		}
	}
	sum := sha256.Sum256(wasm)
	if m := h.modules[sum]; m != nil {
		return m, nil
	}
	m, err := h.engine.Compile(ctx, s.name, wasm)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	h.modules[sum] = m
	return m, nil
}

// checkModule says what is wrong with a plugin's file.
func checkModule(path string) error {
	h := newPluginHost(config.WASMInterpreter, "", nil)
	defer h.close()
	_, err := h.compile(context.Background(), pluginSpec{name: pluginName(path), path: path})
	return err
}

func readModule(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxModule))
}

// keep frees the modules that are not in the set. No scene uses those.
func (h *pluginHost) keep(ctx context.Context, set pluginSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for sum, m := range h.modules {
		if slices.ContainsFunc(set, func(p loadedPlugin) bool { return p.Module == m }) {
			continue
		}
		if err := m.Close(ctx); err != nil && h.log != nil {
			h.log.printf("plugins: %v", err)
		}
		delete(h.modules, sum)
	}
}

// try starts the plugins of a set that a bundle has brought, in each scene as they would run, and ends
// them again.
func (s pluginSet) try(ctx context.Context, f *config.File) error {
	if err := s.err(true); err != nil {
		return err
	}
	began := time.Now()
	for _, scene := range f.Scenes {
		var views []string
		for _, v := range scene.Views {
			views = append(views, v.Name)
		}
		for _, p := range s {
			if p.spec.Bundle == "" || !p.spec.RunsIn(scene.Name) {
				continue
			}
			o := p.Options
			o.Scene, o.Views, o.Clock = scene.Name, views, func() time.Duration { return time.Since(began) }
			o.Log, o.Emit = func(slog.Level, string) {}, func(plugin.Alert) {}
			running, err := p.Module.Start(ctx, o)
			if err == nil {
				err = running.Close()
			}
			if err != nil {
				return fmt.Errorf("scene %s: %w", scene.Name, err)
			}
		}
	}
	return nil
}

// close frees everything. No plugin may run any more.
func (h *pluginHost) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.engine == nil {
		return
	}
	if err := h.engine.Close(context.Background()); err != nil && h.log != nil {
		h.log.printf("plugins: %v", err)
	}
}
