package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/wire"
)

// shot is a picture of a view.
type shot struct {
	camera.Frame // none when it was damaged
	// leftOut says that nobody may see it; as far as there is one, it is looked at for how the camera is.
	leftOut bool
	asked   uint64 // generation of the plugins that were asked about it
}

// view captures one source into its mailbox and knows how it is.
type view struct {
	camera.View
	box  *Mailbox[shot]
	asks *asking       // nil: plugins are not asked while it captures
	done chan struct{} // nil before start
	tell func(view string, state camera.State, text string)

	guard   *watchdog.Watchdog
	guarded string // name of the capture to guard

	quality *quality // of the goroutine that makes frame sets
	drafts  drafts   // likewise
	thaws   thaws    // likewise

	skipped atomic.Uint64 // frames that no set was made of: not newer than the one before, blocked, or overtaken or unmatched in the collector
	damaged atomic.Uint64 // frames that could not be decoded
	unfit   atomic.Uint64 // frames that were not for the model
	missing atomic.Uint64 // sets without this view

	mu       sync.Mutex // guards what follows; held while tell is called, so that states are told in their order
	status   wire.ViewStatus
	newest   time.Time // of the frame that came last
	capture  verdict   // what the source says
	pictures verdict   // what its pictures say, while they come
	shown    verdict   // whether they may be seen, likewise
	told     verdict   // the one of them that counts
}

// verdict is a state with its reason, or with what else there is to say of it.
type verdict struct {
	state  camera.State
	reason string
}

// newView makes a view that tells of each change of its state. filled is that of [NewMailbox].
func newView(v camera.View, lockStep bool, filled chan struct{}, tell func(view string, state camera.State, text string)) *view {
	w := &view{
		View: v, tell: tell,
		box:      NewMailbox(lockStep, filled, shot.Release),
		capture:  verdict{camera.Reconnecting, "no picture yet"},
		pictures: verdict{state: camera.Live},
		shown:    verdict{state: camera.Live},
	}
	var repeats time.Duration
	if c := v.Camera(); c != nil {
		repeats = c.Status().Repeats
		c.Notify(w.changed)
	}
	if v.Source == nil {
		w.capture = verdict{camera.Disabled, "switched off by the configuration"}
	}
	w.quality = newQuality(repeats)
	w.status.Name, w.told = v.Name, w.capture
	return w
}

// start captures until ctx ends or the source does.
func (v *view) start(ctx context.Context) {
	v.done = make(chan struct{})
	if v.Source == nil {
		v.box.Close(io.EOF)
		close(v.done)
		return
	}
	pulse := v.guard.Watch(v.guarded)
	go func() {
		defer close(v.done)
		defer v.guard.Forget(pulse)
		v.box.Close(v.run(ctx, pulse))
	}()
}

// run returns why there are no more frames; io.EOF at the source's end. Frames that
// are not newer than the one before are dropped: some drivers' clocks step back, and an
// older picture after a newer one would be a motion that never was.
//
// A camera that delivers nothing asks ctx whether to go on all the same (see
// [camera.Camera]), which is its sign of life.
func (v *view) run(ctx context.Context, pulse *watchdog.Pulse) error {
	var last time.Time
	for {
		pulse.Beat()
		f, err := v.Next(pulse.Context(ctx))
		switch {
		case errors.Is(err, io.EOF):
			v.set(&v.capture, camera.Ended, "no more pictures")
			return err
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			v.set(&v.capture, camera.Ended, err.Error())
			return fmt.Errorf("view %s: %w", v.Name, err)
		case !f.Time.After(last):
			f.Release()
			v.skipped.Add(1)
			continue
		}
		last = f.Time
		v.arrived(f)
		pulse.Rest() // until plugins have answered; in lock step until the model wants the next
		if err := v.hand(ctx, f); err != nil {
			return err
		}
	}
}

func (v *view) arrived(f camera.Frame) {
	v.mu.Lock()
	v.status.Width, v.status.Height = uint16(min(f.Size.X, math.MaxUint16)), uint16(min(f.Size.Y, math.MaxUint16))
	v.status.Frames++
	v.newest, v.status.FrameTime = f.Time, f.Time.UnixMilli()
	live := v.capture.state == camera.Live
	v.mu.Unlock()
	if !live { // a camera has said so itself, in more words
		v.set(&v.capture, camera.Live, "")
	}
}

// changed is told by the camera.
func (v *view) changed(s camera.Status) {
	if s.State == camera.Live {
		s.Reason = s.How
	}
	v.set(&v.capture, s.State, s.Reason)
}

// blocked says why its pictures may not be seen, which are skipped; empty: they may.
func (v *view) blocked(why string) {
	if why == "" {
		v.set(&v.shown, camera.Live, "")
		return
	}
	v.skipped.Add(1)
	v.set(&v.shown, camera.Blocked, why)
}

// set changes one of the verdicts, and tells when that changes the state of the view, or the
// reason why its source delivers nothing.
func (v *view) set(which *verdict, state camera.State, reason string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*which = verdict{state, reason}
	is, was := v.capture, v.told
	switch {
	case is.state != camera.Live:
	case v.shown.state != camera.Live:
		is = v.shown
	case v.pictures.state != camera.Live:
		is = v.pictures
	}
	v.told = is
	if is.state == was.state && (v.capture.state == camera.Live || is.reason == was.reason) {
		return
	}
	text := v.Name + ": " + string(is.state)
	if is.reason != "" {
		text += ": " + is.reason
	}
	v.tell(v.Name, is.state, text)
}

func (v *view) report() wire.ViewStatus {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.status
	if !v.newest.IsZero() {
		s.AgeMS = ms(time.Since(v.newest))
	}
	s.State, s.Reason = string(v.told.state), v.told.reason
	s.Skipped = int64(v.box.Skipped() + v.skipped.Load())
	s.Damaged, s.Unfit, s.Missing = int64(v.damaged.Load()), int64(v.unfit.Load()), int64(v.missing.Load())
	if c := v.Camera(); c != nil {
		st := c.Status()
		s.Damaged += int64(st.Bad)
		s.Faults = int32(min(st.Faults, math.MaxInt32))
	}
	return s
}

// stop waits for the capture to end, which the context of start brings about.
func (v *view) stop() {
	<-v.done
	if s, ok := v.box.Take(); ok {
		s.Release()
	}
}

// Close closes the source, if there is one.
func (v *view) Close() error {
	if v.Source == nil {
		return nil
	}
	return v.View.Close()
}
