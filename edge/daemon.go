package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/wire"
)

// Daemon watches scenes with one model. Make one with [New], run it with Start,
// wait for Done, end it with Close; or do all that with Run.
type Daemon struct {
	cfg     Config
	hub     *hub
	turns   *turns
	answers *answerer
	work    *inference
	memory  *wire.Memory // where Client dials
	started time.Time

	ctx    context.Context    // of what Start began
	cancel context.CancelFunc // ends it
	parts  []part             // what runs besides the scenes, in the order it was started
	close  sync.Once

	changes sync.Mutex // held while scenes are added or removed, or the model is exchanged

	mu      sync.Mutex // guards what follows; scenes end and are reported on without it, as they take it at their end
	model   *engine    // of scenes that begin
	engines []*engine  // not released yet, model among them
	scenes  []*scene   // in the order they were added
	over    bool       // Close has begun
	done    chan struct{}
	ended   bool // done is closed
	err     error
}

// part is one component of the daemon. start must not block; stop waits until
// nothing of the component runs.
type part struct {
	name  string
	start func(ctx context.Context) error
	stop  func() error
}

// New prepares a daemon; nothing runs yet and no file was touched.
func New(cfg Config) (*Daemon, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Watchdog == nil {
		cfg.Watchdog = new(watchdog.Watchdog)
	}
	d := &Daemon{cfg: cfg, work: &inference{pulse: cfg.Watchdog.Watch("inference")}, hub: newHub(), memory: wire.NewMemory(), done: make(chan struct{})}
	d.turns = newTurns(d.duty)
	d.model = newEngine(cfg.Model, cfg.Trial)
	d.engines = []*engine{d.model}
	for _, s := range cfg.Scenes {
		if err := d.admit(s); err != nil {
			return nil, err
		}
	}
	d.answers = newAnswerer(d.turns, d.cfg.Questions)
	return d, nil
}

// admit makes a scene that does not run yet.
func (d *Daemon) admit(cfg Scene) error {
	if cfg.Name == "" {
		cfg.Name = "room"
	}
	if slices.ContainsFunc(d.scenes, func(s *scene) bool { return s.cfg.Name == cfg.Name }) {
		return fmt.Errorf("edge: two scenes are called %q", cfg.Name)
	}
	if err := cfg.check(d.model); err != nil {
		return err
	}
	s, err := newScene(cfg, d)
	if err != nil {
		return fmt.Errorf("edge: scene %s: %w", cfg.Name, err)
	}
	d.scenes = append(d.scenes, s)
	return nil
}

// order lists the components besides the scenes. They are stopped in the reverse
// order, after the scenes: questions and clients outlive what feeds them.
func (d *Daemon) order() []part {
	var parts []part
	if d.cfg.Journal.Dir != "" {
		parts = append(parts, part{"log", d.openJournal, d.closeJournal})
	}
	parts = append(parts, part{"answers", d.answers.start, d.answers.stop})
	if g := d.cfg.Thermal; g != nil {
		var running sync.WaitGroup
		parts = append(parts, part{"governor", func(ctx context.Context) error {
			running.Go(func() { g.Run(ctx) })
			return nil
		}, func() error { running.Wait(); return nil }})
	}
	inside := &server{handler: d, listen: func(context.Context) (net.Listener, error) { return d.memory, nil }}
	parts = append(parts, part{"clients", inside.start, inside.stop})
	if d.cfg.Socket != "" {
		s := &server{handler: d, opts: d.cfg.Serve, listen: listenAt(d.cfg.Socket, d.cfg.SocketMode)}
		parts = append(parts, part{"socket", s.start, s.stop})
	}
	return parts
}

// duty is the share of the time that may be spent on work.
func (d *Daemon) duty() float64 {
	if d.cfg.Thermal == nil {
		return 1
	}
	return d.cfg.Thermal.State().Duty
}

// Start begins to watch. When a component cannot start, those before it are
// stopped again.
func (d *Daemon) Start(ctx context.Context) error {
	if d.cancel != nil {
		return errors.New("edge: started twice")
	}
	d.started = time.Now()
	d.ctx, d.cancel = context.WithCancel(ctx)
	for _, p := range d.order() {
		if err := p.start(d.ctx); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", p.name, err), d.Close())
		}
		d.parts = append(d.parts, p)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.scenes {
		s.start(d.ctx)
	}
	return nil
}

// uptime is the time since Start, which no clock changes.
func (d *Daemon) uptime() time.Duration { return time.Since(d.started) }

// Add begins to watch one more scene of a daemon that runs.
func (d *Daemon) Add(s Scene) error {
	d.changes.Lock()
	defer d.changes.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel == nil || d.over {
		return errors.New("edge: the daemon is not running")
	}
	if err := d.admit(s); err != nil {
		return err
	}
	d.scenes[len(d.scenes)-1].start(d.ctx)
	return nil
}

