package camera

import "testing"

func TestRedact(t *testing.T) {
	for spec, want := range map[string]string{
		"rtsp://user:pass@10.0.0.7:554/a":        "rtsp://***@10.0.0.7:554/a",
		"http://cam/snap.cgi?user=a&pwd=s":       "http://cam/snap.cgi?***",
		"http://user:p@ss/word@cam/x":            "http://***@cam/x",
		"http://user:p?ss@cam/x":                 "http://***@cam/x",
		"http://cam/a@b":                         "http://***@b",
		"dir:/home/me@home/pictures?":            "dir:/home/me@home/pictures?",
		"v4l2:/dev/v4l/by-id/usb-x-video-index0": "v4l2:/dev/v4l/by-id/usb-x-video-index0",
	} {
		if got := Redact(spec); got != want {
			t.Errorf("Redact(%q) = %q, want %q", spec, got, want)
		}
	}
}
