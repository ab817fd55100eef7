package edge

import (
	"image"
	"math"
)

// Gate says when a frame set deserves a caption. Every frame set is encoded into
// the memory whatever the gate says: it saves the decoder's work only.
type Gate struct {
	// Pixels is the least change that counts, of the most changed of 16x12
	// cells of any view, on the scale of 8-bit pixels. Zero means 8: in 600 frame
	// sets of simulated rooms noise alone reached 3.4, and the smallest move of
	// an object made 45. Negative lets every frame set pass.
	Pixels float64

	// State is the least relative change of the image state, |a-b|/|a|, since
	// the last frame set that passed. What changed the pixels but left the state
	// alone (a flicker the model does not see) is not described again. Zero does
	// not look at the state.
	State float64
}

const defaultPixels = 8

// gate applies a [Gate] to the frame sets of one scene, in order.
type gate struct {
	Gate
	ref    []thumb // of the frame set that last changed
	now    []thumb
	state  []float32 // image state when last passed
	settle bool      // the frame set before passed because pixels changed
}

func newGate(g Gate, views int) *gate {
	if g.Pixels == 0 {
		g.Pixels = defaultPixels
	}
	return &gate{Gate: g, now: make([]thumb, views)}
}

// open says whether the frame set with these pictures, seen into this image
// state, may have changed what there is to say.
//
// The frame set after a change passes too: what moved has then come to rest,
// and what was news is news no longer, though the pixels stay as they are.
func (g *gate) open(views []image.Image, state func() []float32) bool {
	if g.Pixels < 0 {
		return true
	}
	for i, v := range views {
		g.now[i].fill(v)
	}
	changed := g.ref == nil
	for i := range g.ref {
		changed = changed || float64(g.now[i].difference(&g.ref[i])) >= g.Pixels
	}
	if changed {
		g.ref = append(g.ref[:0], g.now...)
	}
	pass := changed || g.settle
	g.settle = changed
	if !pass || g.State <= 0 {
		return pass
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
