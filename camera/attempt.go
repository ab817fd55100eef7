package camera

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// attempt is one time that a camera is open, or is being opened.
type attempt struct {
	cancel context.CancelFunc
	began  time.Time
	failed bool          // it was told why; of the camera
	events chan event    // unbuffered: what the consumer does not want waits in the source
	done   chan struct{} // closed when all is closed

	// left is set by whoever comes first: the goroutine at its end, or the
	// camera that gives it up.
	left atomic.Bool
}

// event is a frame and what the source says of itself, or why there are no more.
type event struct {
	frame Frame
	how   string
	err   error
}

// start begins an attempt on a goroutine of its own.
func (c *Camera) start() *attempt {
	ctx, cancel := context.WithCancel(context.Background())
	a := &attempt{cancel: cancel, began: time.Now(), events: make(chan event), done: make(chan struct{})}
	go func() {
		a.deliver(ctx, c.kind.Open)
		cancel()
		if a.left.Swap(true) {
			c.hanging.Add(-1)
		}
		close(a.done)
	}()
	return a
}

// deliver opens the source and hands on its frames until it fails or ctx ends.
// Why it failed is told before the source is closed, which may hang too.
func (a *attempt) deliver(ctx context.Context, open func(context.Context) (Source, error)) {
	src, err := open(ctx)
	if err != nil {
		a.tell(ctx, event{err: err})
		return
	}
	// What a broken camera says when it is closed helps nobody.
	defer src.Close()
	says, _ := src.(fmt.Stringer)
	for {
		f, err := src.Next(ctx)
		e := event{frame: f, err: err}
		if says != nil {
			e.how = says.String()
		}
		if !a.tell(ctx, e) && err == nil {
			f.Release()
		}
		if err != nil || ctx.Err() != nil {
			return
		}
	}
}

// tell is false when nobody listens any more.
func (a *attempt) tell(ctx context.Context, e event) bool {
	select {
	case a.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}
