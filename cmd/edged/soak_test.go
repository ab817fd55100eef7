package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestSoak runs the built binary: how soon it says something, and whether its
// memory grows. It is long, and its limits are for a machine that does nothing
// else, so that only `make soak` runs it.
func TestSoak(t *testing.T) {
	if os.Getenv("EDGED_SOAK") == "" {
		t.Skip("long and timed, run it with make soak")
	}
	edged := filepath.Join(t.TempDir(), "edged")
	build := exec.Command("go", "build", "-trimpath", "-o", edged, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}

	t.Run("start", func(t *testing.T) {
		r := soak(t, edged, 40)
		t.Logf("first caption after %v, 40 frame sets in %v, slots %.3f, exact %.3f", r.first, r.took, *r.Slots, *r.Exact)
		if r.first > 3*time.Second {
			t.Errorf("first caption after %v, want less than 3s", r.first)
		}
		if *r.Slots < 0.95 {
			t.Errorf("slots %.3f, want at least 0.95", *r.Slots)
		}
	})
	t.Run("memory", func(t *testing.T) {
		const early, frames = 200, 2000
		r := soak(t, edged, frames)
		var from, most resident
		var table bytes.Buffer
		for i, m := range r.memory {
			if m.frame >= early && from.frame == 0 {
				from = m
			}
			if from.frame > 0 && m.bytes > most.bytes {
				most = m
			}
			if i == 0 || m.frame/100 > r.memory[i-1].frame/100 {
				fmt.Fprintf(&table, "%6d %6.2f MB\n", m.frame, float64(m.bytes)/1e6)
			}
		}
		grew := most.bytes - from.bytes
		t.Logf("%d frame sets in %v, resident memory by frame set:\n%s%+.2f MB from %d to %d", r.Frames, r.took, &table,
			float64(grew)/1e6, from.frame, most.frame)
		if from.frame == 0 || from.frame > 2*early {
			t.Fatalf("first measured at %d", from.frame)
		}
		if grew > 2e6 {
			t.Errorf("memory grew by %d bytes, want at most 2 MB", grew)
		}
	})
}

// soakRun is what was seen of a run.
type soakRun struct {
	summary
	first, took time.Duration // since the process was started: to the first caption, to the end
	memory      []resident
}

// resident is the memory of a process at a caption.
type resident struct {
	frame uint64
	bytes int64
}

func soak(t *testing.T, edged string, frames int) (r soakRun) {
	t.Helper()
	cmd := exec.Command(edged, "demo", "-frames", strconv.Itoa(frames), "-json", "-socket", testSocket(t))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	statm := fmt.Sprintf("/proc/%d/statm", cmd.Process.Pid)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var c demoCaption
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%q: %v", lines.Bytes(), err)
		}
		if c.Type != "caption" {
			err = json.Unmarshal(lines.Bytes(), &r.summary)
			continue
		}
		if r.first == 0 {
			r.first = time.Since(start)
		}
		// A process that has ended has no pages.
		var size, pages int64
		if b, err := os.ReadFile(statm); err == nil {
			fmt.Sscan(string(b), &size, &pages)
		}
		if pages > 0 {
			r.memory = append(r.memory, resident{c.Frame, pages * int64(os.Getpagesize())})
		}
	}
	r.memory = append(r.memory, resident{r.Frames, r.RSSBytes})
	if e := cmd.Wait(); e != nil || err != nil || r.Frames != uint64(frames) || r.Slots == nil {
		t.Fatalf("%v, %v, summary %+v", e, err, r.summary)
	}
	r.took = time.Since(start)
	return r
}
