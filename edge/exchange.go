package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/wire"
)

// Exchange has all scenes look with another model, and answers questions with it from now
// on, while cameras stay open: each scene changes over between two frame sets, and looks at once. A memory is carried on
// when the fingerprints are the same; else the scene goes on with the newest that is kept of
// the new model, or with none, and says so. Questions that are being answered are answered by the
// model before, which stays in use until [Daemon.Release].
//
// A model on trial has to prove itself, see [Daemon.Proof]. Scenes that are among settings have these
// as with [Daemon.Adjust]. When Exchange fails, all scenes
// have the model that they had, unless ctx has ended: then both may be in use until Close.
func (d *Daemon) Exchange(ctx context.Context, m Model, trial bool, settings ...Scene) error {
	d.changes.Lock()
	defer d.changes.Unlock()
	next := newEngine(m, trial)
	d.mu.Lock()
	d.engines = append(d.engines, next)
	d.mu.Unlock()
	return d.exchange(ctx, next, settings)
}

// Adjust changes scenes of the names of settings while their cameras stay open, between two frame sets: what they have of Prompts,
// Interval, CaptionInterval, MaxSkew, MaxWait, Gate and Window holds from then on, and what else they have does not count.
// When it fails nothing is changed, unless ctx has ended.
func (d *Daemon) Adjust(ctx context.Context, settings ...Scene) error {
	d.changes.Lock()
	defer d.changes.Unlock()
	return d.exchange(ctx, d.engine(), settings)
}

func (d *Daemon) exchange(ctx context.Context, next *engine, settings []Scene) error {
	d.mu.Lock()
	before, scenes := d.model, d.scenes
	d.mu.Unlock()
	var was, are []Scene
	for _, s := range scenes {
		s.keeps.Lock()
		was, are = append(was, s.cfg), append(are, s.cfg)
		s.keeps.Unlock()
		are := &are[len(are)-1]
		for i := range settings {
			if settings[i].Name == s.cfg.Name {
				are.adopt(&settings[i])
			}
		}
		if err := are.check(next); err != nil {
			return err
		}
	}
	if before.failed() {
		before.stop() // nobody waits for what it still does
	}
	for i, s := range scenes {
		if err := s.exchange(ctx, next, &are[i]); err != nil {
			for k, o := range scenes[:i] {
				err = errors.Join(err, o.exchange(ctx, before, &was[k]))
			}
			return fmt.Errorf("scene %s: %w", s.cfg.Name, err)
		}
	}
	d.mu.Lock()
	d.model = next
	d.mu.Unlock()
	return nil
}

// adopt takes over what a scene that goes on may change.
func (s *Scene) adopt(o *Scene) {
	s.Prompts, s.Interval, s.CaptionInterval, s.MaxSkew, s.MaxWait = o.Prompts, o.Interval, o.CaptionInterval, o.MaxSkew, o.MaxWait
	s.Gate, s.Window = o.Gate, o.Window
	if len(s.Prompts) == 0 {
		s.Prompts = []Prompt{{}}
	}
}

// Proof returns nil once the model on trial has proved itself: with the first caption of
// any scene, or when nothing could be looked at within so long. It returns an error when the
// model failed or wrote nothing, and then the model is to be exchanged; those who use it are told to end.
func (d *Daemon) Proof(ctx context.Context, within time.Duration) error {
	e := d.engine()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-e.proof:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		if e.looked.Load() {
			e.settle(fmt.Errorf("no caption within %v", within))
		} else {
			e.settle(nil)
		}
	}
	if e.proved != nil {
		e.stop()
	}
	return e.proved
}

// lastAnswers is how long questions may go on with a model that was exchanged, and what was told to end may take.
const lastAnswers = time.Minute

// Release returns nil when nobody uses m any more, which must not be the daemon's model unless that is closed: it can be closed then.
// Questions that are not answered by it within a minute, or before ctx ends, are refused. An error says that something in
// it hangs: then m must not be closed.
func (d *Daemon) Release(ctx context.Context, m Model) error {
	d.mu.Lock()
	var held []*engine
	d.engines = slices.DeleteFunc(d.engines, func(e *engine) bool {
		if e.Model != m || e == d.model && !d.over {
			return false
		}
		held = append(held, e)
		return true
	})
	d.mu.Unlock()
	for _, e := range held {
		if err := e.release(ctx); err != nil {
			return err
		}
	}
	return nil
}

// release waits until nobody uses the model any more.
func (e *engine) release(ctx context.Context) error {
	unused := make(chan struct{})
	go func() {
		e.users.Wait()
		close(unused)
	}()
	answered, cancel := context.WithTimeout(ctx, lastAnswers)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)() // of one that was given up they are told already
	select {
	case <-unused:
		e.stop()
		return nil
	case <-answered.Done():
	}
	e.stop()
	ends := lastAnswers
	if ctx.Err() != nil { // who ends does not wait for what is closed with the process
		ends = letGo
	}
	select {
	case <-unused:
		return nil
	case <-time.After(ends):
		return errors.New("something in it hangs")
	}
}

