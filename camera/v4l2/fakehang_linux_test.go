//go:build amd64 || arm64

package v4l2

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/internal/fakev4l2"
	"github.com/visualrwkv/edged/internal/procmem"
)

// Cameras that hang, one in each call that is made of a camera, all at once: the others keep
// their rate, and when the calls return all are back.
func TestHungInEachCall(t *testing.T) {
	needFake(t)
	// Where a camera is opened, and where it is closed after a fault.
	opening := []fakev4l2.Call{
		fakev4l2.Stat, fakev4l2.Open, fakev4l2.QueryCap, fakev4l2.EnumFormat, fakev4l2.EnumSizes, fakev4l2.EnumIntervals,
		fakev4l2.SetFormat, fakev4l2.GetFormat, fakev4l2.SetParameters, fakev4l2.QueryControl, fakev4l2.SetControl,
		fakev4l2.RequestBuffers, fakev4l2.QueryBuffer, fakev4l2.Mmap, fakev4l2.EnqueueBuffer, fakev4l2.StreamOn,
		fakev4l2.Poll, fakev4l2.DequeueBuffer,
	}
	closing := []fakev4l2.Call{fakev4l2.Munmap, fakev4l2.StreamOff, fakev4l2.Close}

	var consumers sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer func() {
		cancel()
		consumers.Wait()
	}()
	consume := func(o fakev4l2.Options, patience time.Duration) *camera.Camera {
		c := watch(t, o.Path, camera.Options{Rate: 100, Controls: map[string]int32{"exposure_time_absolute": 5}}, func(_ *opener, k *camera.Kind) {
			k.Patience = patience
			k.MaxWait = time.Second
		})
		consumers.Go(func() {
			defer c.Close()
			for {
				f, err := c.Next(ctx)
				if err != nil {
					return
				}
				f.Release()
			}
		})
		return c
	}
	at := func(n, rate int) fakev4l2.Options {
		o := fast(n)
		o.Fast, o.Formats[0].Rates = false, []int{rate}
		return o
	}

	var well []*camera.Camera
	for n := range 3 {
		plug(t, at(n, 100))
		well = append(well, consume(at(n, 100), time.Minute))
	}
	// rate is the part of the cameras' pictures that arrive, of a fixed number: one that is
	// late is overtaken by the next.
	rate := func() float64 {
		var frames, made uint64
		before := make([]camera.Status, len(well))
		for i, c := range well {
			until(t, "a camera that is well is live", func() bool { return c.Status().Frames > 0 })
			before[i] = c.Status()
		}
		for i, c := range well {
			until(t, "it has pictures", func() bool {
				s := c.Status()
				return s.Frames+s.Missed >= before[i].Frames+before[i].Missed+60
			})
		}
		for i, c := range well {
			s := c.Status()
			frames += s.Frames - before[i].Frames
			made += s.Frames + s.Missed - before[i].Frames - before[i].Missed
		}
		return float64(frames) / float64(made)
	}
	without := rate()

	const patience = time.Second // with those that hang
	hung := map[fakev4l2.Call]*fakev4l2.Camera{}
	cams := map[fakev4l2.Call]*camera.Camera{}
	for i, call := range append(opening, closing...) {
		n := 3 + i
		fake := plug(t, at(n, 5))
		hung[call] = fake
		fake.Hang(call, 1)
		cams[call] = consume(at(n, 5), patience)
		if i >= len(opening) {
			until(t, fmt.Sprintf("the camera that will hang in %s is live", call), func() bool { return cams[call].Status().Frames > 0 })
			fake.Fail(fakev4l2.DequeueBuffer, unix.EIO, 1)
		}
		until(t, fmt.Sprintf("%s hangs", call), func() bool { return fake.Hanging() == 1 })
	}

	// A busy machine makes pictures late too: only all tries together tell, and only where in one
	// of them other programs left the processors to this one.
	best, share := 0.0, 0.0
	for range 25 {
		before := procmem.ProcessorsSoFar()
		best = max(best, rate())
		share = max(share, procmem.ProcessorsSoFar().ShareSince(before))
		if best >= 0.95*without {
			break
		}
	}
	t.Logf("%.1f %% of the pictures arrive beside %d cameras that hang, %.1f %% without", 100*best, len(hung), 100*without)

	before := map[fakev4l2.Call]uint64{}
	for call, c := range cams {
		until(t, fmt.Sprintf("the hang in %s is noticed", call), func() bool { return c.Status().Hung > 0 })
		before[call] = c.Status().Frames
	}
	for _, fake := range hung {
		fake.Release()
	}
	for call, c := range cams {
		until(t, fmt.Sprintf("the camera that hung in %s is back", call), func() bool {
			s := c.Status()
			return s.Frames > before[call] && s.Hanging == 0
		})
	}
	// It may have become busy only since that was measured without.
	if after := rate(); best == 0 || best < 0.95*min(without, after) && share > 0.8 {
		t.Errorf("%.1f %% of the pictures arrive beside cameras that hang, %.1f %% without, and %.1f %% afterwards", 100*best, 100*without, 100*after)
	} else {
		t.Logf("afterwards %.1f %%; of the processor time that it could use it got %.0f %% at best", 100*after, 100*share)
	}
	for _, c := range well {
		if s := c.Status(); s.Faults+s.Hung != 0 {
			t.Errorf("%+v", s)
		}
	}
}
