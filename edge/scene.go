package edge

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/wire"
)

// scene owns the live stream: one goroutine takes frame sets, sees them and
// writes captions.
type scene struct {
	cfg    Scene // what of it [Daemon.Exchange] may change is changed with hand and mu held
	hub    *hub
	turns  *turns
	work   *inference
	model  *engine // nil once the scene has ended for good; changed with hand and keeps held
	guard  *watchdog.Watchdog
	pulse  *watchdog.Pulse // of the frame set in hand; guard watches it while the scene runs
	log    func(string)
	uptime func() time.Duration // of the daemon
	ended  func(*scene)         // told once the scene is done
	views  []*view
	names  []string
	mind   *memories
	sets   *collector
	gate   *gate
	images []image.Image // of the set in work
	plugs  plugins

	unasked bool     // in lock step: the set in hand has pictures that no plugin was asked about
	asks    []string // the questions of cfg.Prompts, of which there is one at least
	said    []string // the newest caption for each; valid once there is one

	looked time.Time     // when the newest set was taken
	look   time.Duration // that it took to see it
	spoken time.Time     // when the newest caption was written
	owed   bool          // the gate opened, and there is no caption yet

	saw     time.Time // when the newest look began
	sawBy   string    // the model of it; empty before the first
	changed bool      // there is another model since

	hand  chan struct{} // holds a token while what the stream's goroutine owns is in use
	nudge chan struct{} // holds a token when the next frame set is wanted at once

	paused atomic.Bool // frame sets are taken and not looked at

	cancel context.CancelFunc // nil before start
	done   chan struct{}
	err    error // valid when done is closed

	newest atomic.Pointer[memory.Snapshot]
	store  atomic.Pointer[memory.Store] // nil until the scene has begun
	keeps  sync.Mutex                   // held while newest is replaced
	forget atomic.Bool                  // what the stream remembers is to be forgotten

	mu     sync.Mutex // guards what follows, and cfg as said there; no other lock is taken with it held
	counts Stats
	status wire.SceneStatus
	taken  time.Time // of the newest frame set in the memory
}

func newScene(cfg Scene, d *Daemon) (*scene, error) {
	s := &scene{
		cfg: cfg, hub: d.hub, turns: d.turns, work: d.work, guard: d.cfg.Watchdog, log: d.cfg.Log, ended: d.sceneEnded, done: make(chan struct{}),
		hand: make(chan struct{}, 1), nudge: make(chan struct{}, 1), uptime: d.uptime,
	}
	s.gate = newGate(cfg.Gate.with(d.model), len(cfg.Views))
	filled := make(chan struct{}, 1)
	for _, v := range cfg.Views {
		w := newView(v, cfg.LockStep, filled, s.viewChanged)
		w.guard, w.guarded = s.guard, "capture of "+cfg.Name+"/"+v.Name
		if !cfg.LockStep {
			w.asks = &asking{scene: s, view: len(s.views)}
		}
		s.views = append(s.views, w)
		s.names = append(s.names, v.Name)
	}
	s.sets = newCollector(&cfg, s.views, filled)
	s.sets.asked = &s.plugs.generation
	s.plugs.wanted = cfg.Plugins
	if cfg.LockStep { // each picture is for one set
		s.sets.shows = s.shows
	}
	if len(cfg.Prompts) == 0 {
		s.cfg.Prompts = []Prompt{{}}
	}
	s.asked()
	s.status.Name, s.status.State = cfg.Name, wire.StateWatching
	s.cfg.Snapshots.Scene, s.cfg.Snapshots.Model, s.cfg.Snapshots.Report = cfg.Name, d.model.hash, s.remark
	var err error
	if s.mind, err = newMemories(d.model, cfg.Window, s.remark); err != nil {
		return nil, err
	}
	if m := cfg.Memory; m != nil {
		if err := s.mind.restore(m); err != nil {
			return nil, fmt.Errorf("its memory cannot be used: %w", err)
		}
		s.goOn(m)
	}
	s.model = d.model
	s.model.users.Add(1)
	return s, nil
}

// prompts are the questions that captions answer now.
func (s *scene) prompts() []Prompt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Prompts
}

// asked begins with the questions of cfg.
func (s *scene) asked() {
	s.asks = s.asks[:0]
	for _, p := range s.cfg.Prompts {
		s.asks = append(s.asks, p.Question)
	}
	s.said = make([]string, len(s.asks))
}

