//go:build amd64 || arm64

package v4l2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blackjack/webcam"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/internal/fakev4l2"
)

// onBus plugs cameras into a bus with room for so many bytes a second. Unlike their number
// the name of the bus is that of the test: what is known of a bus is kept.
func onBus(t *testing.T, n, capacity int) []*fakev4l2.Camera {
	bus := &fakev4l2.Bus{Name: "usb-" + t.Name(), Capacity: capacity}
	var all []*fakev4l2.Camera
	for i := range n {
		all = append(all, plug(t, fakev4l2.Options{
			Path: fmt.Sprintf("/dev/video%d", 40+i), Bus: bus, Port: fmt.Sprintf("1.%d", i+1), Formats: vga, Fast: true,
		}))
	}
	return all
}

// watched is a camera that somebody takes pictures from as they come.
type watched struct {
	*camera.Camera
	cancel context.CancelFunc
	done   chan struct{}

	mu  sync.Mutex
	log []string
}

func watchAll(t *testing.T, path string, turn time.Duration, tweaks ...func(*opener)) *watched {
	w := &watched{done: make(chan struct{})}
	w.Camera = watch(t, path, camera.Options{Rate: 25}, func(p *opener, k *camera.Kind) {
		p.turn = turn
		for _, tweak := range tweaks {
			tweak(p)
		}
		k.MaxWait = 20 * time.Millisecond
	})
	w.Notify(func(s camera.Status) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.log = append(w.log, s.String())
	})
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	go func() {
		defer close(w.done)
		for {
			f, err := w.Next(ctx)
			if err != nil {
				w.Close()
				return
			}
			f.Release()
			time.Sleep(time.Millisecond)
		}
	}()
	t.Cleanup(w.stop)
	return w
}

func (w *watched) stop() {
	w.cancel()
	<-w.done
}

func (w *watched) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.log)
}

// A camera that comes to a bus that is full gets a place, as both do with less. When one
// is gone the other has all.
func TestBusMakesRoom(t *testing.T) {
	const turn = 20 * time.Millisecond
	// Room for YUYV of 640x480 at 25/s, or for MJPEG of it twice.
	fakes := onBus(t, 2, 15.37e6)
	a := watchAll(t, "video40", turn)
	until(t, "the first camera is live", func() bool { return a.Status().How == "YUYV 640x480 at 25/s" })
	b := watchAll(t, "video41", turn)
	const how = "MJPG 640x480 at 25/s, as its USB bus has no room for YUYV 640x480 at 25/s"
	until(t, "both cameras have a place", func() bool { return a.Status().How == how && b.Status().How == how })
	frames := [2]uint64{a.Status().Frames, b.Status().Frames}
	until(t, "both have pictures", func() bool { return a.Status().Frames > frames[0]+100 && b.Status().Frames > frames[1]+100 })
	for _, c := range []*watched{a, b} {
		// How it was, that room is made if there was a picture meanwhile, and how it is.
		if log := c.lines(); c.Status().How != how || len(log) < 2 || len(log) > 3 || !strings.HasSuffix(log[len(log)-1], ": live: "+how) {
			t.Errorf("%+v\n%s", c.Status(), strings.Join(log, "\n"))
		}
	}
	if a.Status().Faults != 0 {
		t.Errorf("making room is a fault: %+v", a.Status())
	}
	fakes[0].Unplug()
	until(t, "the other one has all", func() bool { return b.Status().How == "YUYV 640x480 at 25/s" })
	if s := b.lines()[0]; !strings.Contains(s, "no room on its USB bus") || !strings.Contains(s, "the other cameras there are asked to make some") {
		t.Error(s)
	}
}

