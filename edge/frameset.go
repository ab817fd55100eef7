package edge

import (
	"cmp"
	"context"
	"image"
	"io"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// FrameSet is one frame of each view, taken together. It and its frames are borrowed until
// the next one is asked for.
type FrameSet struct {
	Number uint64 // counts the sets of the scene, from 1
	// Frames are in the order of the views. That of a view that is missing has no Image. A
	// set that the model does not see may have drafts of pictures alone.
	Frames []camera.Frame
	Time   time.Time     // of the newest frame
	Skew   time.Duration // between the oldest and the newest frame

	thumbs []*thumb // of the frames; nil where the view is missing
	asked  uint64   // generation of the plugins that were asked about the frames
}

// Images returns the pictures that are there, in the order of the views, appended to dst.
func (s *FrameSet) Images(dst []image.Image) []image.Image {
	for _, f := range s.Frames {
		if f.Image != nil {
			dst = append(dst, f.Image)
		}
	}
	return dst
}

// names returns those of the views that are there.
func (s *FrameSet) names(all []string) []string {
	var there []string
	for i, f := range s.Frames {
		if f.Image != nil {
			there = append(there, all[i])
		}
	}
	return there
}

// Seq is that of a frame: in sources that play the same instants, of all of them.
func (s *FrameSet) Seq() uint64 {
	for _, f := range s.Frames {
		if f.Image != nil {
			return f.Seq
		}
	}
	return 0
}

func (s *FrameSet) release() {
	for _, f := range s.Frames {
		f.Release()
	}
	s.leave()
}

// leave lets go of the pictures without giving them back, where somebody may look at them for ever.
func (s *FrameSet) leave() {
	clear(s.Frames)
	clear(s.thumbs)
}

// defaultMaxWait is how long a set waits for a view that has a frame in most others. It is
// paid once: a view that is missing is not waited for again before it delivers.
const defaultMaxWait = 2 * time.Second

// lookAgain is the pause after a set of which nothing was left, so that cameras in the dark
// cost little.
const lookAgain = 250 * time.Millisecond

// collector makes frame sets of what lies in the mailboxes of the views.
type collector struct {
	views    []*view
	filled   chan struct{} // of all mailboxes
	lockStep bool
	maxSkew  time.Duration // 0: any
	maxWait  time.Duration
	number   uint64

	// shows says whether what is in a frame of a view, for a set of that number, may be
	// seen, and hides of it what may not; an error is that of a damaged frame. Nil: all may. Without
	// lock step that was said before a frame is in its mailbox.
	shows func(ctx context.Context, view int, f *camera.Frame, set uint64) (bool, error)

	asked *atomic.Uint64 // generation of the plugins that are asked now

	since   uint64         // that of what is held
	held    []camera.Frame // for the next set; the zero Frame where none is
	gone    []bool         // missed the set before, and has not delivered since
	leftOut []bool         // has delivered for the next set what nobody may see
	set     FrameSet
	late    *time.Timer // when a set waits no longer
}

func newCollector(cfg *Scene, views []*view, filled chan struct{}) *collector {
	n := len(views)
	c := &collector{
		views: views, filled: filled, lockStep: cfg.LockStep, asked: new(atomic.Uint64),
		held: make([]camera.Frame, n), gone: make([]bool, n), leftOut: make([]bool, n),
		set:  FrameSet{Frames: make([]camera.Frame, n), thumbs: make([]*thumb, n)},
		late: time.NewTimer(0),
	}
	c.late.Stop()
	c.waits(cfg)
	return c
}

// waits sets how long views are waited for, and how far apart they may be.
func (c *collector) waits(cfg *Scene) {
	c.maxSkew, c.maxWait = cfg.MaxSkew, cmp.Or(cfg.MaxWait, defaultMaxWait)
}

// next returns the next set in which there is a view. It belongs to the caller until it is
// released; [collector.renew] brings it up to date meanwhile. When all views ended it returns the first error that is not [io.EOF], or that.
//
// A set is of the newest frame of each view; those that are older than the newest of all
// by more than the skew are left out and their views waited for again. In lock step every
// frame is used: a set is of the oldest frames that wait, and all views that have not
// ended are waited for.
func (c *collector) next(ctx context.Context) (*FrameSet, error) {
	defer c.late.Stop()
	waits := false // late runs
	for {
		any := c.take(true)
		if any && !waits && !c.lockStep {
			c.late.Reset(c.maxWait)
			waits = true
		}
		switch {
		case any && c.complete():
			if c.deliver(ctx) {
				return &c.set, nil
			}
			if waits = false; !c.lockStep {
				if err := camera.SleepUntil(ctx, time.Now().Add(lookAgain)); err != nil {
					return nil, err
				}
			}
			continue
		case !any:
			if err := c.ended(); err != nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.filled:
		case <-c.late.C:
			for i, f := range c.held {
				c.gone[i] = c.gone[i] || f.Time.IsZero() && !c.leftOut[i]
			}
		}
	}
}

// take takes what lies in the mailboxes and reports whether a frame is held. What nobody may see is
// looked at, if wanted, for how the camera is, and given back; a frame that is held stays, unless there are
// plugins now that were not asked about it.
func (c *collector) take(look bool) bool {
	c.renounce()
	for i, v := range c.views {
		holds := !c.held[i].Time.IsZero()
		if holds && c.lockStep {
			continue
		}
		s, ok := v.box.Take()
		switch {
		case !ok:
		case s.leftOut:
			if look && !holds && !s.Time.IsZero() {
				v.look(&s.Frame)
			}
			s.Release()
			c.leftOut[i], c.gone[i] = true, false
		case !c.lockStep && s.asked != c.since:
			s.Release()
			v.skipped.Add(1)
		default:
			if holds {
				c.leave(i)
				v.skipped.Add(1)
			}
			c.held[i], c.gone[i] = s.Frame, false
		}
	}
	_, newest := span(c.held)
	for i, f := range c.held {
		if !c.lockStep && c.maxSkew > 0 && !f.Time.IsZero() && newest.Sub(f.Time) > c.maxSkew {
			c.leave(i)
			c.views[i].skipped.Add(1)
		}
	}
	return !newest.IsZero()
}

// renounce gives back what is held when there are plugins that were not asked about it. In lock step none was.
func (c *collector) renounce() {
	now := c.asked.Load()
	if now == c.since {
		return
	}
	c.since = now
	for i, f := range c.held {
		if !c.lockStep && !f.Time.IsZero() {
			c.leave(i)
			c.views[i].skipped.Add(1)
		}
	}
}

// renew brings the set that was delivered last, and is still in hand, up to date: frames
// that have come since replace those of their views, which are skipped. What it comes to
// is what [collector.next] would deliver now without waiting; when that would be apart by
// more than the skew, the set stays as it is and what has come is for the one after it.
// False when no picture is left, since those that came are damaged or unfit, or when there are plugins that were
// not asked about the set. In lock step every other frame is used and nothing changes.
func (c *collector) renew() bool {
	any := !c.lockStep && c.take(false) // the thumbs of the set are those that views have looked at last
	clear(c.leftOut)
	if c.set.asked != c.asked.Load() {
		for i, t := range c.set.thumbs {
			if t != nil {
				c.views[i].skipped.Add(1)
			}
		}
		return false
	}
	if !any || !c.fits() {
		return true
	}
	there := false
	for i, v := range c.views {
		f := &c.set.Frames[i]
		had := c.set.thumbs[i] != nil
		if !c.held[i].Time.IsZero() {
			if had {
				f.Release()
				*f, c.set.thumbs[i] = camera.Frame{}, nil
				v.skipped.Add(1)
			}
			c.place(i)
		}
		has := c.set.thumbs[i] != nil
		switch {
		case had && !has:
			v.missing.Add(1)
		case has && !had:
			v.missing.Add(^uint64(0))
		}
		there = there || has
	}
	c.stamp()
	return there
}

// fits reports whether what is held, which is something, goes with the rest of the set.
func (c *collector) fits() bool {
	oldest, newest := span(c.held)
	for i, f := range c.set.Frames {
		if f.Time.IsZero() || !c.held[i].Time.IsZero() {
			continue
		}
		if f.Time.Before(oldest) {
			oldest = f.Time
		}
		if f.Time.After(newest) {
			newest = f.Time
		}
	}
	return c.maxSkew == 0 || newest.Sub(oldest) <= c.maxSkew
}

// place looks at what is held of view i and puts it into the set, or gives it back when it is
// damaged or unfit.
func (c *collector) place(i int) bool {
	t := c.views[i].look(&c.held[i])
	if t == nil {
		c.leave(i)
		return false
	}
	c.set.Frames[i], c.set.thumbs[i] = c.held[i], t
	c.held[i] = camera.Frame{}
	return true
}

// show asks whether what is held of view i may be seen in the next set, and gives back what is damaged
// or may not. That is looked at for how the camera is, as far as it is not hidden.
func (c *collector) show(ctx context.Context, i int) bool {
	if c.shows == nil {
		return true
	}
	f, v := &c.held[i], c.views[i]
	shown, err := c.shows(ctx, i, f, c.number+1)
	switch {
	case err != nil:
		v.damaged.Add(1)
	case !shown:
		v.look(f)
	default:
		return true
	}
	c.leave(i)
	return false
}

// stamp dates the set.
func (c *collector) stamp() {
	oldest, newest := span(c.set.Frames)
	c.set.Time, c.set.Skew = newest, newest.Sub(oldest)
}

// leave releases what is held of view i.
func (c *collector) leave(i int) {
	c.held[i].Release()
	c.held[i] = camera.Frame{}
}

// close gives back what is held.
func (c *collector) close() {
	for i := range c.held {
		c.leave(i)
	}
}

// complete reports whether nobody is waited for: a view of which nothing may be seen has delivered. A
// view that is gone may come back with the set after this one.
func (c *collector) complete() bool {
	for i, v := range c.views {
		if c.held[i].Time.IsZero() && !c.gone[i] && !c.leftOut[i] && v.box.End() == nil {
			return false
		}
	}
	return true
}

// deliver makes a set of what is held. Frames are decoded here, and what is damaged or unfit
// is left out; false when nothing is left.
func (c *collector) deliver(ctx context.Context) bool {
	oldest, _ := span(c.held)
	there := false
	if c.lockStep { // they are asked here
		c.since = c.asked.Load()
	}
	c.set.asked = c.since
	for i, v := range c.views {
		f := c.held[i]
		switch {
		case f.Time.IsZero():
			c.gone[i] = !c.leftOut[i]
		case c.lockStep && c.maxSkew > 0 && f.Time.Sub(oldest) > c.maxSkew: // for a later set
		case c.show(ctx, i) && c.place(i):
			there = true
			continue
		}
		v.missing.Add(1)
	}
	clear(c.leftOut)
	if there {
		c.number++
		c.set.Number = c.number
		c.stamp()
	}
	return there
}

// develop decodes the pictures of a set of which only drafts were looked at. What is damaged or
// unfit is taken out; false when nothing is left.
func (c *collector) develop(s *FrameSet) bool {
	there := false
	for i, v := range c.views {
		f := &s.Frames[i]
		if s.thumbs[i] == nil {
			continue
		}
		if f.Image == nil {
			if s.thumbs[i] = v.judge(f); s.thumbs[i] == nil {
				f.Release()
				*f = camera.Frame{}
				v.missing.Add(1)
				continue
			}
		}
		there = true
	}
	if there {
		c.stamp()
	}
	return there
}

// ended returns why there will be no more frames when all views ended, else nil.
func (c *collector) ended() error {
	err := io.EOF
	for _, v := range c.views {
		e := v.box.End()
		if e == nil {
			return nil
		}
		if err == io.EOF {
			err = e
		}
	}
	return err
}

// span returns the times of the oldest and the newest of the frames that are there, zero
// when none is.
func span(frames []camera.Frame) (oldest, newest time.Time) {
	for _, f := range frames {
		if f.Time.IsZero() {
			continue
		}
		if oldest.IsZero() || f.Time.Before(oldest) {
			oldest = f.Time
		}
		if newest.IsZero() || f.Time.After(newest) {
			newest = f.Time
		}
	}
	return oldest, newest
}
