package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
)

func TestKind(t *testing.T) {
	var rooms Rooms
	open := func(spec string, rate float64) *camera.Camera {
		t.Helper()
		c, err := camera.Open("sim:"+spec, &camera.Options{Rate: rate, Kinds: map[string]func(string, *camera.Options) (camera.Kind, error){"sim": rooms.Kind}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	// A picture a second: a room in which nobody looked for 64 of them begins its time anew.
	front, side, other := open("7/front", 1), open("7/side", 1), open("7x4/top", 1)
	var at [3]time.Time
	for i, c := range []*camera.Camera{front, side, other} {
		f, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at[i] = f.Time.Add(-time.Duration(f.Seq) * time.Second)
		f.Release()
	}
	if len(rooms.rooms) != 2 || !at[0].Equal(at[1]) {
		t.Errorf("%d rooms; the first two began at %v and %v", len(rooms.rooms), at[0], at[1])
	}
}

func TestKindRefuses(t *testing.T) {
	var rooms Rooms
	for spec, want := range map[string]string{
		"7":         "SEED/CAMERA",
		"x/front":   "number",
		"-1/front":  "number",
		"7x5/front": "1 to 4 cameras",
		"7/top":     "it has front, side",
		"7x0/front": "1 to 4 cameras",
	} {
		if _, err := rooms.Kind(spec, &camera.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
}
