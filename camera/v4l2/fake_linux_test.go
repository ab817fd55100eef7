//go:build amd64 || arm64

package v4l2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blackjack/webcam"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/internal/fakev4l2"
)

// These tests need cameras that do as they are told: the whole of this package runs, down
// to its system calls, which package fakev4l2 answers.

var errFake error

func TestMain(m *testing.M) {
	if os.Getenv("EDGED_VM") == "" { // there the tests have real drivers, and start programs
		errFake = fakev4l2.Install()
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

func needFake(t testing.TB) {
	t.Helper()
	switch {
	case os.Getenv("EDGED_VM") != "":
		t.Skip("this machine has real drivers")
	case errFake == nil:
	case os.Getenv("CI") != "" && !errors.Is(errFake, unix.ENOSYS): // as under emulation
		t.Fatal("continuous integration must allow this: ", errFake)
	default:
		t.Skip("no fake cameras: ", errFake)
	}
}

// vga is what a usual webcam offers.
var vga = []fakev4l2.Format{
	{FourCC: "YUYV", Width: 640, Height: 480, Rates: []int{25, 10, 5}},
	{FourCC: "YUYV", Width: 320, Height: 240, Rates: []int{25, 10, 5}},
	{FourCC: "MJPG", Width: 640, Height: 480, Rates: []int{25, 10, 5}},
	{FourCC: "MJPG", Width: 320, Height: 240, Rates: []int{25, 10, 5}},
	{FourCC: "MJPG", Width: 160, Height: 120, Rates: []int{25, 10, 5}},
}

// fast is a small camera that has a picture whenever one is wanted.
func fast(n int) fakev4l2.Options {
	return fakev4l2.Options{
		Path: fmt.Sprintf("/dev/video%d", 40+n), Fast: true,
		Formats: []fakev4l2.Format{{FourCC: "YUYV", Width: 160, Height: 120, Rates: []int{25}}},
	}
}

// plug makes a fake camera that nobody holds any more when the test ends.
func plug(t testing.TB, o fakev4l2.Options) *fakev4l2.Camera {
	t.Helper()
	needFake(t)
	f := fakev4l2.Plug(o)
	t.Cleanup(func() {
		f.Release()
		f.Unplug()
		for end := time.Now().Add(time.Minute); f.Opened()+f.Mapped() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: %d descriptors and %d mappings are left", o.Path, f.Opened(), f.Mapped())
				return
			}
		}
	})
	return f
}

