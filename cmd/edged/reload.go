package main

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/edge/thermal"
	"github.com/visualrwkv/edged/wire"
)

// reloader brings a running daemon in line with its configuration, and with what is delivered.
type reloader struct {
	ctx    context.Context // of the daemon
	path   string
	depot  *depot
	daemon *edge.Daemon
	wiring *wiring

	plugins *pluginHost
	outputs *outputs
	thermal *thermal.Governor
	log     *runLog
	failed  chan error // what the daemon cannot go on from; holds one

	role   atomic.Pointer[func(wire.Peer) wire.Role]
	bundle atomic.Pointer[string] // that runs, for people
	busy   sync.WaitGroup         // what reload has begun

	mu       sync.Mutex
	now      *config.File // what is in force
	running  *delivery    // what runs
	settling bool         // which is on trial, or about to be exchanged
	again    bool         // somebody asked for the configuration to be read meanwhile
}

// roleOf is the role of a client that connects now.
func (r *reloader) roleOf(p wire.Peer) wire.Role { return (*r.role.Load())(p) }

// tell says in the status what runs.
func (r *reloader) tell(d *delivery, trial bool) {
	var text string
	if d.slot != "" {
		if text = d.what; trial {
			text += ", on trial"
		}
	}
	r.bundle.Store(&text)
}

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
// happened; those of which other things than views differ go on with these, and those with other
// views are ended and begun, with the memory that they had: a
// scene is a place, whichever cameras look at it. When another model is to run than does, that is
// tried beside it, and reload does not wait for it.
func (r *reloader) reload() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settling {
		r.log.print("a model is being tried: the configuration is read again when that has come to an end")
		r.again = true
		return nil
	}
	f, err := config.Load(r.path)
	if err != nil {
		return r.refuse(err)
	}
	if want := r.depot.wanted(f.Model); want.origin != r.running.origin && !r.touched(want) {
		if want.id.changedInPlace(r.running.id) {
			r.log.printf("%s was written to while it is in use, which can end edged: give another file its name instead (mv)", want.what)
		}
		err := r.beside(want)
		if err == nil {
			r.settling = true
			r.busy.Go(func() { r.exchange(f.Model) })
			return nil
		}
		r.log.printf("%s: %v; it is tried when edged is started again", want.what, err)
	}
	return r.read()
}

// touched reports whether want is the file that runs, and holds what it did when that was opened. mu is held.
func (r *reloader) touched(want *delivery) bool {
	if want.path != r.running.path || !want.id.touched(r.running.id) {
		return false
	}
	if sum, err := sample(want.path, want.id.size); err != nil || sum != r.running.sample {
		return false
	}
	r.running.id = want.id
	return true
}

// fileEvery is how often somebody looks whether the file of the model was written to. It is taken as written
// once it stayed the same for so long.
const fileEvery = 2 * time.Second

// watchFile brings the daemon in line with what was written into the file of the model that runs: what is mapped is
// not what was opened any more.
func (r *reloader) watchFile() {
	tick := time.NewTicker(fileEvery)
	defer tick.Stop()
	for before, tried := (fileID{}), (fileID{}); ; {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		running, settling := r.running.origin, r.settling
		r.mu.Unlock()
		now := identify(running.path)
		if !settling && now.changedInPlace(running.id) && now == before && now != tried {
			tried = now
			r.reload() // what is wrong is in the log
		}
		before = now
	}
}

// read brings the daemon in line with the configuration. mu is held.
func (r *reloader) read() error {
	f, set, err := r.load(r.running)
	if err == nil {
		err = set.err(false)
	}
	var c changes
	var next *config.File
	if err == nil {
		next = r.within(f)
		c, err = r.changed(next)
	}
	if err != nil {
		return r.refuse(err)
	}
	if keys := lasting(r.now, f); len(keys) > 0 {
		r.log.printf("%s in the configuration: takes effect when edged is started again", strings.Join(keys, ", "))
	}
	r.running.set = set
	if err = r.apply(next, c, r.running, false); err == nil { // else some may still be in use
		r.plugins.keep(r.ctx, set)
	}
	return err
}

// refuse tells why the configuration is not used.
func (r *reloader) refuse(err error) error {
	r.log.print("the configuration is not used, the one before goes on:")
	for line := range strings.Lines(err.Error()) {
		r.log.print("  " + strings.TrimRight(line, "\n"))
	}
	return err
}

