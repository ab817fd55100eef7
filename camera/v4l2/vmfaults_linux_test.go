package v4l2

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
)

// The buttons of vivid, vivid-ctrls.c.
const (
	dropPercent   = 0x00f0f040
	disconnect    = 0x00f0f041
	errorFlag     = 0x00f0f042
	reqbufsError  = 0x00f0f043
	qbufError     = 0x00f0f044
	streamonError = 0x00f0f045
	fatalError    = 0x00f0f046
)

// press sets a control of a camera that somebody else may be streaming from. A
// camera that was disconnected is there again when all have closed it.
func press(t *testing.T, path string, id uint32, value int32) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Error(path, err)
		return
	}
	defer unix.Close(fd)
	if err := ioctl(uintptr(fd), reqSetCtrl, &control{id, value}); err != nil {
		t.Errorf("%s: control %#x: %v", path, id, err)
	}
}

// holdsVideo reports whether a video node is open.
func holdsVideo() bool {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "/dev/video") {
			return true
		}
	}
	return false
}

// Every fault that vivid knows, twenty times, five on each camera; the cameras
// come back each time.
func TestVMFaults(t *testing.T) {
	needVM(t)
	faults := []struct {
		name   string
		inject func(t *testing.T, path string)
		again  func(t *testing.T, path string)
		bad    bool // it damages a picture and no more
	}{
		{"fatal error", func(t *testing.T, p string) { press(t, p, fatalError, 1) }, nil, false},
		{"disconnect", func(t *testing.T, p string) { press(t, p, disconnect, 1) }, nil, false},
		{"QBUF", func(t *testing.T, p string) { press(t, p, qbufError, 1) }, nil, false},
		{"REQBUFS", func(t *testing.T, p string) { press(t, p, reqbufsError, 1); press(t, p, fatalError, 1) }, nil, false},
		{"STREAMON", func(t *testing.T, p string) { press(t, p, streamonError, 1); press(t, p, fatalError, 1) }, nil, false},
		{"dropped", func(t *testing.T, p string) { press(t, p, dropPercent, 100) }, func(t *testing.T, p string) { press(t, p, dropPercent, 0) }, false},
		{"error flag", func(t *testing.T, p string) { press(t, p, errorFlag, 1) }, nil, true},
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			leaksNothing(t)
			together(func(n int) {
				c, path := vmCamera(t, n)
				defer c.Close()
				for range 5 {
					if _, ok := next(t, c); !ok {
						return
					}
					before := c.Status()
					f.inject(t, path)
					if f.again != nil {
						time.AfterFunc(settle+500*time.Millisecond, func() { f.again(t, path) })
					}
					for range 200 {
						if _, ok := next(t, c); !ok {
							return
						}
						s := c.Status()
						if f.bad && s.Bad > before.Bad || !f.bad && s.Faults > before.Faults {
							break
						}
					}
					s := c.Status()
					if f.bad && (s.Bad != before.Bad+1 || s.Faults != before.Faults) || !f.bad && s.Faults == before.Faults {
						t.Errorf("before %+v, after %+v", before, s)
					}
				}
			})
		})
	}
}

// A thousand starts that fail leave nothing behind, and the next one succeeds.
func TestVMFailedStarts(t *testing.T) {
	needVM(t)
	leaksNothing(t)
	mode := Mode{Format: fourCC("YUYV"), Width: 640, Height: 480}
	for i := range 1000 {
		press(t, "/dev/video0", []uint32{streamonError, qbufError, reqbufsError}[i%3], 1)
		d, err := openDevice("/dev/video0")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.setMode(mode); err != nil {
			t.Fatal(err)
		}
		if err := d.start(); !errors.Is(err, unix.EINVAL) {
			t.Fatalf("start %d: %v", i, err)
		}
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
		if now := holds(t).mappings; now != 0 {
			t.Fatalf("%d buffers are mapped after failed start %d", now, i)
		}
	}
	s, err := newOpener("video0", &camera.Options{}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
}

// Cameras that are pulled out, nodes and all, twenty times each, are back within
// three seconds of the moment that their node is there again. The clock of the
// machine counts its own instructions (see vm.sh), so that this holds whatever
// else the host does.
func TestVMUnplugged(t *testing.T) {
	needVM(t)
	leaksNothing(t)
	var cams [vmCameras]*camera.Camera
	var paths [vmCameras]string
	for n := range cams {
		cams[n], paths[n] = vmCamera(t, n)
		defer cams[n].Close()
		next(t, cams[n])
	}
	bind := func(what string) {
		if err := os.WriteFile("/sys/bus/platform/drivers/vivid/"+what, []byte("vivid.0"), 0); err != nil {
			t.Error(err)
		}
	}
	var longest [vmCameras]time.Duration
	for range 20 {
		bind("unbind")
		// Whoever still holds an old node keeps its number, and the new ones get
		// others: a spec of a number then means nothing.
		time.AfterFunc(100*time.Millisecond, func() {
			for range 500 {
				if holds(t).mappings == 0 && !holdsVideo() {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			bind("bind")
		})
		together(func(n int) {
			faults := cams[n].Status().Faults
			for range 200 {
				if _, ok := next(t, cams[n]); !ok {
					return
				}
				if cams[n].Status().Faults > faults {
					longest[n] = max(longest[n], time.Since(made(t, paths[n])))
					return
				}
			}
			t.Errorf("camera %d did not notice", n)
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("back after at most %v", longest)
	for n, d := range longest {
		if d > 3*time.Second {
			t.Errorf("camera %d was back after %v", n, d)
		}
	}
}

// made is when the kernel made a node.
func made(t *testing.T, path string) time.Time {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Error(path, err)
	}
	return time.Unix(st.Ctim.Unix())
}
