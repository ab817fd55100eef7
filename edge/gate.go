package edge

import (
	"math"
	"time"
)

// Gate says when a frame set deserves a caption, and whether it is seen at all.
type Gate struct {
	// Pixels is the least change that counts, of the most changed of 16x12
	// cells of any view, on the scale of 8-bit pixels. Zero means 8: in 600 frame
	// sets of simulated rooms noise alone reached 3.4, and the smallest move of
	// an object made 45. Negative lets every frame set pass.
	Pixels float64

	// Idle is the time between two frame sets that go into the memory while nothing
	// changes: an unchanged scene costs no more than looking at its pixels. Zero puts
	// all of them there.
	Idle time.Duration

	// State is the least relative change of the image state, |a-b|/|a|, since
	// the last frame set that passed. What changed the pixels but left the state
	// alone (a flicker the model does not see) is not described again. Zero does
	// not look at the state: how much it changes is the model's own affair. Negative is what the
	// model says ([Model].StateChange), where pixels are looked at.
	State float64
}

// with is what counts with a model.
func (g Gate) with(m Model) Gate {
	switch {
	case g.State >= 0:
	case g.Pixels < 0: // every look is to be described
		g.State = 0
	default:
		g.State = m.StateChange()
	}
	return g
}

const defaultPixels = 8

// gate applies a [Gate] to the frame sets of one scene, in order.
type gate struct {
	Gate
	ref    []thumb // of each view when it last changed
	known  []bool  // ref is of a picture
	pass   bool    // what look said
	settle bool    // the frame set before passed because pixels changed
	seen   time.Time
	state  []float32 // image state when last passed
}

func newGate(g Gate, views int) *gate {
	if g.Pixels == 0 {
		g.Pixels = defaultPixels
	}
	return &gate{Gate: g, ref: make([]thumb, views), known: make([]bool, views)}
}

// lets says whether the model should see a set of c: when look says so, or it is owed. Pictures
// of which drafts were made are decoded before that is decided.
func (g *gate) lets(set *FrameSet, c *collector, owed bool) bool {
	return g.develops(set, c, owed) && (g.look(set.thumbs, set.Time) || owed)
}

// wants is what lets would say now, and leaves the gate as it is.
func (g *gate) wants(set *FrameSet, c *collector, owed bool) bool {
	return g.develops(set, c, owed) && (owed || g.due(set.Time) || g.changed(set.thumbs, g.Pixels))
}

// develops decodes pictures of which there are drafts, if look may say yes to pictures like these:
// when some are known from drafts alone it is time to look at them. In 1,536 pictures of simulated
// rooms drafts were off by 4.5 at most, noise included, and no change was missed at half of what
// counts as one. One that is would be seen when the picture is judged, within a second.
func (g *gate) develops(set *FrameSet, c *collector, owed bool) bool {
	return (owed || g.due(set.Time) || g.changed(set.thumbs, g.Pixels/2)) && c.develop(set)
}

// due reports whether a frame set is seen though nothing changed.
func (g *gate) due(at time.Time) bool { return g.settle || g.Idle <= 0 || at.Sub(g.seen) >= g.Idle }

// changed reports whether a view differs by so much from what it was when one last changed.
func (g *gate) changed(views []*thumb, by float64) bool {
	changed := by < 0
	for i, v := range views {
		changed = changed || v != nil && (!g.known[i] || float64(v.difference(&g.ref[i])) >= by)
	}
	return changed
}

// look says whether the model should see the frame set of these pictures, nil where a view
// is missing: when pixels changed, or none did for long enough. A view that comes back is
// compared with what it was before.
//
// The frame set after a change passes too: what moved has then come to rest,
// and what was news is news no longer, though the pixels stay as they are.
func (g *gate) look(views []*thumb, at time.Time) bool {
	changed, due := g.changed(views, g.Pixels), g.due(at)
	for i, v := range views {
		if changed && v != nil {
			g.ref[i], g.known[i] = *v, true
		}
	}
	g.pass = changed || g.settle
	g.settle = changed
	if !g.pass && !due {
		return false
	}
	g.seen = at
	return true
}

// open says whether the frame set that was looked at last, seen into this image state, may
// have changed what there is to say.
func (g *gate) open(state func() []float32) bool {
	if !g.pass || g.State <= 0 {
		return g.pass
	}
	s := state()
	if len(s) > 0 && len(g.state) == len(s) && relativeChange(g.state, s) < g.State {
		return false
	}
	g.state = append(g.state[:0], s...)
	return true
}

// relativeChange is |a-b|/|a| in the Euclidean norm; infinite when a is zero and
// b is not.
func relativeChange(a, b []float32) float64 {
	var diff, norm float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		diff += d * d
		norm += float64(a[i]) * float64(a[i])
	}
	if diff == 0 {
		return 0
	}
	return math.Sqrt(diff / norm)
}
