package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/visualrwkv/edged/wire"
)

// Daemon watches one scene. Make one with [New], run it with Start, wait for
// Done, end it with Close; or do all that with Run.
type Daemon struct {
	cfg     Config
	hub     *hub
	scene   *scene
	answers *answerer
	memory  *wire.Memory // where Client dials
	started time.Time

	cancel context.CancelFunc // ends what Start began
	parts  []part             // what runs, in the order it was started
	close  sync.Once
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
	if cfg.Scene == "" {
		cfg.Scene = "room"
	}
	d := &Daemon{cfg: cfg, hub: newHub(), memory: wire.NewMemory()}
	var err error
	if d.scene, err = newScene(&d.cfg, d.hub); err != nil {
		return nil, err
	}
	d.answers = newAnswerer(d.cfg.Model, d.scene.newest.Load, d.cfg.Questions)
	return d, nil
}

// order lists the components; they are stopped in the reverse order. Questions
// and clients come first so that they outlive what feeds them.
func (d *Daemon) order() []part {
	parts := []part{
		{"hub", func(context.Context) error { return nil }, func() error { d.hub.close(); return nil }},
		{"answers", d.answers.start, d.answers.stop},
	}
	inside := &server{handler: d, listen: func(context.Context) (net.Listener, error) { return d.memory, nil }}
	parts = append(parts, part{"clients", inside.start, inside.stop})
	if d.cfg.Socket != "" {
		s := &server{handler: d, opts: d.cfg.Serve, listen: listenAt(d.cfg.Socket, d.cfg.SocketMode)}
		parts = append(parts, part{"socket", s.start, s.stop})
	}
	for _, v := range d.scene.views {
		parts = append(parts, part{"view " + v.Name, v.start, v.stop})
	}
	return append(parts, part{"scene", d.scene.start, d.scene.stop})
}

// Start begins to watch. When a component cannot start, those before it are
// stopped again.
func (d *Daemon) Start(ctx context.Context) error {
	if d.cancel != nil {
		return errors.New("edge: started twice")
	}
	d.started = time.Now()
	ctx, d.cancel = context.WithCancel(ctx)
	for _, p := range d.order() {
		if err := p.start(ctx); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", p.name, err), d.Close())
		}
		d.parts = append(d.parts, p)
	}
	return nil
}

// Done is closed when the watching ended: the sources did, [Config].Frames was
// reached, or it failed. Questions are answered until Close.
func (d *Daemon) Done() <-chan struct{} { return d.scene.done }

// Err says why the watching ended, once Done is closed: nil when it came to its
// end or was told to stop.
func (d *Daemon) Err() error {
	select {
	case <-d.scene.done:
		return d.scene.err
	default:
		return nil
	}
}

// Close stops everything in the reverse order of its start and returns what
// went wrong in doing so. Nothing runs afterwards and the socket is gone.
func (d *Daemon) Close() error {
	var errs []error
	d.close.Do(func() {
		if d.cancel != nil {
			d.cancel()
		}
		for i := len(d.parts) - 1; i >= 0; i-- {
			if err := d.parts[i].stop(); err != nil {
				errs = append(errs, fmt.Errorf("stopping %s: %w", d.parts[i].name, err))
			}
		}
		for _, v := range d.scene.views { // also those that were never started
			if err := v.Close(); err != nil {
				errs = append(errs, fmt.Errorf("closing view %s: %w", v.Name, err))
			}
		}
	})
	return errors.Join(errs...)
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

// Stats is what a daemon has done so far.
type Stats struct {
	Frames   uint64 // frame sets encoded into the memory
	Skipped  uint64 // frames overtaken by a newer one, left without a partner, or not newer than the one before
	Damaged  uint64 // frames that could not be decoded
	Captions uint64 // captions published
	Gated    uint64 // frame sets that the change gate kept from the decoder
	Repeated uint64 // captions not published because they said the same again
	Memory   int64  // bytes of a snapshot
}

// Stats may be called at any time.
func (d *Daemon) Stats() Stats { return d.scene.stats() }
