package kinds

import (
	"errors"
	"image"
	"runtime"
	"testing"

	"github.com/visualrwkv/edged/camera"
)

func TestOpen(t *testing.T) {
	var s Set
	decode := func([]byte) (image.Image, error) { return nil, errors.New("not called") }
	good := []string{
		"csi:0", "rtsp://10.0.0.2/live", "rtsps://u:p@cam/live", "http://cam/a.jpg", "https://cam/stream",
		"dir:/tmp", "file:/tmp/a.png", "sim:1/front",
	}
	if runtime.GOOS == "linux" {
		good = append(good, "v4l2:/dev/video0", "v4l2:by-id/usb-cam")
	}
	for _, spec := range good {
		c, err := s.Open(spec, &camera.Options{Decode: decode})
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for _, spec := range []string{"", "video0", "usb:0", "csi:x", "rtsp:cam", "http:/x", "dir:", "sim:front", "v4l2:"} {
		if _, err := s.Open(spec, &camera.Options{Decode: decode}); !errors.Is(err, camera.ErrSpec) {
			t.Errorf("%q: %v", spec, err)
		}
	}
}
