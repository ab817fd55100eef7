package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// State is what can be said of a view in a word.
type State string

// The states of a view. A [Camera] knows whether pictures come; what is wrong with those
// that do is found by whoever looks at them.
const (
	Live         State = "live"         // pictures come
	Reconnecting State = "reconnecting" // they do not; it is tried again and again
	Ended        State = "ended"        // a row of files is at its end

	Dark        State = "dark"        // there is nothing to be seen but black
	Overexposed State = "overexposed" // nothing but white
	Blurred     State = "blurred"     // far less sharp than this view was before
	Frozen      State = "frozen"      // always the same picture, where a sensor's noise would differ
	Disabled    State = "disabled"    // switched off by the configuration
	Blocked     State = "blocked"     // who has to look at the pictures first does not, and nobody else may
)

// Status is what is known about a camera.
type Status struct {
	Source string // the spec it was opened with
	State  State
	Reason string // why it is not live, for people; empty when it is
	How    string // in which way pictures are taken, or were last: "YUYV 640x480 at 15/s"

	// Repeats is for how long pictures may be the same and the camera alive: see [Kind].
	Repeats time.Duration

	Frames   uint64 // pictures delivered
	Missed   uint64 // pictures in between that were not: lost, damaged, or overtaken by a newer one
	Bad      uint64 // of those, the ones that came damaged
	Attempts uint64 // times it was opened, or that was tried
	Faults   uint64 // attempts that failed, before a picture or after some
	Hung     uint64 // attempts given up because a call did not return
	Hanging  int    // of those, the ones that have still not returned
}

// String is the line for the log.
func (s Status) String() string {
	text := s.Source + ": " + string(s.State)
	switch {
	case s.Reason != "":
		text += ": " + s.Reason
	case s.How != "":
		text += ": " + s.How
	}
	return text
}

// Limits of an attempt where its [Kind] says nothing, and of all.
const (
	defaultMaxWait  = 2 * time.Second
	defaultPatience = 10 * time.Second
	firstWait       = 200 * time.Millisecond
	steady          = 10 * time.Second // an attempt that lasted so long was a good one: pauses are short again
	maxHanging      = 4                // each holds a thread in the kernel
)

// closePatience is how long Close waits for the attempt in work. A daemon, which closes
// all of its cameras at once, has two seconds to end.
const closePatience = time.Second

// Camera is a source that is kept alive for ever: what fails is closed, and
// opened again after a pause that doubles up to [Kind].MaxWait. Next therefore
// fails with the context's error only, or with [io.EOF] at the end of what has
// one.
//
// All calls that may hang in the kernel are made on a goroutine of the attempt.
// When one takes too long the attempt is left alone, counted, and a new one
// begun; the goroutine ends when the call returns, and closes what it holds.
// While too many hang no new ones are begun.
type Camera struct {
	kind Kind

	// Of the goroutine that calls Next.
	run   *attempt
	wait  time.Duration // before the next attempt; 0 at once
	timer *time.Timer   // for the patience with run
	seq   uint64        // of the last frame

	mu      sync.Mutex
	status  Status
	notify  func(Status) // set before the first call of Next
	hanging atomic.Int64
	reopen  atomic.Bool
}

func newCamera(spec string, k Kind) *Camera {
	if k.MaxWait <= 0 {
		k.MaxWait = defaultMaxWait
	}
	if k.Patience <= 0 {
		k.Patience = defaultPatience
	}
	if k.Wait == nil {
		k.Wait = func(ctx context.Context, d time.Duration) bool {
			SleepUntil(ctx, time.Now().Add(d))
			return false
		}
	}
	return &Camera{kind: k, status: Status{Source: spec, State: Reconnecting, Reason: "not opened yet", Repeats: k.Repeats}}
}

// Notify has changed told of each change of state or reason, and of the way in which pictures
// are taken, in order, from the goroutine that calls Next. It is called before Next is.
func (c *Camera) Notify(changed func(Status)) { c.notify = changed }

// Status may be called at any time.
func (c *Camera) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Hanging = int(c.hanging.Load())
	if c.kind.Bad != nil {
		s.Bad = c.kind.Bad()
	}
	return s
}

// Reopen has the camera closed and opened again at the next call of Next, as whoever looks at its
// pictures thinks that it hangs. That alone changes neither state nor reason. It may be called at any time.
func (c *Camera) Reopen() { c.reopen.Store(true) }

// Next implements [Source].
func (c *Camera) Next(ctx context.Context) (Frame, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Frame{}, err
		}
		if c.run == nil {
			if c.Status().State == Ended {
				return Frame{}, io.EOF
			}
			c.begin(ctx)
			continue
		}
		if c.reopen.Swap(false) && !c.run.failed {
			c.run.cancel()
			c.run.failed, c.wait = true, 0
		}
		if c.run.failed {
			c.leave(ctx)
			continue
		}
		e, err := c.listen(ctx)
		switch {
		case err != nil:
			return Frame{}, err
		case e.err == nil:
			c.deliver(&e)
			return e.frame, nil
		case errors.Is(e.err, io.EOF):
			c.run.failed = true
			c.change(Ended, "no more pictures", nil)
			return Frame{}, io.EOF
		}
		c.fault(e.err)
	}
}

