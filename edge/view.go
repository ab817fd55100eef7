package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge/watchdog"
	"github.com/visualrwkv/edged/wire"
)

// view captures one source into its mailbox.
type view struct {
	camera.View
	box  *Mailbox[camera.Frame]
	done chan struct{} // nil before start

	guard   *watchdog.Watchdog
	guarded string // name of the capture to guard

	late atomic.Uint64 // frames that were not newer than the one before

	mu     sync.Mutex
	status wire.ViewStatus
}

func newView(v camera.View, lockStep bool) *view {
	return &view{
		View:   v,
		box:    NewMailbox(lockStep, camera.Frame.Release),
		status: wire.ViewStatus{Name: v.Name, State: wire.ViewWaiting},
	}
}

func (v *view) start(ctx context.Context) {
	v.done = make(chan struct{})
	pulse := v.guard.Watch(v.guarded)
	go func() {
		defer close(v.done)
		defer v.guard.Forget(pulse)
		v.box.Close(v.capture(ctx, pulse))
	}()
}

// capture returns why there are no more frames; io.EOF at the source's end. Frames that
// are not newer than the one before are dropped: some drivers' clocks step back, and an
// older picture after a newer one would be a motion that never was.
//
// A camera that delivers nothing asks ctx whether to go on all the same (see
// [camera.Camera]), which is its sign of life.
func (v *view) capture(ctx context.Context, pulse *watchdog.Pulse) error {
	var last time.Time
	for {
		pulse.Beat()
		f, err := v.Next(pulse.Context(ctx))
		if err != nil {
			v.lost(err)
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("view %s: %w", v.Name, err)
			}
			return err
		}
		if !f.Time.After(last) {
			f.Release()
			v.late.Add(1)
			continue
		}
		last = f.Time
		v.live(f)
		pulse.Rest() // in lock step until the model wants the next
		if err := v.box.Put(ctx, f); err != nil {
			return err
		}
	}
}

func (v *view) live(f camera.Frame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status.State = wire.ViewLive
	v.status.Width, v.status.Height = int64(f.Size.X), int64(f.Size.Y)
	v.status.Frames++
	v.status.FrameTime = f.Time.UnixMilli()
}

func (v *view) lost(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status.State = wire.ViewLost
	if errors.Is(err, io.EOF) {
		v.status.Error = "no more pictures"
	} else {
		v.status.Error = err.Error()
	}
}

func (v *view) report() wire.ViewStatus {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.status
	s.Skipped = int64(v.box.Skipped() + v.late.Load())
	return s
}

// stop waits for the capture to end, which the context of start brings about.
func (v *view) stop() {
	<-v.done
	if f, ok := v.box.Take(); ok {
		f.Release()
	}
}
