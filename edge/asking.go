package edge

import (
	"context"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// asking has the plugins of a scene asked about the pictures of a view while it captures, whatever
// the model does meanwhile. Where that is, others are left out, before they are decoded.
type asking struct {
	scene *scene
	view  int
	epoch time.Time // the same for all views of the scene

	period time.Duration // from one picture to the next
	next   time.Time     // what comes before that is left out
}

// seldom is the longest period in which views have moments of their own: pictures that are further apart than the
// usual max_skew make no set.
const seldom = 500 * time.Millisecond

// due reports whether plugins are to be asked about a picture that came now. It is so once in a period
// on average, as long as pictures come: who is late once, by up to half a period, is not late
// from then on. Long periods begin at the same moments in all views, of which each asks about the first picture after
// them.
func (a *asking) due(now time.Time, period time.Duration) bool {
	if period != a.period {
		a.period, a.next = period, time.Time{}
	}
	if now.Before(a.next) {
		return false
	}
	if period > seldom {
		a.next = a.epoch.Add((now.Sub(a.epoch)/period + 1) * period)
		return true
	}
	a.next = a.next.Add(period)
	a.notBefore(now.Add(period / 2))
	return true
}

func (a *asking) notBefore(at time.Time) {
	if a.next.Before(at) {
		a.next = at
	}
}

// hand puts a picture into the mailbox, once plugins were asked about it if there are some that are.
// Capture has at least as much time as they take, so that cameras are read however slow those are. What
// they leave out, as if the camera had delivered none, replaces nothing.
func (v *view) hand(ctx context.Context, f camera.Frame) error {
	a := v.asks
	if a == nil {
		return v.box.Put(ctx, shot{Frame: f})
	}
	asked := a.scene.plugs.generation.Load() // first: of plugins that come meanwhile it is not
	period := time.Duration(a.scene.plugs.period.Load())
	if period == 0 {
		v.blocked("")
		return v.box.Put(ctx, shot{Frame: f, asked: asked})
	}
	began := time.Now()
	if !a.due(began, period) {
		f.Release()
		v.skipped.Add(1)
		return nil
	}
	shown, err := a.scene.shows(ctx, a.view, &f, 0)
	now := time.Now()
	a.notBefore(now.Add(now.Sub(began)))
	switch {
	case ctx.Err() != nil: // a call that was stopped hides nothing
		f.Release()
		return ctx.Err()
	case err != nil:
		f.Release()
		v.damaged.Add(1)
		return v.box.Offer(ctx, shot{leftOut: true})
	case !shown:
		return v.box.Offer(ctx, shot{Frame: f, leftOut: true})
	}
	return v.box.Put(ctx, shot{Frame: f, asked: asked})
}