// start captures and watches until ctx ends or the sources do.
func (s *scene) start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.pulse = s.guard.Watch("scene " + s.cfg.Name)
	s.hand <- struct{}{} // until it remembers
	go func() {
		defer s.guard.Forget(s.pulse)
		s.beginPlugins(ctx)
		for _, v := range s.views { // of which plugins are asked about the first picture, too
			v.start(ctx)
		}
		err := s.remember()
		<-s.hand
		if err == nil {
			s.event(&wire.Event{Event: wire.EventState, State: wire.StateWatching, Text: "watching " + strings.Join(s.names, ", "), Views: s.names})
			err = s.run(ctx)
		}
		s.saveLast()
		s.endPlugins()
		text := "stopped"
		switch {
		case errors.Is(err, io.EOF):
			text, err = "no more pictures", nil
		case ctx.Err() != nil:
			err = nil
		case err != nil:
			text = err.Error()
		}
		s.mu.Lock()
		s.status.State, s.status.Reason = wire.StateStopped, text
		s.mu.Unlock()
		s.event(&wire.Event{Event: wire.EventState, State: wire.StateStopped, Text: text})
		s.err = err
		close(s.done)
		s.ended(s)
	}()
}

func (s *scene) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// stop ends the scene, if it runs, waits for the frame set in work, and closes
// the sources.
func (s *scene) stop() error {
	if s.cancel != nil {
		s.cancel()
		<-s.done
	}
	return errors.Join(together(s.views, func(v *view) error {
		if s.cancel != nil {
			v.stop()
		}
		if err := v.Close(); err != nil {
			return fmt.Errorf("closing view %s of %s: %w", v.Name, s.cfg.Name, err)
		}
		return nil
	})...)
}

func (s *scene) run(ctx context.Context) error {
	defer s.sets.close()
	for n := uint64(0); s.cfg.Frames == 0 || n < s.cfg.Frames; n++ {
		if err := s.pause(ctx); err != nil {
			return err
		}
		s.unasked = false
		set, err := s.sets.next(ctx)
		if err != nil {
			return err
		}
		if s.paused.Load() || s.unasked {
			set.release()
			continue
		}
		if err = s.show(ctx, set); err != nil {
			return fmt.Errorf("frame set %d: %w", set.Number, err)
		}
	}
	return nil
}

// setPaused makes the scene look at no more frame sets, or look again.
func (s *scene) setPaused(paused bool) {
	if s.isDone() || s.paused.Swap(paused) == paused {
		return
	}
	e := &wire.Event{Event: wire.EventState, State: wire.StateWatching, Text: "watching again", Views: s.names}
	if paused {
		e.State, e.Text = wire.StatePaused, "paused"
	}
	s.mu.Lock()
	if s.status.State != wire.StateStopped {
		s.status.State = e.State
	}
	s.mu.Unlock()
	s.event(e)
}

// pause waits until the next frame set is wanted.
func (s *scene) pause(ctx context.Context) error {
	s.mu.Lock()
	interval := s.cfg.Interval
	s.sets.waits(&s.cfg)
	s.mu.Unlock()
	if d := time.Until(s.looked.Add(interval)); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.nudge:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// What is lost to the timer is not made up for: the next pause counts from now.
	s.looked = time.Now()
	return ctx.Err()
}

// viewChanged is told of each change of a view's state.
func (s *scene) viewChanged(view string, state camera.State, text string) {
	s.event(&wire.Event{Event: wire.EventState, View: view, State: string(state), Text: text})
}

func (s *scene) event(e *wire.Event) {
	e.Scene = s.cfg.Name
	if e.Time == 0 {
		e.Time = time.Now().UnixMilli()
	}
	s.hub.publish(e)
	if s.cfg.Alerted != nil && e.Event == wire.EventAlert {
		s.cfg.Alerted(e)
	}
	if s.log != nil && e.Event == wire.EventState {
		s.log(e.Scene + ": " + e.Text)
	}
}

func (s *scene) stats() Stats {
	s.mu.Lock()
	c := s.counts
	s.mu.Unlock()
	for _, v := range s.views {
		c.Skipped += v.box.Skipped() + v.skipped.Load()
		c.Damaged += v.damaged.Load()
		c.Unfit += v.unfit.Load()
	}
	return c
}

// report is the scene's part of the daemon's status.
func (s *scene) report() wire.SceneStatus {
	c := s.stats()
	s.mu.Lock()
	st := s.status
	if !s.taken.IsZero() {
		st.AgeMS = ms(time.Since(s.taken))
	}
	s.mu.Unlock()
	st.Frames, st.Skipped, st.Captions = int64(c.Frames), int64(c.Skipped), int64(c.Captions)
	st.Gated, st.Repeated = int64(c.Gated), int64(c.Repeated)
	for _, v := range s.views {
		st.Views = append(st.Views, v.report())
	}
	st.Langs = s.langs()
	st.Memory = s.kept()
	return st
}

// langs are the languages of its captions that have a name.
func (s *scene) langs() (all []string) {
	for _, p := range s.prompts() {
		if p.Language != "" {
			all = append(all, p.Language)
		}
	}
	return all
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
