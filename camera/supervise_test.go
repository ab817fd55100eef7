package camera

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// flaky is a camera that delivers left pictures and then fails with err. The
// calls that hang wait for release, as a call into a broken driver does.
type flaky struct {
	left    int
	err     error
	hang    string // open, next or close
	release chan struct{}
	open    *atomic.Int64
}

func (f *flaky) Next(ctx context.Context) (Frame, error) {
	if f.left == 0 {
		if f.hang == "next" {
			<-f.release
		}
		return Frame{}, f.err
	}
	f.left--
	return NewFrame(image.NewGray(image.Rect(0, 0, 4, 2)), time.Now(), 0, nil), nil
}

func (f *flaky) Close() error {
	if f.hang == "close" {
		<-f.release
	}
	f.open.Add(-1)
	return nil
}

// attempts makes one camera after the other, the last again and again.
func attempts(all ...flaky) (*Camera, *atomic.Int64) {
	open := new(atomic.Int64)
	var n atomic.Int64 // an attempt that hangs may still be there when the next one begins
	return newCamera("test:", Kind{Open: func(ctx context.Context) (Source, error) {
		f := all[min(int(n.Add(1)), len(all))-1]
		f.open = open
		if f.hang == "open" {
			<-f.release
		}
		if f.err != nil && f.left == 0 && f.hang == "" {
			return nil, f.err
		}
		open.Add(1)
		return &f, nil
	}}), open
}

func take(t *testing.T, c *Camera, n int) {
	t.Helper()
	for range n {
		f, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
}

func TestCameraComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		gone, full := errors.New("unplugged"), errors.New("no bandwidth")
		c, open := attempts(flaky{err: gone}, flaky{err: gone}, flaky{left: 2, err: gone}, flaky{left: 3, err: full}, flaky{left: 1e6})
		c.Notify(func(s Status) { log = append(log, s.String()) })
		take(t, c, 6)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		want := "test:: reconnecting: unplugged|test:: live|test:: reconnecting: unplugged|test:: live|test:: reconnecting: no bandwidth|test:: live"
		if got := strings.Join(log, "|"); got != want {
			t.Errorf("log\n%s\nwant\n%s", got, want)
		}
		s := c.Status()
		if s.Frames != 6 || s.Attempts != 5 || s.Faults != 4 || s.Hung != 0 || s.State != Live {
			t.Errorf("%+v", s)
		}
		if n := open.Load(); n != 0 {
			t.Errorf("%d cameras are still open", n)
		}
	})
}

// A camera that is absent for a week is asked about every two seconds, not more
// often and not less.
func TestCameraAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := 0
		c, _ := attempts(flaky{err: errors.New("no such device")})
		c.Notify(func(Status) { lines++ })
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		day := uint64(24 * time.Hour / defaultMaxWait)
		if s := c.Status(); s.Attempts < day-day/10 || s.Attempts > day+day/10+10 || s.Faults != s.Attempts || lines != 1 {
			t.Errorf("%d lines, %+v", lines, s)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestCameraHangs(t *testing.T) {
	for _, call := range []string{"open", "next", "close"} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			hangs := flaky{hang: call, err: errors.New("unplugged"), release: release}
			c, open := attempts(flaky{left: 1, err: errors.New("unplugged")}, hangs, flaky{left: 1e6})
			take(t, c, 2)
			if s := c.Status(); s.Hung != 1 || s.Hanging != 1 || s.Attempts != 3 {
				t.Errorf("%s: %+v", call, s)
			}
			close(release)
			synctest.Wait()
			if s := c.Status(); s.Hanging != 0 || open.Load() != 1 {
				t.Errorf("%s: after the call returned: %+v, %d open", call, s, open.Load())
			}
			if err := c.Close(); err != nil || open.Load() != 0 {
				t.Errorf("%s: close: %v, %d open", call, err, open.Load())
			}
		})
	}
}

// The calls that hang are bounded, and closing does not wait for them.
func TestCameraHangsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c, open := attempts(flaky{hang: "open", release: release, left: 1, err: io.ErrUnexpectedEOF})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		s := c.Status()
		if s.Hung != maxHanging || s.Hanging != maxHanging || s.Attempts != maxHanging || !strings.Contains(s.Reason, "hang") {
			t.Errorf("%+v", s)
		}
		start := time.Now()
		if err := c.Close(); err != nil || time.Since(start) > closePatience {
			t.Errorf("close: %v after %v", err, time.Since(start))
		}
		close(release)
		synctest.Wait()
		if n := c.Status().Hanging; n != 0 || open.Load() != 0 {
			t.Errorf("%d hang, %d open", n, open.Load())
		}
	})
}

func TestCameraCloseHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c, open := attempts(flaky{left: 1e6, hang: "close", release: release})
		take(t, c, 1)
		start := time.Now()
		if err := c.Close(); err == nil || time.Since(start) > closePatience {
			t.Errorf("close: %v after %v", err, time.Since(start))
		}
		if n := c.Status().Hanging; n != 1 {
			t.Errorf("%d hang", n)
		}
		close(release)
		synctest.Wait()
		if n := c.Status().Hanging; n != 0 || open.Load() != 0 {
			t.Errorf("%d hang, %d open", n, open.Load())
		}
	})
}

func TestCameraEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := attempts(flaky{left: 2, err: io.EOF})
		take(t, c, 2)
		for range 2 {
			if _, err := c.Next(t.Context()); err != io.EOF {
				t.Fatal(err)
			}
		}
		if s := c.Status(); s.State != Ended || s.Faults != 0 {
			t.Errorf("%+v", s)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What waits for a camera to be plugged in cuts the pause short.
func TestCameraWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := attempts(flaky{err: errors.New("absent")}, flaky{err: errors.New("absent")}, flaky{left: 1e6})
		waits := 0
		c.kind.MaxWait = time.Hour
		c.kind.Wait = func(ctx context.Context, d time.Duration) bool {
			waits++
			return true
		}
		start := time.Now()
		take(t, c, 1)
		if waits != 2 || time.Since(start) > time.Second {
			t.Errorf("%d waits, %v", waits, time.Since(start))
		}
		c.Close()
	})
}

