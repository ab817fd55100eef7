package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// On any machine, with cameras or without, the list is one JSON object. What it
// says of cameras is tested where there are some: make test-vm.
func TestCams(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"cams", "-json"}, stdio{nil, &out, &errs}); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	var got struct{ Cameras []cameraReport }
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Cameras == nil {
		t.Errorf("%v: %s", err, out.String())
	}
	if code := run([]string{"cams", "x"}, stdio{nil, &out, &errs}); code != exitUsage {
		t.Errorf("exit %d with an argument", code)
	}
}

func TestPrintCameras(t *testing.T) {
	var out bytes.Buffer
	err := printCameras(&out, []cameraReport{
		{Spec: "v4l2:by-id/cam", Card: "Cam", OK: true, Mode: "YUYV 640x480", Formats: []formatReport{
			{"YUYV", []sizeReport{{Width: 640, Height: 480, Rates: []float64{30, 15}}, {Width: 16, Height: 16, MaxWidth: 640, MaxHeight: 480}}},
		}},
		{Spec: "v4l2:/dev/video1", Card: "Cam", Reason: "in use by another program"},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"OK, YUYV 640x480", "640x480 30/s, 16x16..640x480", "v4l2:/dev/video1", "in use by another program"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
