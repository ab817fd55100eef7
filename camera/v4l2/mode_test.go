package v4l2

import (
	"fmt"
	"testing"
)

func TestLadder(t *testing.T) {
	sizes := func(rates ...float64) []Size {
		var all []Size
		for _, s := range [][2]int{{1920, 1080}, {640, 480}, {320, 240}, {160, 120}} {
			all = append(all, Size{Width: s[0], Height: s[1], Rates: rates})
		}
		return all
	}
	for _, c := range []struct {
		name    string
		formats []Format
		want    string
	}{
		{"webcam", []Format{{fourCC("MJPG"), sizes(30, 15, 5)}, {fourCC("H264"), nil}, {fourCC("YUYV"), sizes(30, 15)}},
			"[YUYV 640x480 at 30/s MJPG 640x480 at 30/s MJPG 320x240 at 30/s MJPG 160x120 at 30/s MJPG 160x120 at 15/s MJPG 160x120 at 5/s]"},
		{"raw only", []Format{{fourCC("GREY"), []Size{{Width: 16, Height: 16, MaxWidth: 4096, MaxHeight: 4096, StepX: 16, StepY: 16}}}},
			"[GREY 640x480 at 30/s GREY 320x240 at 30/s GREY 160x112 at 30/s GREY 160x112 at 10/s GREY 160x112 at 5/s]"},
		{"says nothing", []Format{{fourCC("NV12"), nil}}, "[NV12 640x480 at 30/s NV12 320x240 at 30/s NV12 160x120 at 30/s NV12 160x120 at 10/s NV12 160x120 at 5/s]"},
		{"none is read", []Format{{fourCC("H264"), sizes(30)}}, "[]"},
	} {
		if got := fmt.Sprint(ladder(c.formats, 640, 480, 30)); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
	}
}
