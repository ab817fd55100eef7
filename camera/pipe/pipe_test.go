package pipe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/camera"
	"github.com/visualrwkv/edged/internal/emulated"
)

// TestMain is also the helpers: the test binary under their names does what $PIPE_TEST says.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name == ffmpeg || name == "rpicam-vid" {
		helper(name, os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

// canary is a password that must be in no error.
const canary = "s3cr3t-canary"

func helper(name string, args []string) {
	if len(args) == 1 && args[0] == "-version" {
		fmt.Println("ffmpeg version " + os.Getenv("PIPE_TEST_VERSION") + " Copyright (c) 2000-2026")
		return
	}
	w, h := 8, 4
	if name == "rpicam-vid" {
		for i, a := range args {
			switch a {
			case "--width":
				w, _ = strconv.Atoi(args[i+1])
			case "--height":
				h, _ = strconv.Atoi(args[i+1])
			}
		}
	}
	out := bufio.NewWriter(os.Stdout)
	picture := func(n int) {
		if name == ffmpeg {
			out.WriteString("FRAME\n")
		}
		out.Write(bytes.Repeat([]byte{byte(n)}, w*h*3/2))
		out.Flush()
	}
	if name == ffmpeg {
		fmt.Fprintf(out, "YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\n", w, h)
	}
	switch os.Getenv("PIPE_TEST") {
	case "good":
		for n := 0; ; n++ {
			picture(n)
		}
	case "three":
		for n := range 3 {
			picture(n)
		}
		fmt.Fprintf(os.Stderr, "\x1b[31mrtsp://u:%s@cam/x: Input/output error\r\n", canary)
		os.Exit(1)
	case "half":
		out.Write(make([]byte, 20))
		out.Flush()
	case "hang":
		os.Stderr.WriteString("waiting for the camera\n")
		out.Flush()
		time.Sleep(time.Hour)
	case "hang in a picture":
		picture(0)
		out.WriteString("FRAME\n123")
		out.Flush()
		time.Sleep(time.Hour)
	case "stubborn": // with a child, and neither ends when asked to
		signal.Ignore(syscall.SIGTERM)
		child := exec.Command("sh", "-c", "trap '' TERM; sleep 3600 & wait; sleep 3600")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		child.Start()
		picture(0)
		time.Sleep(time.Hour)
	case "chatty":
		for range 20_000 { // 2 MB
			fmt.Fprintln(os.Stderr, strings.Repeat("blah ", 20))
		}
		fmt.Fprintln(os.Stderr, "the last word")
	case "silent":
	}
}

// helpers puts the test binary onto PATH under both names.
func helpers(t *testing.T, what string) {
	t.Helper()
	emulated.SkipProcess(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{ffmpeg, "rpicam-vid"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("PIPE_TEST", what)
	t.Setenv("PIPE_TEST_VERSION", "7.1")
	if err := exec.Command(ffmpeg, "-version").Run(); errors.Is(err, syscall.ENOEXEC) {
		t.Skip("the helpers are this test binary, which runs under emulation and cannot be started here")
	} else if err != nil {
		t.Fatal(err)
	}
}

func kinds(t *testing.T) map[string]camera.Kind {
	t.Helper()
	r, err := RTSP("rtsp", "//u:"+canary+"@127.0.0.1:9/x", &camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := CSI("0", &camera.Options{Width: 120, Height: 4})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]camera.Kind{"rtsp": r, "csi": c}
}

func open(t *testing.T, k camera.Kind) *stream {
	t.Helper()
	s, err := k.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.(*stream)
}

func TestPictures(t *testing.T) {
	helpers(t, "good")
	for name, k := range kinds(t) {
		s := open(t, k)
		want := map[string]image.Point{"rtsp": {8, 4}, "csi": {128, 4}}[name]
		for n := range 300 {
			f, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			img := f.Image.(*image.YCbCr)
			if f.Size != want || f.Seq != uint64(n) || img.YCbCrAt(want.X-1, want.Y-1).Y != byte(n) || img.YCbCrAt(0, 0).Cr != byte(n) {
				t.Fatalf("%s %d: %v %d %v", name, n, f.Size, f.Seq, img.YCbCrAt(0, 0))
			}
			f.Release()
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHelperFaults: every way to fail ends in a reason with the helper's words, and without
// the password, and in no process.
func TestHelperFaults(t *testing.T) {
	for _, tt := range []struct{ what, rtsp, csi string }{
		{"three", "31mrtsp://***cam/x: Input/output error", "Input/output error"},
		{"half", "ended without a word", "ended without a word"},
		{"hang", "no picture within 300ms of its start; it said: waiting for the camera", "waiting for the camera"},
		{"hang in a picture", "no picture for 300ms", "no picture for 300ms"},
		{"chatty", "the last word", "the last word"},
		{"silent", "ended without a word", "ended without a word"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			helpers(t, tt.what)
			for name, k := range kinds(t) {
				s := open(t, k)
				s.first, s.next = time.Minute, time.Minute
				if strings.HasPrefix(tt.what, "hang") {
					s.first, s.next = 300*time.Millisecond, 300*time.Millisecond
					if tt.what == "hang in a picture" {
						s.first = time.Minute
					} else {
						until(t, "its words", func() bool { return s.p.said.String() != "" })
					}
				}
				var err error
				for err == nil {
					var f camera.Frame
					f, err = s.Next(t.Context())
					f.Release()
				}
				want := map[string]string{"rtsp": tt.rtsp, "csi": tt.csi}[name]
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
					t.Errorf("%s: %q, want %q", name, err, want)
				}
				if name == "rtsp" && strings.Contains(err.Error(), canary) {
					t.Errorf("the password is in %q", err)
				}
				if errors.Is(err, io.EOF) {
					t.Errorf("%v ends the view", err)
				}
				s.Close()
				gone(t, s.p.cmd.Process.Pid)
			}
		})
	}
}

// gone fails unless the process group is.
func gone(t *testing.T, pid int) {
	t.Helper()
	until(t, fmt.Sprintf("the end of process group %d", pid), func() bool { return syscall.Kill(-pid, 0) != nil })
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("for a minute not: ", what)
		}
	}
}

// TestStubbornHelper: a helper that ignores being told, with children that do too.
func TestStubbornHelper(t *testing.T) {
	helpers(t, "stubborn")
	s := open(t, kinds(t)["csi"])
	f, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.Release()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	gone(t, s.p.cmd.Process.Pid)
}

func TestNextEndsWithContext(t *testing.T) {
	helpers(t, "hang")
	s := open(t, kinds(t)["rtsp"])
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// TestHelperUnplugs: 200 helpers that end after three pictures, each followed by the next.
func TestHelperUnplugs(t *testing.T) {
	helpers(t, "three")
	n := 200
	if testing.Short() {
		n = 10
	}
	for name, k := range kinds(t) {
		for i := range n {
			s := open(t, k)
			frames := 0
			for {
				f, err := s.Next(t.Context())
				if err != nil {
					break
				}
				f.Release()
				frames++
			}
			if frames != 3 {
				t.Fatalf("%s %d: %d frames", name, i, frames)
			}
			s.Close()
		}
	}
	if fds, err := os.ReadDir("/proc/self/fd"); err == nil && len(fds) > 50 {
		t.Errorf("%d descriptors are open", len(fds))
	}
}

// TestHungHelper: three helpers deliver all that they are asked for while a fourth hangs.
func TestHungHelper(t *testing.T) {
	helpers(t, "good")
	k := kinds(t)["csi"]
	t.Setenv("PIPE_TEST", "hang")
	hung := open(t, k)
	t.Setenv("PIPE_TEST", "good")
	ctx, cancel := context.WithCancel(t.Context())
	var waiting, others sync.WaitGroup
	waiting.Go(func() {
		if _, err := hung.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	for range 3 {
		s := open(t, k)
		others.Go(func() {
			defer s.Close()
			for range 500 {
				f, err := s.Next(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				f.Release()
			}
		})
	}
	others.Wait()
	cancel()
	waiting.Wait()
	hung.Close()
}

func TestNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, want := range map[string]string{"rtsp": "apt install ffmpeg", "csi": "apt install rpicam-apps-lite"} {
		if _, err := kinds(t)[name].Open(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSpecs(t *testing.T) {
	for _, rest := range []string{"", "x", "-1", "256", "0/1"} {
		if _, err := CSI(rest, &camera.Options{}); err == nil {
			t.Errorf("csi:%s is taken", rest)
		}
	}
	if _, err := CSI("0", &camera.Options{Width: 1 << 20, Height: 2}); err == nil {
		t.Error("pictures a million wide are taken")
	}
	for rest, want := range map[string]string{"/path": "want rtsp://HOST", "//u:" + canary + "/p@cam": "no URL"} {
		if _, err := RTSP("rtsp", rest, &camera.Options{}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("rtsp:%s: %v", rest, err)
		}
	}
}

func TestFrameMode(t *testing.T) {
	helpers(t, "")
	path, err := exec.LookPath(ffmpeg)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{
		"4.4.2-0ubuntu0.22.04.1": "-vsync", "5.0": "-vsync", "5.1.9-0+deb12u1": "-fps_mode", "n7.1": "-fps_mode", "N-117-gabc": "-fps_mode",
	} {
		t.Setenv("PIPE_TEST_VERSION", version)
		if got, err := frameMode(t.Context(), path); got != want {
			t.Errorf("%s: %q (%v), want %q", version, got, err, want)
		}
	}
}

// raw reads pictures out of b until it fails.
func raw(b []byte, f format) (frames int, err error) {
	r := bufio.NewReader(bytes.NewReader(b))
	size, err := f.head(r)
	if err != nil {
		return 0, err
	}
	if size.X*size.Y > 1<<20 {
		return 0, errors.New("larger than this test likes")
	}
	buf := make([]byte, size.X*size.Y*3/2)
	for ; ; frames++ {
		if err := f.mark(r); err != nil {
			return frames, err
		}
		if _, err := io.ReadFull(r, buf); err != nil {
			return frames, err
		}
	}
}

const y4mExample = "YUV4MPEG2 W8 H4 F25:1 Ip A1:1 C420jpeg XYSCSS=420JPEG\nFRAME\n" +
	"0123456789abcdef0123456789abcdef0123456789abcdefFRAME Ip\n0123456789abcdef0123456789abcdef0123456789abcdef"

func TestY4M(t *testing.T) {
	if n, err := raw([]byte(y4mExample), y4m); n != 2 || err != io.EOF {
		t.Error(n, err)
	}
	for _, tt := range [][2]string{
		{"C420jpeg", "C422"}, {"C420jpeg", "C420p10"}, {"W8", "W7"}, {"W8", "W0"}, {"W8", "W99999999999999999999"}, {"W8", "W16384 H16384"},
		{"YUV4MPEG2", "RIFF"}, {"\nFRAME\n", "\nFRANE\n"}, {"H4", "H-4"}, {"\nFRAME\n", strings.Repeat("x", 600) + "\nFRAME\n"}, {"W8 ", ""},
	} {
		if n, err := raw([]byte(strings.Replace(y4mExample, tt[0], tt[1], 1)), y4m); n != 0 || err == io.EOF {
			t.Errorf("%s for %s: %d pictures, %v", tt[1], tt[0], n, err)
		}
	}
}

// TestMutatedY4M: 10,000 damaged streams, none of which yields more than it holds.
func TestMutatedY4M(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	pictures := 0
	for range 10_000 {
		b := []byte(y4mExample)
		for range 1 + r.IntN(3) {
			at := r.IntN(len(b))
			switch n := min(r.IntN(30), len(b)-at); r.IntN(3) {
			case 0:
				b[at] = byte(r.Uint32())
			case 1:
				b = append(b[:at], b[at+n:]...)
			case 2:
				b = append(b[:at+n:at+n], b[at:]...)
			}
			if len(b) == 0 {
				break
			}
		}
		n, err := raw(b, y4m)
		if err == nil || n > len(b)/6 {
			t.Fatalf("%d pictures in %q, %v", n, b, err)
		}
		pictures += n
	}
	if pictures == 0 || pictures > 20_000 {
		t.Errorf("%d pictures in 10,000 streams of two", pictures)
	}
}

func FuzzY4M(f *testing.F) {
	f.Add([]byte(y4mExample))
	f.Add([]byte("YUV4MPEG2 W2 H2\nFRAME\n123456FRAME\n123456"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := raw(b, y4m); err == nil || n > len(b)/6 {
			t.Fatalf("%d pictures, %v", n, err)
		}
	})
}

// TestMemoryOfAHelper: 100,000 pictures are read into the buffers of the first.
func TestMemoryOfAHelper(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 100_000
	if testing.Short() {
		n = 2000
	}
	go func() {
		defer w.Close()
		out := bufio.NewWriter(w)
		defer out.Flush()
		picture := make([]byte, 8*4*3/2)
		for range n {
			out.Write(picture)
		}
	}()
	s := newStream(&process{out: r}, bare(8, 4))
	var first *byte
	for i := range n {
		f, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p := &f.Image.(*image.YCbCr).Y[0]; first == nil {
			first = p
		} else if p != first {
			t.Fatalf("picture %d has a buffer of its own", i)
		}
		f.Release()
	}
}

// TestRealFFmpeg: the arguments are ones that ffmpeg takes, and its words arrive. Pictures
// come from a file here; TestRealRTSP has a server.
func TestRealFFmpeg(t *testing.T) {
	path := realFFmpeg(t)
	mode, err := frameMode(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(path, ffmpegArgs("rtsp://u:"+canary+"@127.0.0.1:9/x", mode, 64, 48, 5), []string{"u:" + canary + "@", canary})
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(p, y4m)
	if _, err := s.Next(t.Context()); err == nil || !strings.Contains(err.Error(), "Connection refused") || strings.Contains(err.Error(), canary) {
		t.Errorf("%v", err)
	}
	s.Close()

	// The same arguments but for where pictures come from: 20 of 100x60 within two seconds.
	args := ffmpegArgs("testsrc=size=100x60:rate=10:duration=2", mode, 64, 48, 5)
	for i, a := range args {
		if a == "-rtsp_transport" {
			args[i], args[i+1] = "-f", "lavfi"
		}
	}
	if p, err = start(path, args, nil); err != nil {
		t.Fatal(err)
	}
	s = newStream(p, y4m)
	defer s.Close()
	for n := 0; ; n++ {
		f, err := s.Next(t.Context())
		if err != nil {
			if n != 10 {
				t.Errorf("%d pictures, want 10: %v", n, err)
			}
			break
		}
		if f.Size != image.Pt(64, 38) {
			t.Errorf("picture of %v", f.Size)
		}
		f.Release()
	}
}
