package v4l2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
)

// These tests need cameras that fail when told to: the vivid driver, in the
// machine of scripts/vm.sh ("make test-vm"), where EDGED_VM is set.

const vmCameras = 4

func needVM(t *testing.T) {
	if os.Getenv("EDGED_VM") == "" {
		t.Skip("needs the virtual machine of make test-vm")
	}
}

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

// held is what a process has of its cameras.
type held struct{ goroutines, files, mappings int }

func holds(t *testing.T) held {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return held{runtime.NumGoroutine(), len(files), strings.Count(string(maps), "/dev/video")}
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

// leaksNothing compares with what was held before, once what ends has ended.
func leaksNothing(t *testing.T) {
	t.Helper()
	before := holds(t)
	t.Cleanup(func() {
		var now held
		for range 100 {
			if now = holds(t); now == before {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("held before %+v, now %+v", before, now)
	})
}

// vmCamera opens a vivid camera, with less patience than real ones need.
func vmCamera(t *testing.T, n int) (*camera.Camera, string) {
	t.Helper()
	path := fmt.Sprintf("/dev/video%d", n)
	c, err := camera.Open("v4l2:"+path, &camera.Options{
		Kinds: map[string]func(string, *camera.Options) (camera.Kind, error){
			"v4l2": func(spec string, o *camera.Options) (camera.Kind, error) {
				p := &opener{spec: spec, opts: o, pics: camera.NewPictures(nil), settle: time.Second}
				k := p.kind()
				k.MaxWait = 500 * time.Millisecond
				return k, nil
			}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		c.Notify(func(s camera.Status) { fmt.Println(s) })
	}
	return c, path
}

// next takes a good frame, and looks at it.
func next(t *testing.T, c *camera.Camera) (camera.Frame, bool) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	f, err := c.Next(ctx)
	if err == nil {
		err = f.Decode()
	}
	if err != nil {
		t.Errorf("%v: %v", c.Status(), err)
		return f, false
	}
	defer f.Release()
	m := f.Image.(*camera.RGB)
	for _, v := range m.Pix {
		if v != m.Pix[0] {
			return f, true
		}
	}
	t.Errorf("%v: a picture without any contrast", c.Status())
	return f, false
}

func TestVMList(t *testing.T) {
	needVM(t)
	leaksNothing(t)
	nodes := List()
	if len(nodes) != vmCameras {
		t.Fatalf("%d nodes: %+v", len(nodes), nodes)
	}
	for _, n := range nodes {
		if n.Reason != "" || n.Mode == "" || n.Driver != "vivid" || len(n.Formats) < 10 || n.Formats[0].FourCC.String() != "YUYV" {
			t.Errorf("%+v", n)
		}
	}
	c, _ := vmCamera(t, 0)
	defer c.Close()
	next(t, c)
	if n := List()[0]; !strings.Contains(n.Reason, "in use") {
		t.Errorf("a camera that streams: %+v", n)
	}
	next(t, c)
	if s := c.Status(); s.Faults != 0 {
		t.Errorf("being listed disturbed it: %+v", s)
	}
}

// together runs f for each camera at the same time.
func together(f func(n int)) {
	var wg sync.WaitGroup
	for n := range vmCameras {
		wg.Go(func() { f(n) })
	}
	wg.Wait()
}

func TestVMStreams(t *testing.T) {
	needVM(t)
	leaksNothing(t)
	together(func(n int) {
		c, _ := vmCamera(t, n)
		defer c.Close()
		var last camera.Frame
		for i := range 50 {
			f, ok := next(t, c)
			if !ok {
				return
			}
			if i > 0 && (f.Seq <= last.Seq || !f.Time.After(last.Time)) {
				t.Errorf("picture %d of %v follows %d of %v", f.Seq, f.Time, last.Seq, last.Time)
			}
			if age := time.Since(f.Time); age < 0 || age > 20*time.Second {
				t.Errorf("a picture of %v ago", age)
			}
			last = f
		}
		if s := c.Status(); s.Faults != 0 || s.Bad != 0 || !strings.HasPrefix(s.How, "YUYV 640x") {
			t.Errorf("%+v", s)
		}
	})
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
						time.AfterFunc(1500*time.Millisecond, func() { f.again(t, path) })
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
	p := &opener{spec: "video0", opts: &camera.Options{}, pics: camera.NewPictures(nil), settle: time.Second}
	s, err := p.open(t.Context())
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

// Cameras that are pulled out, nodes and all, twenty times each, come back. How
// soon is logged: under emulation it says little.
func TestVMUnplugged(t *testing.T) {
	needVM(t)
	leaksNothing(t)
	var cams [vmCameras]*camera.Camera
	for n := range cams {
		cams[n], _ = vmCamera(t, n)
		defer cams[n].Close()
		next(t, cams[n])
	}
	bind := func(what string) {
		if err := os.WriteFile("/sys/bus/platform/drivers/vivid/"+what, []byte("vivid.0"), 0); err != nil {
			t.Error(err)
		}
	}
	var longest time.Duration
	for range 20 {
		bind("unbind")
		plugged := make(chan time.Time, 1)
		// Whoever still holds an old node keeps its number, and the new ones get
		// others: a spec of a number then means nothing.
		go func() {
			for range 500 {
				if time.Sleep(20 * time.Millisecond); holds(t).mappings == 0 && !holdsVideo() {
					break
				}
			}
			bind("bind")
			plugged <- time.Now()
		}()
		together(func(n int) {
			faults := cams[n].Status().Faults
			for range 200 {
				if _, ok := next(t, cams[n]); !ok || cams[n].Status().Faults > faults {
					return
				}
			}
			t.Errorf("camera %d did not notice", n)
		})
		longest = max(longest, time.Since(<-plugged))
		if t.Failed() {
			return
		}
	}
	t.Logf("all back after at most %v", longest)
}

// The binary beside this test lists the cameras and takes their pictures.
func TestVMCams(t *testing.T) {
	needVM(t)
	dir := t.TempDir()
	out, err := exec.Command("./edged", "cams", "-json", "-snap", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got struct {
		Cameras []struct {
			OK   bool
			Snap string
		}
	}
	if err := json.Unmarshal(out, &got); err != nil || len(got.Cameras) != vmCameras {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range got.Cameras {
		f, err := os.Open(c.Snap)
		if err != nil || !c.OK {
			t.Fatalf("%+v, %v", c, err)
		}
		defer f.Close()
		img, err := png.Decode(f)
		if err != nil || img.Bounds().Dx() < 320 {
			t.Errorf("%s: %v", c.Snap, err)
		}
	}
}