// deliver accounts for a frame.
func (c *Camera) deliver(e *event) {
	seq := e.frame.Seq
	c.change(Live, "", func(s *Status) {
		if s.Frames > 0 && seq > c.seq+1 {
			s.Missed += seq - c.seq - 1
		}
		s.Frames++
		s.How = e.how
	})
	c.seq = seq
}

// Close implements [Source]. It returns within a second even where a call
// hangs, with an error that says so.
func (c *Camera) Close() error {
	if c.run == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	c.run.cancel()
	if !c.leave(ctx) {
		c.abandon()
		return fmt.Errorf("%s: a call to the camera does not return", c.Status().Source)
	}
	return nil
}

// begin waits until it is time for the next attempt and starts it, unless ctx
// ends first or too many calls hang.
func (c *Camera) begin(ctx context.Context) {
	if c.wait > 0 {
		// A tenth of jitter to either side, so that cameras of one bus do not
		// all come at once.
		d := time.Duration(float64(c.wait) * (0.9 + 0.2*rand.Float64()))
		if c.kind.Wait(ctx, d) {
			c.wait = 0
		}
		if ctx.Err() != nil {
			return
		}
	}
	c.wait = min(max(2*c.wait, firstWait), c.kind.MaxWait)
	if n := c.hanging.Load(); n >= maxHanging {
		c.change(Reconnecting, fmt.Sprintf("%d calls to the camera hang; unplug it, or restart the machine", n), nil)
		return
	}
	c.change("", "", func(s *Status) { s.Attempts++ })
	c.run = c.start()
}

// listen waits for what the attempt has to say; an attempt that is silent for
// too long is given up.
func (c *Camera) listen(ctx context.Context) (event, error) {
	e, err := await(ctx, c, c.run.events)
	if errors.Is(err, errHangs) {
		c.abandon()
		return event{err: fmt.Errorf("a call to the camera hangs since %v", c.kind.Patience)}, nil
	}
	return e, err
}

// errHangs says that a call took longer than there is patience with it.
var errHangs = errors.New("hangs")

// lookUp is how often ctx is asked whether to go on while a call takes its time. Who
// counts the questions knows that the camera is being watched over, however long it is
// silent (package edge/watchdog does).
const lookUp = 10 * time.Second

// await waits, with patience, for what a call of the attempt gives.
func await[T any](ctx context.Context, c *Camera, result <-chan T) (r T, err error) {
	if c.timer == nil {
		c.timer = time.NewTimer(lookUp)
	}
	for since := time.Now(); ; {
		if c.kind.Waited != nil {
			if w := c.kind.Waited(); w.After(since) {
				since = w
			}
		}
		left := c.kind.Patience - time.Since(since)
		if left <= 0 {
			return r, errHangs
		}
		c.timer.Reset(min(left, lookUp))
		select {
		case r = <-result:
			return r, nil
		case <-ctx.Done():
			return r, ctx.Err()
		case <-c.timer.C:
			if err := ctx.Err(); err != nil {
				return r, err
			}
		}
	}
}

// fault notes why the attempt failed.
func (c *Camera) fault(err error) {
	if c.run != nil {
		c.run.failed = true
		if time.Since(c.run.began) > steady {
			c.wait = firstWait
		}
	}
	c.change(Reconnecting, err.Error(), func(s *Status) { s.Faults++ })
}

// leave waits until the attempt has closed what it held, and gives it up when
// that takes too long. It is false when ctx ended first.
func (c *Camera) leave(ctx context.Context) bool {
	if c.run == nil {
		return true
	}
	switch _, err := await(ctx, c, c.run.done); err {
	case nil:
		c.run = nil
	case errHangs:
		c.abandon()
	default:
		return false
	}
	return true
}

// abandon leaves the attempt to itself.
func (c *Camera) abandon() {
	c.run.cancel()
	if !c.run.left.Swap(true) {
		c.hanging.Add(1)
	}
	c.run = nil
	c.change("", "", func(s *Status) { s.Hung++ })
}

// change updates the status and tells of a new state or reason, and of another way
// in which pictures are taken. An empty state leaves state and reason.
func (c *Camera) change(state State, reason string, update func(*Status)) {
	c.mu.Lock()
	how := c.status.How
	if update != nil {
		update(&c.status)
	}
	tell := state != "" && (c.status.State != state || c.status.Reason != reason || c.status.How != how)
	if tell {
		c.status.State, c.status.Reason = state, reason
	}
	s := c.status
	c.mu.Unlock()
	if tell && c.notify != nil {
		c.notify(s)
	}
}
