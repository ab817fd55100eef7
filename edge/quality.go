package edge

import (
	"fmt"
	"image"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// quality judges the pictures of a view, in order: those of which there is nothing to say
// are not for the model. docs/cameras.md tells what was measured against each limit.
type quality struct {
	repeats time.Duration // how long a live camera may repeat itself; 0: for ever

	state  camera.State // [camera.Live], or what is wrong with the pictures
	reason string       // why, where it is not Live

	now, last *look
	seen      bool         // last is of a picture
	still     time.Time    // when the picture that repeats came first
	next      camera.State // what the newest pictures say, when that is not state
	since     time.Time    // when the first of them came
	history   history
}

// Limits of luma, of the share of samples that must be beyond them before a picture is
// bad, and of the share below which it is good again.
const (
	black, white = 16, 250
	mostOf       = 0.95
	muchOf       = 0.90
)

// settle is how long pictures must say the same before the view's state changes: cameras
// that were just opened, or see a lamp go on, are given time to adapt.
const settle = time.Second

// Pictures repeat when hardly a sample differs: a clock that the camera writes into the
// picture is no sign of life. Black and white samples tell nothing.
const (
	repeatOf = 0.99
	tellOf   = 0.05 // of all samples, to say anything
)

func newQuality(repeats time.Duration) *quality {
	return &quality{repeats: repeats, state: camera.Live, now: new(look), last: new(look)}
}

// judge takes in the next picture and says whether it is fit for the model. state may have
// changed. Pictures that say something else than state are not fit either: in a second
// they will be the new state, or an exception that is gone.
func (q *quality) judge(img image.Image, at time.Time) bool {
	q.now, q.last = q.last, q.now
	q.now.fill(img)
	state, reason := q.verdict(at)
	q.seen = true
	switch {
	case state == q.state:
		q.next = ""
	case state != q.next:
		q.next, q.since = state, at
	case at.Sub(q.since) >= settle:
		q.state, q.reason, q.next = state, reason, ""
	}
	return state == camera.Live && q.state == camera.Live
}

// verdict is what this picture alone would make the state.
func (q *quality) verdict(at time.Time) (camera.State, string) {
	dark, glaring := 0, 0
	for _, l := range q.now.luma {
		if l < black {
			dark++
		} else if l >= white {
			glaring++
		}
	}
	if share := float64(dark) / samples; share >= q.limit(camera.Dark) {
		return camera.Dark, fmt.Sprintf("%.0f %% of the picture is black", 100*share)
	}
	if share := float64(glaring) / samples; share >= q.limit(camera.Overexposed) {
		return camera.Overexposed, fmt.Sprintf("%.0f %% of the picture is white", 100*share)
	}
	if !q.seen || !repeats(q.now, q.last) {
		q.still = at
	}
	if q.repeats > 0 && (at.Sub(q.still) >= q.repeats || q.state == camera.Frozen && q.still != at) {
		return camera.Frozen, fmt.Sprintf("the same picture for %v", q.repeats)
	}
	if lost := q.history.lost(q.now, at, q.state == camera.Blurred); lost > 0 {
		return camera.Blurred, fmt.Sprintf("%.0f %% of its details are lost", 100*lost)
	}
	return camera.Live, ""
}

// limit is the share of bad samples at which a view goes into a state, or does not yet
// leave it.
func (q *quality) limit(s camera.State) float64 {
	if q.state == s {
		return muchOf
	}
	return mostOf
}

// repeats reports whether b is a again.
func repeats(a, b *look) bool {
	tell, same := 0, 0
	for i, l := range a.luma {
		if l >= black && l < white {
			tell++
			if l == b.luma[i] {
				same++
			}
		}
	}
	return float64(tell) >= tellOf*samples && float64(same) >= repeatOf*float64(tell)
}
