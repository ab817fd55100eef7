package sim

import (
	"encoding/binary"
	"hash/fnv"
)

// Clip is a short stretch of a World for an evaluation: Frames frame sets from
// its beginning. NewWorld(Config) and Frames-1 steps replay it.
type Clip struct {
	Config Config
	Frames int
	Hidden []int // of a HiddenClip: the objects of the last frame set that view 0 never saw
}

// maxTries bounds every search for a clip. A search that fails would mean that
// the world's rules changed; the last try is used then.
const maxTries = 4000

// BalancedClip returns clip i of an evaluation: one to four frame sets, and one
// to four objects in the last, each combination equally often.
func BalancedClip(seed uint64, i, views int) Clip {
	frames, count := 1+i%4, 1+(i/4)%4
	var c Clip
	for try := range maxTries {
		c = Clip{Config: Config{Seed: clipSeed("clip", seed, i, try), Views: views}, Frames: frames}
		w := NewWorld(c.Config)
		for range frames - 1 {
			w.Step()
		}
		if len(w.objs) == count {
			break
		}
	}
	return c
}

// HiddenClip returns clip i in which view 0 never sees an object, or several, that
// view 1 always sees.
func HiddenClip(seed uint64, i int) Clip {
	frames := 1 + i%3
	var c Clip
	for try := range maxTries {
		c = Clip{Config: Config{Seed: clipSeed("hidden", seed, i, try), Views: 2}, Frames: frames}
		w := NewWorld(c.Config)
		hidden := map[int]bool{}
		for f := range frames {
			if f > 0 {
				w.Step()
			}
			for j := range w.objs {
				now := w.seenBy(j) == 2
				if before, known := hidden[w.objs[j].ID]; known {
					now = now && before
				} else if f > 0 {
					now = false
				}
				hidden[w.objs[j].ID] = now
			}
		}
		for j := range w.objs {
			if hidden[w.objs[j].ID] {
				c.Hidden = append(c.Hidden, j)
			}
		}
		if c.Hidden != nil {
			break
		}
	}
	return c
}

// clipUntil returns clip i of a kind, of so many frame sets, with the first of its seeds after which
// the world is good.
func clipUntil(kind string, seed uint64, i, views, frames int, good func(w *World) bool) Clip {
	var c Clip
	for try := range maxTries {
		c = Clip{Config: Config{Seed: clipSeed(kind, seed, i, try), Views: views}, Frames: frames}
		w := NewWorld(c.Config)
		for range frames - 1 {
			w.Step()
		}
		if good(w) {
			break
		}
	}
	return c
}

// MovingClip returns clip i in which something moves in the last frame set, two to
// four frame sets long.
func MovingClip(seed uint64, i, views int) Clip {
	return clipUntil("moving", seed, i, views, 2+i%3, func(w *World) bool { return w.movers() != "nothing" })
}

// EventClip returns clip i in which something has left (even i) or entered (odd
// i) before or in the last frame set, two to four frame sets long.
func EventClip(seed uint64, i, views int) Clip {
	return clipUntil("event", seed, i, views, 2+(i/2)%3, func(w *World) bool { return w.last(i) != nil })
}

// RecallClip returns clip i in whose last frame set something leaves (even i) or enters (odd
// i), after 16 to 31 frame sets of a room like any other.
func RecallClip(seed uint64, i, views int) Clip {
	return clipUntil("recall", seed, i, views, 17+(i/2)%16, func(w *World) bool {
		e := w.last(i)
		return e != nil && e.Frame == w.frame
	})
}

// last is what left last (even i) or entered last (odd i), nil when nothing has.
func (w *World) last(i int) *Event {
	if i%2 == 0 {
		return w.lastLeft
	}
	return w.lastCame
}

// Guess is the chance to answer "what left" or "what entered" rightly by
// guessing among the objects that the newest frame set leaves possible.
func (w *World) Guess(kind string) float64 {
	switch {
	case kind == "left" && w.lastLeft != nil:
		return 1 / float64(NumColors*NumShapes)
	case kind == "entered" && w.lastCame != nil:
		for i := range w.objs {
			if w.objs[i].ID == w.lastCame.Object.ID {
				return 1 / float64(len(w.objs))
			}
		}
		return 1 / float64(NumColors*NumShapes)
	}
	return 0
}

// clipSeed derives the seed of a try; the purpose keeps evaluations from sharing
// rooms with each other and with the training.
func clipSeed(purpose string, seed uint64, i, try int) uint64 {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	for _, n := range []uint64{seed, uint64(i), uint64(try)} {
		h.Write(binary.LittleEndian.AppendUint64(nil, n))
	}
	return h.Sum64()
}