// engine is the model of scenes that begin now.
func (d *Daemon) engine() *engine {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.model
}

// past is what questions about a scene are answered from, with the model that can read it.
// That is in use until it is let go.
type past struct {
	model  *engine
	newest *memory.Snapshot // nil: nothing has been seen
	store  *memory.Store    // nil: the scene has not begun
}

// use counts whoever asks among those who use the scene's model. It is counted while keeps is held
// and the model is the scene's, so that nobody comes once the scene has another.
func (s *scene) use() (past, error) {
	s.keeps.Lock()
	defer s.keeps.Unlock()
	if s.model == nil {
		return past{}, wire.Errorf(wire.CodeClosing, "the scene is not watched any more")
	}
	s.model.users.Add(1)
	return past{s.model, s.newest.Load(), s.store.Load()}, nil
}

func (p past) letGo() { p.model.users.Done() }

// leave lets go of the model of a scene that has ended for good.
func (s *scene) leave() {
	s.keeps.Lock()
	defer s.keeps.Unlock()
	if s.model != nil {
		s.model.users.Done()
		s.model = nil
	}
}

// exchange gives the scene a model and settings, between two frame sets. An error leaves it as it was.
func (s *scene) exchange(ctx context.Context, next *engine, cfg *Scene) error {
	if err := take(ctx, s.hand); err != nil {
		return err
	}
	defer func() { <-s.hand }()
	s.keeps.Lock()
	before := s.model
	s.keeps.Unlock()
	if before == nil {
		return nil
	}
	mind := s.mind
	if next != before || cfg.Window != s.cfg.Window {
		var err error
		if mind, err = newMemories(next, cfg.Window, s.remark); err != nil {
			return err
		}
		mind.store = s.store.Load()
		if newest := s.newest.Load(); newest != nil && next.hash == before.hash {
			if err := mind.restore(newest); err != nil {
				return fmt.Errorf("the memory cannot be carried on: %w", err)
			}
		}
	}
	s.mind = mind
	reworded := !slices.Equal(cfg.Prompts, s.cfg.Prompts)
	s.mu.Lock()
	s.cfg.adopt(cfg)
	s.mu.Unlock()
	s.gate.Gate = newGate(cfg.Gate.with(next), 0).Gate
	if next != before {
		s.become(next)
	}
	if reworded {
		s.asked()
	}
	if next != before || reworded { // what there is to say is asked for at once
		s.owed, s.spoken = true, time.Time{}
	}
	select {
	case s.nudge <- struct{}{}:
	default:
	}
	return nil
}

// become makes the model next that of the scene, unless the scene has ended meanwhile: a daemon is closed at
// any time.
func (s *scene) become(next *engine) {
	s.keeps.Lock()
	before, store := s.model, s.store.Load()
	if before == nil {
		s.keeps.Unlock()
		return
	}
	next.users.Add(1)
	before.users.Done()
	s.model = next
	s.cfg.Snapshots.Model = next.hash
	if next.hash != before.hash {
		s.newest.Store(nil)
		if store != nil {
			store.SetModel(next.hash)
		}
	}
	s.keeps.Unlock()
	s.gate.state = nil
	s.remark(s.after(before, next))
	s.changed = s.sawBy != ""
}

// after finds a memory for the model next that was exchanged for before, and tells which that is.
func (s *scene) after(before, next *engine) string {
	text := "model " + next.title + " instead of " + before.title
	if next.hash == before.hash {
		return text + ": the memory goes on"
	}
	text += ", whose memory it cannot read"
	var snap *memory.Snapshot
	if s.mind.store != nil {
		snap, _ = s.mind.store.Newest(func(memory.Info) bool { return true }, func(o *memory.Snapshot) error {
			m, err := newMemories(next, s.cfg.Window, s.remark)
			if err == nil {
				err = m.restore(o)
			}
			if err == nil {
				m.store = s.mind.store
				s.mind = m
			}
			return err
		})
	}
	if snap == nil {
		return text + ": it begins with an empty one"
	}
	s.keeps.Lock()
	s.newest.Store(snap)
	s.keeps.Unlock()
	return text + fmt.Sprintf(": it goes on with its own of frame set %d, %s", snap.Frame, when(snap.Time, s.mind.store.Age(snap.Info)))
}

// sees notes a look, which began then, and tells how long the scene was not looked at when the model was
// exchanged before it.
func (s *scene) sees(began time.Time) {
	if s.changed {
		s.event(&wire.Event{Event: wire.EventState, State: wire.StateWatching, Views: s.names, Text: fmt.Sprintf(
			"%s looks for the first time, %v after %s did for the last", s.model.title, began.Sub(s.saw).Round(time.Millisecond), s.sawBy)})
	}
	s.saw, s.sawBy, s.changed = began, s.model.title, false
}