func TestOpenSpec(t *testing.T) {
	for _, spec := range []string{"", "dir", "dir:", "video0", "/dev/video0", "tape:1", ":x"} {
		if _, err := Open(spec, &Options{Decode: decode}); !errors.Is(err, ErrSpec) {
			t.Errorf("%q: %v", spec, err)
		}
	}
	if _, err := Open("dir:x", nil); !errors.Is(err, ErrSpec) {
		t.Error("a folder without a decoder:", err)
	}
	own := map[string]func(string, *Options) (Kind, error){"sim": func(rest string, _ *Options) (Kind, error) {
		if rest != "front" {
			return Kind{}, fmt.Errorf("no camera %q", rest)
		}
		return Kind{}, nil
	}}
	if _, err := Open("sim:front", &Options{Kinds: own}); err != nil {
		t.Error(err)
	}
	if _, err := Open("sim:back", &Options{Kinds: own}); !errors.Is(err, ErrSpec) {
		t.Error(err)
	}
}

// TestRepeats: how long pictures may be the same is the kind's, unless the options say it.
func TestRepeats(t *testing.T) {
	kinds := map[string]func(string, *Options) (Kind, error){"x": func(string, *Options) (Kind, error) {
		return Kind{Repeats: time.Minute}, nil
	}}
	for given, want := range map[time.Duration]time.Duration{0: time.Minute, time.Second: time.Second, -1: 0} {
		c, err := Open("x:", &Options{Kinds: kinds, Repeats: given})
		if err != nil || c.Status().Repeats != want {
			t.Errorf("%v given: %+v, %v, want %v", given, c.Status(), err, want)
		}
	}
}

// TestViewCamera: the camera behind a view is found through what covers it.
func TestViewCamera(t *testing.T) {
	c, _ := attempts(flaky{left: 1})
	src, err := Cover(c, nil, Area{})
	if err != nil {
		t.Fatal(err)
	}
	if (View{Source: src}).Camera() != c || (View{Source: c}).Camera() != c || (View{Source: &stills{}}).Camera() != nil || (View{}).Camera() != nil {
		t.Error("not the camera behind the view")
	}
}

func TestOpenFolderKind(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"a/1.png", "a/2.png", "b/1.png"} {
		write(t, dir, name, uint8(i))
	}
	for spec, want := range map[string]int{"dir:" + dir + "/a": 2, "file:" + dir + "/a/2.png": 1} {
		c, err := Open(spec, &Options{Decode: decode, Rate: 1000})
		if err != nil {
			t.Fatal(err)
		}
		take(t, c, want)
		if _, err := c.Next(t.Context()); err != io.EOF {
			t.Errorf("%s: %v after %d pictures", spec, err, want)
		}
		c.Close()
	}
	for spec, want := range map[string]string{"dir:" + dir: "2 views", "file:" + dir + "/3.png": "no such file"} {
		c, err := Open(spec, &Options{Decode: decode})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.Notify(func(Status) { cancel() })
		if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(c.Status().Reason, want) {
			t.Errorf("%s: %v, %v", spec, err, c.Status())
		}
		c.Close()
	}
}

// patientSource says how it takes pictures, and waits for other cameras before each.
type patientSource struct {
	how    atomic.Int64
	waited *atomic.Pointer[time.Time]
	waits  time.Duration
	hang   chan struct{}
}

func (s *patientSource) String() string { return fmt.Sprint("way ", s.how.Load()/2) }
func (s *patientSource) Close() error   { return nil }

func (s *patientSource) Next(ctx context.Context) (Frame, error) {
	if s.how.Add(1) == 5 {
		<-s.hang
		return Frame{}, errors.New("hung")
	}
	s.waited.Store(nil) // now, for as long as it waits
	if err := SleepUntil(ctx, time.Now().Add(s.waits)); err != nil {
		return Frame{}, err
	}
	now := time.Now()
	s.waited.Store(&now)
	time.Sleep(time.Second)
	return NewFrame(image.NewGray(image.Rect(0, 0, 4, 2)), time.Now(), 0, nil), nil
}

// A camera that waits for others does not hang, however long; once it has waited it does as
// soon as others. A new way of taking pictures is told of.
func TestCameraWaitsForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waited atomic.Pointer[time.Time]
		s := &patientSource{waited: &waited, waits: time.Hour, hang: make(chan struct{})}
		c := newCamera("test:", Kind{
			Open: func(context.Context) (Source, error) { return s, nil },
			Waited: func() time.Time {
				if w := waited.Load(); w != nil {
					return *w
				}
				return time.Now()
			},
		})
		var log []string
		c.Notify(func(s Status) { log = append(log, s.How) })
		take(t, c, 4)
		if st := c.Status(); st.Hung != 0 || st.Faults != 0 {
			t.Errorf("%+v", st)
		}
		if got := strings.Join(log, ", "); got != "way 0, way 1, way 2" {
			t.Error(got)
		}
		start := time.Now()
		take(t, c, 1) // of another attempt
		if st := c.Status(); st.Hung != 1 || time.Since(start) < time.Hour+defaultPatience || time.Since(start) > time.Hour+2*defaultPatience {
			t.Errorf("after %v: %+v", time.Since(start), st)
		}
		close(s.hang)
		c.Close()
	})
}