// load reads the configuration as it is with what is delivered, with its plugins, and says what keeps the daemon from
// watching its scenes. It must be good without a bundle too, so that what the binary brings can always run.
func (r *reloader) load(d *delivery) (*config.File, pluginSet, error) {
	own, err := config.Load(r.path)
	if err != nil {
		return nil, nil, badInput{err}
	}
	f, err := config.LoadWith(r.path, d.defaults)
	if err == nil {
		err = checkScenes(d.model, f)
	}
	if err != nil {
		return nil, nil, badInput{err}
	}
	if text := strings.Join(f.Differences(own), "; "); text != d.brings {
		r.log.printf("%s brings: %s", d.what, text)
		d.brings = text
	}
	set := r.plugins.load(r.ctx, f, d.plugins)
	_, err = checkRAM(planRAM(d.model, f, set), f.Budgets.RAM)
	return f, set, err
}

// within is f with what cannot be changed as it is now.
func (r *reloader) within(f *config.File) *config.File {
	next := *r.now
	next.Model, next.Plugins = f.Model, f.Plugins
	next.Prompts, next.Scenes, next.Log, next.Memory = f.Prompts, f.Scenes, f.Log, f.Memory
	next.Budgets, next.Outputs, next.Socket.Roles = f.Budgets, f.Outputs, f.Socket.Roles
	return &next
}

// changes are the scenes that are not as they are now.
type changes struct {
	anew     []edge.Scene // that begin
	settings []edge.Scene // that go on with their cameras; without views
}

// changed makes the scenes of f that are not as they are now. What is said of memory is
// said of all.
func (r *reloader) changed(f *config.File) (c changes, err error) {
	w := r.wiring.with(f)
	for _, s := range f.Scenes {
		switch old := find(r.now, s.Name); {
		case old == nil || !reflect.DeepEqual(old.Views, s.Views):
			scene, err := w.scene(s)
			if err != nil {
				return c, err
			}
			c.anew = append(c.anew, scene)
		case !reflect.DeepEqual(*old, s) || r.now.Memory != f.Memory:
			c.settings = append(c.settings, w.settings(s))
		}
	}
	return c, nil
}

// apply ends the scenes that are no more, or begin anew, has the others look with the model of d, which may be on
// trial, and with their settings, begins those that are to begin, and divides the budgets anew. When scenes cannot have that nothing else is
// done.
func (r *reloader) apply(f *config.File, c changes, d *delivery, trial bool) error {
	var errs []error
	fail := func(name string, err error) {
		if err != nil {
			r.log.printf("%s: %v", name, err)
			errs = append(errs, err)
		}
	}
	before := *r.now
	before.Scenes = nil
	for _, s := range r.now.Scenes {
		at := slices.IndexFunc(c.anew, func(e edge.Scene) bool { return e.Name == s.Name })
		if at < 0 && find(f, s.Name) != nil {
			before.Scenes = append(before.Scenes, s)
			continue // it goes on
		}
		mem, err := r.daemon.Remove(s.Name)
		fail(s.Name, err)
		if at >= 0 && mem != nil && mem.Model == d.model.Fingerprint() {
			c.anew[at].Memory = mem
		}
	}
	// Nobody looks at a frame set for so long, but who hangs.
	ctx, cancel := context.WithTimeout(r.ctx, r.depot.limit(d.bytes))
	defer cancel()
	var err error
	switch {
	case d != r.running:
		err = r.daemon.Exchange(ctx, d.forScenes(), trial, c.settings...)
	case len(c.settings) > 0:
		if err = r.daemon.Adjust(ctx, c.settings...); err != nil {
			r.log.print(err.Error())
		}
	}
	if err != nil {
		r.now = &before
		return err
	}
	r.running = d
	r.tell(d, trial)
	for _, s := range before.Scenes {
		r.daemon.SetPlugins(s.Name, d.set.of(s.Name))
	}
	for _, s := range c.anew {
		s.Plugins = d.set.of(s.Name)
		fail(s.Name, r.daemon.Add(s))
	}
	r.limit(f)
	fail("socket", r.setRoles(f))
	fail("outputs", r.outputs.set(f.Outputs))
	r.now = f
	r.log.printf("the configuration was read again: %s, of which %d began anew and %d changed", plural(len(f.Scenes), "scene"), len(c.anew), len(c.settings))
	return errors.Join(errs...)
}

// limit holds the budgets of f.
func (r *reloader) limit(f *config.File) {
	w := r.wiring.with(f)
	for _, s := range f.Scenes {
		r.daemon.LimitMemory(s.Name, w.snapshots(s.Name))
	}
	r.daemon.LimitLog(logSize(f), f.Log.Age, logDaily(f))
	for _, line := range w.rare(r.running.model) {
		r.log.print(line)
	}
	r.thermal.Hold(f.Budgets.Celsius)
	plan := planRAM(r.running.model, f, r.running.set)
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
		"state_dir":   {a.StateDir, b.StateDir},
		"wasm":        {a.WASM, b.WASM},
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
