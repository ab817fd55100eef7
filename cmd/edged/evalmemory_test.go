package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEvalMemory: what happened just now is known, from the newest picture alone it is not,
// and the same command says the same, by however many threads. docs/memory.md has the
// figures of long waits.
func TestEvalMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("under emulation a hundred looks take long")
	}
	args := []string{"eval", "-sim", "-memory", "-json", "-clips", "1", "-longest", "10"}
	svg := filepath.Join(t.TempDir(), "memory.svg")
	code, out, stderr := runCommand(t, append(args, "-threads", "2", "-svg", svg)...)
	var r recallReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitOK {
		t.Fatalf("code %d, %v, %q, %q", code, err, out, stderr)
	}
	waits := len(r.Rows) / recallSorts
	if waits == 0 || len(r.Rows)%recallSorts != 0 {
		t.Fatalf("%+v", r)
	}
	var known, windowed, logged, newest float64
	for i, row := range r.Rows {
		if row.Frames != recallWaits[i%waits].frames || row.Event != eventKind(i/waits) || row.Distracted != (i/waits >= 2) || row.Asked == 0 {
			t.Errorf("row %d: %+v", i, row)
		}
		if row.Low > row.State || row.High < row.State || !row.Distracted && row.Distractions != 0 || row.Distractions > float64(row.Frames) {
			t.Errorf("row %d: %+v", i, row)
		}
		if row.Frames == 1 {
			known += row.State
			windowed += row.Window
			logged += row.Log
			newest += row.NewestOnly
		}
	}
	// One of the four may be wrong.
	if known < 3 || windowed < 3 || logged < 3 || newest > 1 {
		t.Errorf("right of four just after the event: memory %v, window %v, log %v, newest frame set alone %v", known, windowed, logged, newest)
	}
	if drawn, err := os.ReadFile(svg); err != nil || !strings.Contains(string(drawn), "what left") {
		t.Errorf("%v, %.200q", err, drawn)
	}
	if !strings.Contains(r.String(), "what entered last, while other things happen") {
		t.Error(r.String())
	}
	if _, again, _ := runCommand(t, append(args, "-threads", "1")...); again != out {
		t.Errorf("%s\n%s", out, again)
	}
}

// TestInterval holds Wilson's interval to values of its closed form at the ends.
func TestInterval(t *testing.T) {
	const z2 = 1.96 * 1.96
	for _, c := range []struct {
		s         share
		low, high float64
	}{
		{share{0, 0}, 0, 1},
		{share{0, 25}, 0, z2 / (25 + z2)},
		{share{25, 25}, 25 / (25 + z2), 1},
		{share{8, 10}, 0.4902, 0.9433},
	} {
		if low, high := c.s.interval(); math.Abs(low-c.low) > 1e-4 || math.Abs(high-c.high) > 1e-4 {
			t.Errorf("%+v: %v to %v, want %v to %v", c.s, low, high, c.low, c.high)
		}
	}
}
