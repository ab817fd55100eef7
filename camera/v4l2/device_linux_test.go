package v4l2

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"
)

// The sizes of the kernel's structures are part of its requests: another size is
// another request, which no driver knows.
func TestLayout(t *testing.T) {
	wide := [...]uintptr{104, 208, 88, 20, 68, 8}
	if unsafe.Sizeof(uintptr(0)) == 4 {
		wide = [...]uintptr{104, 204, 68, 20, 68, 8}
	}
	got := [...]uintptr{
		unsafe.Sizeof(capability{}), unsafe.Sizeof(format{}), unsafe.Sizeof(buffer{}),
		unsafe.Sizeof(requestBuffers{}), unsafe.Sizeof(queryControl{}), unsafe.Sizeof(control{}),
	}
	if got != wide {
		t.Errorf("sizes %v, want %v", got, wide)
	}
	if uintptr(webcam.VIDIOC_DQBUF) != reqDequeue || uintptr(webcam.VIDIOC_QUERYCAP) != reqQueryCap || uintptr(webcam.VIDIOC_QUERYBUF) != reqQueryBuf ||
		uintptr(webcam.VIDIOC_STREAMON) != reqStreamOn || uintptr(webcam.VIDIOC_STREAMOFF) != reqStreamOff {
		t.Error("requests differ from the library's")
	}
}

// What is read of the library's private fields must exist in the version in use.
func TestLibraryField(t *testing.T) {
	w := reflect.TypeFor[webcam.Webcam]()
	fd, ok := w.FieldByName("fd")
	if !ok || fd.Type.Kind() != reflect.Uintptr {
		t.Error("no field fd uintptr")
	}
}

func TestUnusable(t *testing.T) {
	for _, c := range []struct {
		caps, node uint32
		driver     string
		want       string
	}{
		{capDeviceCaps | capVideoCapture | capMetaCapture | capStreaming, capVideoCapture | capStreaming, "uvcvideo", ""},
		{capDeviceCaps | capVideoCapture | capMetaCapture | capStreaming, capMetaCapture | capStreaming, "uvcvideo", "beside"},
		{capVideoCapture | capStreaming, 0, "old", ""},
		{capDeviceCaps, capVideoM2M | capStreaming, "codec", "converts"},
		{capDeviceCaps, capVideoCapture | capStreaming, "rp1-cfe", "csi:0"},
		{capDeviceCaps, capVideoCaptureMplane | capStreaming, "soc", "planes"},
	} {
		q := capability{capabilities: c.caps, deviceCaps: c.node}
		copy(q.driver[:], c.driver)
		if got := q.unusable(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestIsNewVideo(t *testing.T) {
	add := "add@/devices/platform/vivid.0/video4linux/video0\x00ACTION=add\x00SUBSYSTEM=video4linux\x00MAJOR=81\x00"
	for msg, want := range map[string]bool{
		add: true, strings.Replace(add, "add@", "remove@", 1): false,
		strings.Replace(add, "video4linux\x00M", "usb\x00M", 1): false, "": false, "libudev\x00": false,
	} {
		if isNewVideo([]byte(msg)) != want {
			t.Errorf("%q", msg)
		}
	}
}

func TestControlName(t *testing.T) {
	for title, want := range map[string]string{
		"Exposure Time, Absolute": "exposure_time_absolute", "Gain": "gain",
		"Power Line Frequency": "power_line_frequency", "White Balance, Automatic": "white_balance_automatic",
	} {
		if got := controlName(title); got != want {
			t.Errorf("%s: %s, want %s", title, got, want)
		}
	}
}

func TestLocate(t *testing.T) {
	for _, spec := range []string{"video9999", "/dev/video9999", "by-id/none", "by-path/none", "serial:none"} {
		if path, err := locate(spec); err == nil {
			t.Errorf("%s is at %s", spec, path)
		}
	}
	if _, err := openDevice(t.TempDir()); err == nil {
		t.Error("a folder was opened as a camera")
	}
	if _, err := openDevice("/dev/null"); err == nil {
		t.Error("/dev/null was opened as a camera")
	}
}

// Numbers begin anew with each stream and wrap around; Seq goes on.
func TestCount(t *testing.T) {
	p := &opener{}
	seq := func(s *source, n uint32) uint64 { s.count(n); return s.base + uint64(n) }
	var got []uint64
	s := &source{from: p, first: true}
	for _, n := range []uint32{7, 8, 10} {
		got = append(got, seq(s, n))
	}
	s = &source{from: p, first: true}
	for _, n := range []uint32{1<<32 - 2, 1<<32 - 1, 0, 1} {
		got = append(got, seq(s, n))
	}
	if fmt.Sprint(got) != "[0 1 3 4 5 6 7]" {
		t.Error(got)
	}
}

func TestExposure(t *testing.T) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	at, ok := exposure(now, flagTimeMonotonic, time.Duration(ts.Nano())-time.Second)
	if age := now.Sub(at); !ok || age < time.Second || age > 10*time.Second {
		t.Errorf("a picture of a second ago is %v old", age)
	}
	for _, stamp := range []time.Duration{0, time.Duration(ts.Nano()) + time.Hour, time.Duration(ts.Nano()) - time.Hour} {
		if at, ok := exposure(now, flagTimeMonotonic, stamp); ok || at != now {
			t.Errorf("stamp %v: %v", stamp, at)
		}
	}
}
