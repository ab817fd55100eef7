package main

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/edge/thermal"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

// reloader brings a running daemon in line with its configuration.
type reloader struct {
	path   string
	model  *vlm.Model
	daemon *edge.Daemon
	wiring *wiring

	outputs *outputs
	thermal *thermal.Governor
	log     *runLog

	role atomic.Pointer[func(wire.Peer) wire.Role]

	mu  sync.Mutex
	now *config.File // what is in force
}

// roleOf is the role of a client that connects now.
func (r *reloader) roleOf(p wire.Peer) wire.Role { return (*r.role.Load())(p) }

// setRoles gives clients that connect from now on the roles of f.
func (r *reloader) setRoles(f *config.File) error {
	role, err := roles(f.Socket.Roles)
	if err == nil {
		r.role.Store(&role)
	}
	return err
}

// reload reads the configuration again. What is wrong with it is told in the log, and
// returned, and nothing changes. Scenes that are the same go on as if nothing had
// happened; those that differ are ended and begun, with the memory that they had: a
// scene is a place, whichever cameras look at it.
func (r *reloader) reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := config.Load(r.path)
	if err == nil {
		err = r.check(f)
	}
	var scenes []edge.Scene
	next := *r.now // what cannot be changed stays
	if err == nil {
		next.Prompts, next.Scenes, next.Log, next.Memory = f.Prompts, f.Scenes, f.Log, f.Memory
		next.Budgets, next.Outputs, next.Socket.Roles = f.Budgets, f.Outputs, f.Socket.Roles
		scenes, err = r.changed(&next)
	}
	if err != nil {
		r.log.print("the configuration is not used, the one before goes on:")
		for line := range strings.Lines(err.Error()) {
			r.log.print("  " + strings.TrimRight(line, "\n"))
		}
		return err
	}
	if keys := lasting(r.now, f); len(keys) > 0 {
		r.log.printf("%s in the configuration: takes effect when edged is started again", strings.Join(keys, ", "))
	}
	return r.apply(&next, scenes)
}

// check says what keeps the daemon from watching the scenes of f.
func (r *reloader) check(f *config.File) error {
	if err := checkScenes(r.model, f); err != nil {
		return err
	}
	_, err := checkRAM(planRAM(r.model, f), f.Budgets.RAM)
	return err
}

// changed makes the scenes of f that are not as they are now. What is said of memory is
// said of all.
func (r *reloader) changed(f *config.File) (scenes []edge.Scene, err error) {
	w := r.wiring.with(f)
	for _, s := range f.Scenes {
		if old := find(r.now, s.Name); old != nil && reflect.DeepEqual(*old, s) && r.now.Memory == f.Memory {
			continue
		}
		scene, err := w.scene(s)
		if err != nil {
			return nil, err
		}
		scenes = append(scenes, scene)
	}
	return scenes, nil
}

// apply ends the scenes that are no more, or differ, begins those that are given, and
// divides the budgets anew.
func (r *reloader) apply(f *config.File, scenes []edge.Scene) error {
	var errs []error
	fail := func(name string, err error) {
		if err != nil {
			r.log.printf("%s: %v", name, err)
			errs = append(errs, err)
		}
	}
	for _, s := range r.now.Scenes {
		at := slices.IndexFunc(scenes, func(e edge.Scene) bool { return e.Name == s.Name })
		if at < 0 && find(f, s.Name) != nil {
			continue // the same
		}
		mem, err := r.daemon.Remove(s.Name)
		fail(s.Name, err)
		if at >= 0 {
			scenes[at].Memory = mem
		}
	}
	for _, s := range scenes {
		fail(s.Name, r.daemon.Add(s))
	}
	r.limit(f)
	fail("socket", r.setRoles(f))
	fail("outputs", r.outputs.set(f.Outputs))
	r.now = f
	r.log.printf("the configuration was read again: %s, of which %d began anew", plural(len(f.Scenes), "scene"), len(scenes))
	return errors.Join(errs...)
}

// limit holds the budgets of f.
func (r *reloader) limit(f *config.File) {
	w := r.wiring.with(f)
	for _, s := range f.Scenes {
		c := w.snapshots(s.Name)
		r.daemon.LimitMemory(s.Name, c.Disk, c.Daily, c.RAM)
	}
	r.daemon.LimitLog(logSize(f), f.Log.Age, logDaily(f))
	for _, line := range w.rare(r.model) {
		r.log.print(line)
	}
	r.thermal.Hold(f.Budgets.Celsius)
	plan := planRAM(r.model, f)
	if limit, err := checkRAM(plan, f.Budgets.RAM); err == nil { // as it was checked
		keepWithin(limit, plan)
	}
}

func find(f *config.File, name string) *config.Scene {
	for i := range f.Scenes {
		if f.Scenes[i].Name == name {
			return &f.Scenes[i]
		}
	}
	return nil
}

// lasting names what differs between two configurations and cannot be changed while
// the daemon runs.
func lasting(a, b *config.File) (keys []string) {
	for key, pair := range map[string][2]any{
		"model":       {a.Model, b.Model},
		"state_dir":   {a.StateDir, b.StateDir},
		"socket.path": {a.Socket.Path, b.Socket.Path},
		"socket.mode": {a.Socket.Mode, b.Socket.Mode},
		"threads":     {a.Threads, b.Threads},
		"cpus":        {a.CPUs, b.CPUs},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