// Remove ends the watching of a scene, closes its sources and returns its newest
// memory, nil when it has seen nothing. Questions that are being answered from
// it are answered.
func (d *Daemon) Remove(name string) (*memory.Snapshot, error) {
	d.changes.Lock()
	defer d.changes.Unlock()
	d.mu.Lock()
	at := slices.IndexFunc(d.scenes, func(s *scene) bool { return s.cfg.Name == name })
	if at < 0 || d.over {
		d.mu.Unlock()
		return nil, fmt.Errorf("edge: no scene %q is being watched", name)
	}
	s := d.scenes[at]
	d.scenes = slices.Delete(slices.Clone(d.scenes), at, at+1)
	d.mu.Unlock()
	err := s.stop()
	s.leave()
	return s.newest.Load(), err
}

// LimitMemory sets Interval, Disk, Daily and RAM of [Scene].Snapshots anew, for a scene that goes on.
func (d *Daemon) LimitMemory(scene string, c memory.Config) {
	for _, s := range d.all() {
		if s.cfg.Name == scene {
			s.limit(c)
		}
	}
}

// all returns the scenes of this moment.
func (d *Daemon) all() []*scene {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.scenes
}

// sceneEnded is told by each scene that ended by itself or was stopped.
func (d *Daemon) sceneEnded(s *scene) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.scenes, s) {
		return // removed
	}
	d.err = errors.Join(d.err, s.err)
	for _, o := range d.scenes {
		if !o.isDone() {
			return
		}
	}
	if !d.ended {
		d.ended = true
		close(d.done)
	}
}

// Done is closed when the watching of every scene ended: the sources did,
// [Scene].Frames was reached, or it failed. Questions are answered until Close.
func (d *Daemon) Done() <-chan struct{} { return d.done }

// Err says why the watching ended, once Done is closed: nil when all of it came
// to its end or was told to stop.
func (d *Daemon) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		return nil
	}
	return d.err
}

// Close stops everything in the reverse order of its start and returns what
// went wrong in doing so. Nothing runs afterwards and the socket is gone.
func (d *Daemon) Close() error {
	var errs []error
	d.close.Do(func() {
		if d.cancel != nil {
			d.cancel()
		}
		d.mu.Lock()
		d.over = true
		scenes := d.scenes
		d.mu.Unlock()
		errs = together(scenes, (*scene).stop) // also those that were never started
		for _, s := range scenes {
			s.leave()
		}
		d.hub.close() // watchers hear the end of the scenes before they are cut off
		for _, p := range slices.Backward(d.parts) {
			if err := p.stop(); err != nil {
				errs = append(errs, fmt.Errorf("stopping %s: %w", p.name, err))
			}
		}
	})
	return errors.Join(errs...)
}

// together ends things at the same time: each of them may take a while to give up what
// hangs, and all of that has to fit into the two seconds that an end may take.
func together[T any](all []T, end func(T) error) []error {
	errs := make([]error, len(all))
	var ends sync.WaitGroup
	for i, one := range all {
		ends.Go(func() { errs[i] = end(one) })
	}
	ends.Wait()
	return errs
}

// Run watches until the watching ends or ctx does, and stops everything.
func (d *Daemon) Run(ctx context.Context) error {
	if err := d.Start(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-d.Done():
	}
	err := d.Close()
	return errors.Join(d.Err(), err)
}

// Stats is what has been done so far.
type Stats struct {
	Frames   uint64 // frame sets encoded into the memory
	Skipped  uint64 // frames overtaken by a newer one, left without a partner, or not newer than the one before
	Damaged  uint64 // frames that could not be decoded
	Unfit    uint64 // frames that were not shown to the model: dark, overexposed, blurred or frozen
	Captions uint64 // captions published
	Gated    uint64 // frame sets that the change gate kept from the decoder
	Idle     uint64 // of those, the ones that it kept from the model altogether
	Repeated uint64 // captions not published because they said the same again
	Memory   int64  // bytes of a snapshot
}

// Stats counts over all scenes; Memory is of the largest. It may be called at any
// time.
func (d *Daemon) Stats() Stats {
	var all Stats
	for _, s := range d.all() {
		c := s.stats()
		all.Frames += c.Frames
		all.Skipped += c.Skipped
		all.Damaged += c.Damaged
		all.Captions += c.Captions
		all.Gated += c.Gated
		all.Idle += c.Idle
		all.Unfit += c.Unfit
		all.Repeated += c.Repeated
		all.Memory = max(all.Memory, c.Memory)
	}
	return all
}
