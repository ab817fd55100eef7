package main

import (
	"context"
	"math/rand/v2"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/vlm"
)

// trial is one event and what follows it.
type trial struct {
	*viewer
	views    int
	world    *sim.World
	renderer *sim.Renderer
	kind     string
	question sim.QA // about the event
	window   *sliding
	newest   *vlm.Stream // for a memory of the newest frame set
	truth    string      // the newest frame set's caption
	log      string      // the answer in the newest caption that tells of such an event
}

// newTrial shows clip i to the viewer and to a window.
func newTrial(ctx context.Context, e *evaluation, v *viewer, i int) (*trial, error) {
	t := &trial{viewer: v, views: e.views, kind: eventKind(i)}
	var err error
	if t.window, err = newSliding(e.model, recallWindow); err != nil {
		return nil, err
	}
	if t.newest, err = e.model.NewStream(); err != nil {
		return nil, err
	}
	c := sim.RecallClip(e.seed, i, e.views)
	t.world = sim.NewWorld(c.Config)
	t.renderer = sim.NewRenderer(t.world.Look(), t.world.Cameras(), sim.Width, sim.Height)
	v.stream.Reset()
	for f := range c.Frames {
		if f > 0 {
			t.world.Step()
		}
		if err := t.look(ctx); err != nil {
			return nil, err
		}
	}
	t.question, _ = t.world.Ask(rand.New(rand.NewPCG(e.seed, uint64(i))), t.kind)
	t.world.Keep(t.kind)
	t.truth = t.world.Caption()
	return t, t.write(ctx)
}

// look shows the present frame set to the memories.
func (t *trial) look(ctx context.Context) error {
	if err := t.see(ctx, t.world, t.renderer, t.views); err != nil {
		return err
	}
	return t.window.see(ctx, t.stream)
}

// write writes a caption into the log.
func (t *trial) write(ctx context.Context) error {
	text, err := t.stream.Caption(ctx)
	if answer, ok := sim.Tells(text, t.kind); ok {
		t.log = answer
	}
	return err
}

// run lets time pass and asks after each of the first waits, as many as there are tallies.
func (t *trial) run(ctx context.Context, distracted bool, tallies []recallTally) error {
	var still []*vlm.Stream
	var err error
	if !distracted {
		if still, err = t.stills(ctx); err != nil {
			return err
		}
	}
	distractions := 0
	for k, frames := 0, 1; k < len(tallies); frames++ {
		looked := t.stream
		if distracted {
			t.world.Step()
			err = t.look(ctx)
		} else {
			looked = still[frames%len(still)]
			if err = t.stream.SeeWith(ctx, looked); err == nil {
				err = t.window.see(ctx, looked)
			}
		}
		if err != nil {
			return err
		}
		if t.world.Busy() {
			distractions++
		}
		if now := t.world.Caption(); now != t.truth {
			t.truth = now
			if err := t.write(ctx); err != nil {
				return err
			}
		}
		if frames < recallWaits[k].frames {
			continue
		}
		t.newest.Reset()
		if err := t.newest.SeeWith(ctx, looked); err != nil {
			return err
		}
		if err := t.askAll(ctx, &tallies[k]); err != nil {
			return err
		}
		tallies[k].distractions = distractions
		k++
	}
	return nil
}

// stills are streams that have looked at the room at rest, each with other noise of the
// sensors: stillness of any length, of which no more than these need be computed.
func (t *trial) stills(ctx context.Context) (all []*vlm.Stream, err error) {
	const different = 8
	for range different {
		s, err := t.stream.Model().NewStream()
		if err != nil {
			return nil, err
		}
		t.world.Rest()
		if err := s.See(ctx, t.screen.pictures(t.world, t.renderer, t.views)...); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// askAll asks all memories about the event.
func (t *trial) askAll(ctx context.Context, r *recallTally) error {
	for _, from := range []struct {
		memory         *vlm.Stream
		right, nothing *share
	}{{t.stream, &r.state, &r.nothing}, {t.window.old, &r.window, new(share)}, {t.newest, &r.newest, new(share)}} {
		answer, err := from.memory.Answer(ctx, t.question.Question, nil)
		if err != nil {
			return err
		}
		from.right.add(answer == t.question.Answer)
		from.nothing.add(answer == "nothing")
	}
	r.log.add(t.log == t.question.Answer)
	r.chance = t.world.Guess(t.kind)
	return nil
}

// sliding is a memory in window mode, as a scene of edged run carries it: two that began
// half a window apart, of which the older answers.
type sliding struct {
	half       uint64 // frame sets
	old, young *vlm.Stream
}

func newSliding(m *vlm.Model, window uint64) (*sliding, error) {
	old, err := m.NewStream()
	if err != nil {
		return nil, err
	}
	young, err := m.NewStream()
	return &sliding{window / 2, old, young}, err
}

// see takes in the frame set that s has looked at last.
func (w *sliding) see(ctx context.Context, s *vlm.Stream) error {
	if w.young.Frames() >= w.half {
		w.old, w.young = w.young, w.old
		w.young.Reset()
	}
	if w.old.Frames() >= w.half {
		if err := w.young.SeeWith(ctx, s); err != nil {
			return err
		}
	}
	return w.old.SeeWith(ctx, s)
}
