package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/wire"
)

// TestStatus asks a daemon that watches how it is.
func TestStatus(t *testing.T) {
	r, c := startRun(t, "../../docs/example-sim.yaml")
	seen := map[string]bool{}
	for e, err := range c.Watch(t.Context(), new(wire.Watch)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption {
			seen[e.Scene] = true
		}
		if len(seen) == 2 {
			break
		}
	}
	code, out, stderr := runCommand(t, "status", "-socket", r.socket, "-json")
	var s jsonStatus
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != exitOK {
		t.Fatalf("code %d, %v, %q, %q", code, err, out, stderr)
	}
	if s.Model == "" || s.RSSBytes == 0 || s.StateBytes == 0 || s.Duty <= 0 || len(s.Scenes) != 2 {
		t.Errorf("%+v", s)
	}
	for _, sc := range s.Scenes {
		if sc.State != wire.StateWatching || sc.Frames == 0 || sc.PerSecond <= 0 || sc.AgeS == nil || *sc.AgeS < 0 || sc.Captions == 0 ||
			sc.Caption == "" || sc.CaptionTime == nil || len(sc.Views) != 2 || sc.Views[0].State != wire.ViewLive || sc.Views[0].Width != 320 {
			t.Errorf("%+v", sc)
		}
	}
	code, out, _ = runCommand(t, "status", "-socket", r.socket)
	for _, want := range []string{"hall: watching, ", "lab: watching, ", "front  live  320x240", "captions, ", " in memory"} {
		if code != exitOK || !strings.Contains(out, want) {
			t.Errorf("code %d, without %q:\n%s", code, want, out)
		}
	}
	if n := strings.Count(out, "\n"); n > 24 {
		t.Errorf("%d lines are more than a screen", n)
	}
	c.Close()
	r.stop(t)
	code, _, stderr = runCommand(t, "status", "-socket", r.socket)
	if code != exitFailed || !strings.Contains(stderr, "is it running?") {
		t.Errorf("after its end: %d, %q", code, stderr)
	}
}

// TestStatusPrints what is missing on a machine of tests: temperatures, cameras that are gone.
func TestStatusPrints(t *testing.T) {
	s := newStatus(&wire.Status{
		Version: "1", Model: "m", Bundle: "garden version 7, slot b, on trial", Backend: "neon", Time: 1764000000000, UptimeMS: 90_061_500, RSSBytes: 123_456_789, StateBytes: 1_600_000,
		Log:    &wire.LogStatus{Records: 4000, Bytes: 900_000, MaxBytes: 100_000_000, MaxAgeMS: 90 * 24 * 3600e3, Written: 50_100_000, Daily: 500_000_000},
		Asking: 1, Problems: []string{"the disk is full"}, Zone: "cpu-thermal", Celsius: 77.6, Duty: 0.55,
		Scenes: []wire.SceneStatus{{
			Name: "hall", State: wire.StateStopped, Reason: "no more pictures", Frames: 90_000, Skipped: 7, Gated: 80_000, Captions: 12, Repeated: 3,
			FrameTime: 1764000000000 - 2500, AgeMS: 2500, MS: wire.StageMS{Vision: 400.4, Encode: 20, Decode: 300},
			Views:  []wire.ViewStatus{{Name: "door", State: wire.ViewReconnecting, Reason: "no such device"}},
			Memory: &wire.MemoryStatus{RAM: 5, Snapshots: 60, Bytes: 90_000_000, Saved: 1764000000000 - 600_000, AgeMS: 600_000, EveryMS: 300_000, Problem: "the disk fails", Written: 1_000_000_000, Daily: 1_500_000_000},
		}, {
			Name: "yard", State: wire.StateWatching, Views: []wire.ViewStatus{{Name: "gate", State: wire.ViewReconnecting}},
		}},
		Plugins: []wire.PluginStatus{
			{Scene: "hall", Name: "zones", State: wire.PluginRunning, Permissions: []string{"on_frame", "emit"}, Calls: 70_000, Failures: 1, MeanMS: 0.52, MaxMS: 9.96, LeftOut: 12, MemoryBytes: 2_100_000},
			{Scene: "hall", Name: "words", State: wire.PluginDisabled, Reason: "it refuses: no words", Blocks: true, Blocked: 3},
			{Scene: "other", Name: "words", State: wire.PluginRunning},
		},
	})
	var b strings.Builder
	if err := s.print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `edged 1, model m (neon), up 25h1m1s
bundle garden version 7, slot b, on trial
memory 123.5 MB, of a scene 1.6 MB; 1 question in flight
cpu-thermal 78 °C, working 55 % of the time
log: 4000 events in 0.9 MB of 100.0 MB, for 90 days
written in 24 hours: 1050.1 MB of 2000.0 MB; snapshots 1000.0 MB of 1500.0 MB, log 50.1 MB of 500.0 MB
problem: the disk is full

hall: stopped (no more pictures), 90000 frame sets, 1.00 a second; the newest is 2.5 s old; 7 frames skipped
  12 captions, 80000 frame sets unchanged, 3 repeats left out; vision 400 ms, encoder 20, text 300
  5 snapshots in memory, 60 on disk (90.0 MB), the newest 10m0s old, one every 5m0s
  problem: the disk fails
  door  reconnecting    0 frames    no such device
  plugin zones: running, may on_frame, emit; 70000 calls of 0.5 ms, 10.0 at most, 1 failed; left out 12; memory 2.1 MB
  plugin words: disabled (it refuses: no words), may nothing; 0 calls of 0.0 ms, 0.0 at most, 0 failed; left out 0; blocked 3, as nothing passes without it; memory 0.0 MB

yard: watching, no frame set yet; 0 frames skipped
  0 captions, 0 frame sets unchanged, 0 repeats left out; vision 0 ms, encoder 0, text 0
  gate  reconnecting    0 frames
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
