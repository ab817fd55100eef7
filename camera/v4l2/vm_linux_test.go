package v4l2

import (
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

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

// held is what a process has of its cameras.
type held struct{ goroutines, files, mappings int }

func holds(t *testing.T) held {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps") // first: the runtime opens two files of its own with it
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return held{runtime.NumGoroutine(), len(files), strings.Count(string(maps), "/dev/video")}
}

// leaksNothing compares with what was held before, once what ends has ended.
func leaksNothing(t *testing.T) {
	t.Helper()
	time.Sleep(20 * time.Millisecond) // the test before this one ends
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

// vmCamera opens a vivid camera as any other, with pictures that cost little.
func vmCamera(t *testing.T, n int) (*camera.Camera, string) {
	t.Helper()
	path := fmt.Sprintf("/dev/video%d", n)
	return openVM(t, path, &camera.Options{Width: 320, Height: 180, Rate: 30}), path
}

// openVM opens a node, and logs what is said of it.
func openVM(t *testing.T, path string, o *camera.Options) *camera.Camera {
	t.Helper()
	o.Kinds = map[string]func(string, *camera.Options) (camera.Kind, error){"v4l2": Kind}
	c, err := camera.Open("v4l2:"+path, o)
	if err != nil {
		t.Fatal(err)
	}
	c.Notify(func(s camera.Status) { t.Log(s) })
	return c
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
	m := f.Image
	for y := 0; y < f.Size.Y; y += 8 {
		for x := 0; x < f.Size.X; x += 8 {
			if m.At(x, y) != m.At(0, 0) {
				return f, true
			}
		}
	}
	t.Errorf("%v: a picture without any contrast", c.Status())
	return f, false
}

func TestVMList(t *testing.T) {
	needVM(t)
	leaksNothing(t)
	nodes := List()
	if len(nodes) != vmCameras+1 {
		t.Fatalf("%d nodes: %+v", len(nodes), nodes)
	}
	if n := nodes[vmCameras]; n.Path != loopback || n.Reason == "" || n.Mode != "" {
		t.Errorf("a loopback into which nobody writes: %+v", n)
	}
	for _, n := range nodes[:vmCameras] {
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
		c := openVM(t, fmt.Sprintf("/dev/video%d", n), &camera.Options{Rate: 30})
		defer c.Close()
		var last camera.Frame
		for i := range 25 {
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
	if err := json.Unmarshal(out, &got); err != nil || len(got.Cameras) != vmCameras+1 || got.Cameras[vmCameras].OK {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range got.Cameras[:vmCameras] {
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