// Three cameras, and room for one alone, at its best: they take turns, for ever, and say so
// once. What is left when two are gone is one that is not disturbed.
func TestBusTakesTurns(t *testing.T) {
	const turn = 30 * time.Millisecond
	fakes := onBus(t, 3, 16e6)
	for _, f := range fakes {
		f.Reserve(15e6) // whatever they send, as cheap ones do
	}
	var all []*watched
	for i := range fakes {
		all = append(all, watchAll(t, fmt.Sprintf("video%d", 40+i), turn))
	}
	starts := func() (least int) {
		least = 1 << 30
		for _, f := range fakes {
			least = min(least, f.Calls(fakev4l2.StreamOff))
		}
		return least
	}
	until(t, "all take turns", func() bool {
		return !slices.ContainsFunc(all, func(w *watched) bool {
			return !strings.HasSuffix(w.Status().How, "for its 3 cameras together: pictures for 30ms of every 90ms")
		})
	})
	var lines, faults int
	for _, w := range all {
		s := w.Status()
		if s.State != camera.Live || !strings.HasPrefix(s.How, "in turns of 30ms, as the USB bus usb-TestBusTakesTurns has no room") {
			t.Errorf("%+v", s)
		}
		lines += len(w.lines())
		faults += int(s.Faults)
	}
	now := starts()
	until(t, "each had five turns more", func() bool { return starts() >= now+5 })
	for _, w := range all {
		lines -= len(w.lines())
		faults -= int(w.Status().Faults)
	}
	if lines != 0 || faults != 0 {
		t.Errorf("%d lines and %d faults while they took turns", -lines, -faults)
	}

	fakes[1].Unplug()
	all[2].stop()
	until(t, "the last camera is alone", func() bool {
		n := fakes[0].Calls(fakev4l2.StreamOn)
		time.Sleep(5 * turn)
		return fakes[0].Streams() && fakes[0].Calls(fakev4l2.StreamOn) == n
	})
	until(t, "it says so", func() bool { return strings.HasPrefix(all[0].Status().How, "YUYV 640x480") })

	fakes[1].Replug()
	until(t, "the camera that was pulled out is back", func() bool {
		n := all[1].Status().Frames
		time.Sleep(turn)
		return all[1].Status().Frames > n
	})
}

// A bus that other programs fill: the cameras say so, and those that have a place are not
// asked for it for ever.
func TestBusIsFull(t *testing.T) {
	const turn = 10 * time.Millisecond
	fakes := onBus(t, 2, 16e6)
	fakes[1].Reserve(17e6)
	b := watchAll(t, "video41", turn)
	until(t, "it was refused a few times", func() bool { return b.Status().Faults > 2*maxLone })
	if log := b.lines(); len(log) != 1 || !strings.HasSuffix(log[0], "no room on its USB bus: plug it into another port, or ask for smaller pictures or fewer") {
		t.Errorf("%q", log)
	}
	a := watchAll(t, "video40", turn)
	until(t, "the other camera has pictures", func() bool { return a.Status().Frames > 200 })
	if n := fakes[0].Calls(fakev4l2.StreamOn); n != 1 || a.Status().How != "YUYV 640x480 at 25/s" {
		t.Errorf("it was started %d times, %v", n, a.Status())
	}
}

// What another program leaves of a bus is used, and what it gives back too, after a while; not
// a word is said of times at which there is none.
func TestBusTriesForMore(t *testing.T) {
	// Room for YUYV of 640x480 at 25/s, but not beside pictures of 320x240.
	fakes := onBus(t, 2, 16e6)
	other, err := webcam.Open("/dev/video41")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, _, _, err := other.SetImageFormat(webcam.PixelFormat(fourCC("YUYV")), 320, 240); err != nil {
		t.Fatal(err)
	}
	other.SetBufferCount(buffers)
	if err := other.StartStreaming(); err != nil {
		t.Fatal(err)
	}
	a := watchAll(t, "video40", 20*time.Millisecond, func(p *opener) { p.retry = 30 * time.Millisecond })
	until(t, "it has asked for more three times", func() bool { return fakes[0].Calls(fakev4l2.StreamOn) > 3*2 })
	const how = "MJPG 640x480 at 25/s, as its USB bus has no room for YUYV 640x480 at 25/s"
	if log := a.lines(); len(log) != 1 || a.Status().How != how {
		t.Errorf("%v\n%s", a.Status(), strings.Join(log, "\n"))
	}
	if err := other.StopStreaming(); err != nil {
		t.Fatal(err)
	}
	until(t, "it has all", func() bool { return a.Status().How == "YUYV 640x480 at 25/s" })
	n := fakes[0].Calls(fakev4l2.StreamOn)
	frames := a.Status().Frames
	until(t, "it has more pictures", func() bool { return a.Status().Frames > frames+100 })
	if fakes[0].Calls(fakev4l2.StreamOn) != n {
		t.Error("it asks for more than all")
	}
}