// watch opens a camera as "v4l2:" does, with shorter pauses. tweak may be nil.
func watch(t testing.TB, path string, o camera.Options, tweak func(*opener, *camera.Kind)) *camera.Camera {
	t.Helper()
	o.Decode = func(b []byte) (image.Image, error) { return jpeg.Decode(bytes.NewReader(b)) }
	o.Kinds = map[string]func(string, *camera.Options) (camera.Kind, error){
		"v4l2": func(spec string, o *camera.Options) (camera.Kind, error) {
			p := newOpener(spec, o)
			k := p.kind()
			k.MaxWait = time.Millisecond
			if tweak != nil {
				tweak(p, &k)
			}
			return k, nil
		}}
	c, err := camera.Open("v4l2:"+path, &o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// one takes a picture within the test's patience.
func one(t testing.TB, c *camera.Camera) (camera.Frame, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f, err := c.Next(ctx)
	if err != nil {
		t.Errorf("%v: %v", c.Status(), err)
		return f, false
	}
	f.Release()
	return f, true
}

// Pictures of each format arrive whole, with rows apart as the driver says, in the order and
// with the time that it gives them.
func TestFakePictures(t *testing.T) {
	for _, f := range []fakev4l2.Format{
		{FourCC: "YUYV", Width: 320, Height: 240}, {FourCC: "YUYV", Width: 322, Height: 242, Pad: 7},
		{FourCC: "NV12", Width: 320, Height: 240}, {FourCC: "NV12", Width: 318, Height: 238, Pad: 5},
		{FourCC: "MJPG", Width: 320, Height: 240},
	} {
		t.Run(fmt.Sprintf("%s+%d", f.FourCC, f.Pad), func(t *testing.T) {
			f.Rates = []int{100}
			fake := plug(t, fakev4l2.Options{Path: "/dev/video40", Formats: []fakev4l2.Format{f}})
			c := watch(t, "video40", camera.Options{Width: 1000, Height: 700, Rate: 3, Controls: map[string]int32{"exposure_time_absolute": 77}}, nil)
			defer c.Close()
			var last camera.Frame
			for range 12 {
				p, err := c.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Decode(); err != nil {
					t.Fatal(err)
				}
				if p.Size != image.Pt(f.Width, f.Height) || p.Image.Bounds().Size() != p.Size {
					t.Errorf("size %v, picture %v", p.Size, p.Image.Bounds())
				}
				want := float64(fakev4l2.Luma(p.Seq))
				if f.FourCC != "MJPG" {
					want = (want - 16) * 255 / 219
				}
				if got := color.GrayModel.Convert(p.Image.At(5, 9)).(color.Gray).Y; math.Abs(float64(got)-want) > 3 {
					t.Errorf("picture %d has luma %d, want %.0f", p.Seq, got, want)
				}
				if age := time.Since(p.Time); last.Seq > 0 && (p.Seq <= last.Seq || !p.Time.After(last.Time)) || age < 0 || age > time.Minute {
					t.Errorf("picture %d, %v old, after %d, %v apart", p.Seq, age, last.Seq, p.Time.Sub(last.Time))
				}
				last = p
				p.Release()
			}
			if s := c.Status(); s.Bad != 0 || s.Faults != 0 || s.How != fmt.Sprintf("%s %dx%d at 100/s", f.FourCC, f.Width, f.Height) {
				t.Errorf("%+v", s)
			}
			if v := fake.Exposure(); v != 77 {
				t.Errorf("exposure %d", v)
			}
			fake.Damage(3)
			for c.Status().Bad < 3 {
				if _, ok := one(t, c); !ok {
					return
				}
			}
		})
	}
}

// A thousand starts fail, in each call and with each error in turn, and leave nothing
// behind; the next succeeds.
func TestFailedStarts(t *testing.T) {
	fake := plug(t, fast(0))
	calls := []fakev4l2.Call{
		fakev4l2.StreamOn, fakev4l2.Open, fakev4l2.EnqueueBuffer, fakev4l2.Mmap, fakev4l2.QueryBuffer, fakev4l2.RequestBuffers,
		fakev4l2.SetFormat, fakev4l2.GetFormat, fakev4l2.QueryCap,
	}
	numbers := []unix.Errno{unix.EIO, unix.EPIPE, unix.EINVAL, unix.ENOMEM, unix.ENODEV, unix.EPROTO}
	p := newOpener("video40", &camera.Options{})
	for i := range 1000 {
		call, no := calls[i%len(calls)], numbers[i%len(numbers)]
		if call == fakev4l2.StreamOn && i%2 == 0 {
			no = unix.ENOSPC
		}
		fake.Fail(call, no, -1)
		if call == fakev4l2.EnqueueBuffer || call == fakev4l2.Mmap {
			// Of four buffers, after some that are mapped.
			fake.Fail(call, no, 1)
		}
		if s, err := p.open(t.Context()); err == nil {
			s.Close()
			t.Fatalf("start %d succeeded, with %s failing", i, call)
		} else if !errors.Is(err, no) {
			t.Fatalf("start %d, %s: %v, want %v", i, call, err, no)
		}
		if fake.Opened() != 0 || fake.Mapped() != 0 {
			t.Fatalf("%s left %d descriptors and %d mappings", call, fake.Opened(), fake.Mapped())
		}
		fake.Release()
	}
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

// What the library does: one failed start, and the camera is in use by nobody for ever. If
// this fails the library was mended, and could start cameras for this package.
func TestLibraryLeaksMappings(t *testing.T) {
	fake := plug(t, fast(0))
	start := func() error {
		w, err := webcam.Open("/dev/video40")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.SetBufferCount(buffers)
		err = w.StartStreaming()
		for _, b := range reflect.ValueOf(w).Elem().FieldByName("buffers").Seq2() {
			t.Cleanup(func() { unix.Munmap(b.Bytes()) })
		}
		return err
	}
	fake.Fail(fakev4l2.StreamOn, unix.ENOSPC, 1)
	if err := start(); err == nil || fake.Mapped() != buffers {
		t.Errorf("%v, %d buffers are mapped", err, fake.Mapped())
	}
	if err := start(); err == nil || !strings.Contains(err.Error(), unix.EBUSY.Error()) {
		t.Errorf("the second start: %v", err)
	}
}

// Two hundred times pulled out, at once back or after a while, in the midst of pictures.
func TestUnplugs(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 20
	}
	fake := plug(t, fast(0))
	before := holds(t)
	c := watch(t, "video40", camera.Options{}, nil)
	var last uint64
	for i := range n {
		for range 1 + i%3 {
			f, ok := one(t, c)
			if !ok {
				return
			}
			if i > 0 && f.Seq <= last {
				t.Fatalf("picture %d after %d", f.Seq, last)
			}
			last = f.Seq
		}
		fake.Unplug()
		var replug sync.WaitGroup
		replug.Go(func() {
			if i%2 == 0 {
				for fake.Opened() > 0 { // somebody takes pictures, below
					time.Sleep(100 * time.Microsecond)
				}
			}
			fake.Replug()
		})
		for faults := c.Status().Faults; c.Status().Faults == faults; {
			if _, ok := one(t, c); !ok {
				return
			}
		}
		replug.Wait()
	}
	if s := c.Status(); s.State != camera.Live || s.Hung != 0 {
		t.Errorf("%+v", s)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	until(t, fmt.Sprintf("what was held before, %+v", before), func() bool { return holds(t) == before })
}
