package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/wire"
)

// view captures one source into its mailbox.
type view struct {
	camera.View
	box  *Mailbox[camera.Frame]
	done chan struct{} // nil before start

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

func (v *view) start(ctx context.Context) error {
	v.done = make(chan struct{})
	go func() {
		defer close(v.done)
		v.box.Close(v.capture(ctx))
	}()
	return nil
}

// capture returns why there are no more frames; io.EOF at the source's end.
func (v *view) capture(ctx context.Context) error {
	for {
		f, err := v.Next(ctx)
		if err != nil {
			v.lost(err)
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("view %s: %w", v.Name, err)
			}
			return err
		}
		v.live(f)
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
	s.Skipped = int64(v.box.Skipped())
	return s
}

// stop waits for the capture to end, which the context of start brings about.
func (v *view) stop() error {
	<-v.done
	if f, ok := v.box.Take(); ok {
		f.Release()
	}
	return nil
}
