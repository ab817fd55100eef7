//go:build amd64 || arm64

package v4l2

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/edge"
	"github.com/visualrwkv/edged/internal/fakev4l2"
	"github.com/visualrwkv/edged/internal/procmem"
)

// A hundred thousand pictures take as much memory as ten thousand.
func TestMemoryOfACamera(t *testing.T) {
	n, most := 100_000, int64(1<<20)
	if testing.Short() { // with the race detector too, which keeps things of its own; 45 of the pictures would be 27 MB
		n, most = 5000, 8<<20
	}
	plug(t, fast(0))
	c := watch(t, "video40", camera.Options{}, nil)
	defer c.Close()
	// held is the resident memory without garbage.
	held := func() int64 {
		runtime.GC()
		debug.FreeOSMemory()
		return procmem.Resident()
	}
	var early int64
	for i := range n {
		f, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			if err := f.Decode(); err != nil {
				t.Fatal(err)
			}
		}
		f.Release()
		if i == n/10 {
			early = held()
		}
	}
	late := held()
	t.Logf("resident: %d KiB after %d pictures, %d KiB after %d", early>>10, n/10, late>>10, n)
	if late > early+most {
		t.Errorf("it grew by more than %d KiB", most>>10)
	}
	if s := c.Status(); s.Faults != 0 || s.Frames != uint64(n) {
		t.Errorf("%+v", s)
	}
}

// BenchmarkFirstFrame is from opening a camera of 25 pictures a second to its first one.
// What a real camera's own start takes comes on top.
func BenchmarkFirstFrame(b *testing.B) {
	plug(b, fakev4l2.Options{Path: "/dev/video40", Formats: vga})
	for b.Loop() {
		c := watch(b, "video40", camera.Options{}, nil)
		f, err := c.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		f.Release()
		c.Close()
	}
}

// BenchmarkFourViews is the load of one core by four views of 640x480 at 25 pictures a
// second, up to their mailboxes or with each picture decoded, in percent. What the answers to
// system calls take is not part of it: with real cameras the kernel and the bus do that.
func BenchmarkFourViews(b *testing.B) {
	for _, fourCC := range []string{"YUYV", "MJPG"} {
		for _, decoded := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/decoded=%v", fourCC, decoded), func(b *testing.B) { benchmarkViews(b, 4, fourCC, decoded) })
		}
	}
}

// benchmarkViews watches for a second in each iteration.
func benchmarkViews(b *testing.B, n int, fourCC string, decoded bool) {
	ctx, cancel := context.WithCancel(b.Context())
	var all sync.WaitGroup
	var cams []*camera.Camera
	for i := range n {
		path := fmt.Sprintf("video%d", 40+i)
		plug(b, fakev4l2.Options{Path: "/dev/" + path, Formats: []fakev4l2.Format{{FourCC: fourCC, Width: 640, Height: 480, Rates: []int{25}}}})
		c := watch(b, path, camera.Options{}, nil)
		cams = append(cams, c)
		filled := make(chan struct{}, 1)
		box := edge.NewMailbox(false, filled, camera.Frame.Release)
		all.Go(func() {
			defer c.Close()
			for {
				f, err := c.Next(ctx)
				if err != nil {
					box.Close(err)
					return
				}
				box.Put(ctx, f)
			}
		})
		if !decoded {
			continue
		}
		all.Go(func() {
			for {
				select {
				case <-filled:
				case <-ctx.Done():
					return
				}
				if f, ok := box.Take(); ok {
					if err := f.Decode(); err != nil {
						b.Error(err)
					}
					f.Release()
				}
			}
		})
	}
	for _, c := range cams {
		until(b, "a camera is live", func() bool { return c.Status().Frames > 10 })
	}
	frames := func() (n uint64) {
		for _, c := range cams {
			n += c.Status().Frames
		}
		return n
	}
	before, used, start := frames(), cpuTime(b), time.Now()
	for b.Loop() {
		time.Sleep(time.Second)
	}
	wall := time.Since(start).Seconds()
	b.ReportMetric(100*(cpuTime(b)-used).Seconds()/wall, "%core")
	b.ReportMetric(float64(frames()-before)/wall, "pictures/s")
	cancel()
	all.Wait()
}

// cpuTime is that of this process, without the fake cameras.
func cpuTime(b *testing.B) time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	fake, err := fakev4l2.CPUTime()
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano()+r.Stime.Nano()) - fake
}
