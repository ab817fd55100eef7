package v4l2

import (
	"context"
	"fmt"
	"image/color"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// shown is what a camera shows, as somebody sees who looks all the time.
type shown struct {
	cam *camera.Camera

	mu    sync.Mutex
	taken time.Time // the newest picture
	gray  int       // its brightness
}

// show opens a camera by a spec and looks until the test ends.
func show(t *testing.T, spec string) *shown {
	s := &shown{cam: openVM(t, spec, &camera.Options{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			f, err := s.cam.Next(ctx)
			if err == nil {
				err = f.Decode()
			}
			if err != nil {
				return
			}
			gray := int(color.GrayModel.Convert(f.Image.At(80, 60)).(color.Gray).Y)
			s.mu.Lock()
			s.taken, s.gray = f.Time, gray
			s.mu.Unlock()
			f.Release()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		s.cam.Close()
	})
	return s
}

// Webcams that are plugged into other ports in another order get other numbers, and are
// found again by their serial number and their name by-id; by-path is whatever is plugged
// in there. Four times, half of them so soon that old nodes may still be open.
func TestVMIdentity(t *testing.T) {
	needVM(t)
	leaksNothing(t)
	const place = 5 // the port that is known by-path
	a, b := &usbCamera{serial: "A1", luma: 50}, &usbCamera{serial: "B2", luma: 100}
	guests := []*usbCamera{{serial: "C3", luma: 150}, {serial: "D4", luma: 200}}

	var in []*usbCamera
	var at map[string]string
	plug := func(w *usbCamera, port int) {
		w.plug(t, port)
		in = append(in, w)
		until(t, "a node for "+w.serial, func() bool {
			at = udev(t)
			return at[w.serial] != ""
		})
	}
	unplug := func() {
		for _, w := range in {
			w.unplug(t)
		}
		in = nil
		until(t, "no webcam is there", func() bool { return len(udev(t)) == 0 })
	}
	t.Cleanup(unplug)
	plug(a, 0)
	plug(b, 1)
	plug(guests[0], place)
	for _, n := range List() {
		switch at[n.Serial] {
		case n.Path:
			if n.Driver != "uvcvideo" || n.Reason != "" || n.Mode == "" || n.Spec != "v4l2:by-id/usb-edged_webcam_"+n.Serial+"-video-index0" {
				t.Errorf("%+v", n)
			}
		default: // of vivid, or with data beside the pictures of a webcam
			if n.Serial != "" && n.Reason == "" {
				t.Errorf("%+v", n)
			}
		}
	}

	bySerial, byName := show(t, "serial:A1"), show(t, "by-id/usb-edged_webcam_B2-video-index0")
	byPlace := show(t, fmt.Sprintf("by-path/platform-vhci_hcd.0-usb-0:%d:1.0-video-index0", place+1))
	var unplugged time.Time
	moved, longest := 0, time.Duration(0)
	for round := range 5 {
		guest := guests[round%2]
		if round > 0 {
			before := maps.Clone(at)
			unplug()
			unplugged = time.Now()
			if round%4 < 2 {
				until(t, "nodes are let go", func() bool { return !holdsVideo() })
			}
			if round%2 == 0 {
				plug(a, 0)
				plug(b, 1)
				plug(guest, place)
			} else {
				plug(b, 0)
				plug(guest, place)
				plug(a, 1)
			}
			for serial, path := range at {
				if was := before[serial]; was != "" && was != path {
					moved++
				}
			}
		}
		replugged := time.Now()
		for s, w := range map[*shown]*usbCamera{bySerial: a, byName: b, byPlace: guest} {
			want := (int(w.luma) - 16) * 255 / 219 // limited range
			until(t, w.serial+" is seen", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				if !s.taken.After(unplugged) {
					return false
				}
				if s.gray < want-2 || s.gray > want+2 {
					t.Fatalf("%v shows a picture of brightness %d, %s has %d", s.cam.Status(), s.gray, w.serial, want)
				}
				return true
			})
		}
		longest = max(longest, time.Since(replugged))
	}
	t.Logf("%d times another number; all back after at most %v", moved, longest)
	if moved < 4 {
		t.Errorf("webcams had another number only %d times", moved)
	}
	if longest > 3*time.Second {
		t.Errorf("webcams were back after %v", longest)
	}
}
