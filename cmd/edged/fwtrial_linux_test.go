//go:build amd64 || arm64

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/diskcalls"
)

// trialStep is a row of the table in docs/bundle.md that is about "edged run".
type trialStep struct {
	what   string
	nth    int    // rename of the state, which is the step
	says   string // or, when that is 0, what the log says just before it
	broken bool   // the bundle does not work
}

// TestTrials makes the steps of a trial go wrong in a real "edged run", and compares where that ends with the table of
// docs/bundle.md, which package fw finds by calling its functions in the same order.
func TestTrials(t *testing.T) {
	needProcess(t)
	t.Parallel()
	doc, err := os.ReadFile("../../docs/bundle.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []trialStep{
		{what: "the first start is counted", nth: 1},
		{what: "it captions simulated pictures", says: "slot b is tried"},
		{what: "it watches until its first caption", says: ": model "},
		{what: "it is committed", nth: 2},
		{what: "it does not work and is given up", nth: 2, broken: true},
	} {
		i := strings.Index(string(doc), "| "+s.what+" |")
		if i < 0 {
			t.Fatalf("the table does not have %q", s.what)
		}
		line, _, _ := strings.Cut(string(doc[i:]), "\n")
		want := strings.Split(line, " | ")[1:]
		for n, cell := range []string{"fails once", "fails always", "killed once", "killed always"} {
			if n < 2 && s.nth == 0 {
				continue // it fails because the bundle does not work, which is the last row
			}
			if got := s.end(t, n >= 2, n%2 == 1); got != strings.TrimSuffix(want[n], " |") {
				t.Errorf("%s, %s: it ends with %q, and the table says %q", s.what, cell, got, want[n])
			}
		}
	}
}

// end says where it ends: the version that runs and what the slot of version 2 is.
func (s *trialStep) end(t *testing.T, kill, always bool) string {
	t.Helper()
	d := newFWDevice(t)
	if s.broken {
		d.bundles[2] = makeBundle(t, 2, demoInt8[:len(demoInt8)/2])
	}
	install := func(v uint64) {
		t.Helper()
		fwRun(t, exitOK, "install", d.bundles[v], "-trust", fwKeys+"minisign.pub", "-quiet", "-state", d.state)
	}
	reached := 0
	install(1)
	if got := s.start(t, d, func() unix.Errno { return 0 }); got != "1" {
		t.Fatalf("%s runs", got)
	}
	install(2)
	var ends []string
	for range 6 {
		runs := s.start(t, d, func() unix.Errno {
			if reached++; reached > 1 && !always {
				return 0
			}
			if kill {
				return unix.EINTR // see start
			}
			return unix.EIO
		})
		if s.broken && runs != "1" && runs != "none" { // whether or not that it is given up can be written down
			t.Errorf("%s: %s runs", s.what, runs)
		}
		now := d.slots(t)
		end := fmt.Sprintf("%s, %s", runs, now.B.Phase)
		if ends = append(ends, end); len(ends) > 1 && ends[len(ends)-2] == end && (now.Trial == "" || now.Starts == 0) {
			break
		}
	}
	if reached == 0 {
		t.Fatalf("%s: never reached", s.what)
	}
	return ends[len(ends)-1]
}

// runsLine is a line of the log that says what runs.
var runsLine = regexp.MustCompile(`(?m)(garden version (\d), slot \w( is tried)?|what the binary brings runs instead)$`)

// start runs edged until it has settled on what to run, and returns that. What wrong answers at the step is what
// that fails with; EINTR kills.
func (s *trialStep) start(t *testing.T, d *fwDevice, wrong func() unix.Errno) string {
	t.Helper()
	var log syncBuffer
	p := newProcess(t, "run", "-config", d.config, "-socket", filepath.Join(d.state, "s"), "-state", d.state)
	p.Stderr = &log
	// step makes it go wrong, once in a process.
	var seen atomic.Bool
	step := func() unix.Errno {
		if !seen.CompareAndSwap(false, true) {
			return 0
		}
		errno := wrong()
		if errno == unix.EINTR {
			p.Process.Kill()
		}
		return errno
	}
	renames := 0
	w, err := diskcalls.Watch(p.Cmd, slotsPath(d.state), func(c diskcalls.Call) unix.Errno {
		if c.Op != diskcalls.Rename {
			return 0
		}
		// Before the second one the log has said everything, whether or not it has come here.
		if renames++; renames == s.nth || s.nth == 0 && renames == 2 {
			return step()
		}
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	for ; p.ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		text := log.String()
		if s.says != "" && strings.Contains(text, "slot b is tried") && strings.Contains(text, s.says) && step() != 0 {
			break
		}
		if strings.Contains(text, ": model ") && (d.slots(t).Trial == "" || strings.Contains(text, "cannot be kept") || strings.Contains(text, "is not tried")) {
			break
		}
		if exited(p.Process.Pid) {
			break
		}
	}
	p.Process.Signal(unix.SIGTERM)
	p.wait()
	if err := w.Wait(); errors.Is(err, unix.ENOSYS) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if status := p.ProcessState.Sys().(interface{ Signaled() bool }); status.Signaled() {
		return "none"
	}
	if !p.ProcessState.Success() {
		t.Fatalf("edged run ends with %v:\n%s", p.ProcessState, &log)
	}
	lines := runsLine.FindAllStringSubmatch(log.String(), -1)
	if len(lines) == 0 || lines[len(lines)-1][2] == "" {
		return "the binary's"
	}
	return lines[len(lines)-1][2]
}

// TestTrialCrashes ends an edged that tries a bundle before its camera by the signal that a service manager sends when its watchdog
// heard nothing, and by one that leaves no word: after the first the next start has the one before run, after the second
// it is tried once more. Ten times told to stop, it is given up.
func TestTrialCrashes(t *testing.T) {
	needProcess(t)
	t.Parallel()
	d := newFWDevice(t)
	camera := newGatedCamera(t) // that shows nothing
	d.config = camera.configure(t)
	install := func(v uint64) {
		t.Helper()
		fwRun(t, exitOK, "install", d.bundles[v], "-trust", fwKeys+"minisign.pub", "-quiet", "-state", d.state)
	}
	run := func(sig unix.Signal) string {
		t.Helper()
		p := newProcess(t, "run", "-config", d.config, "-socket", filepath.Join(d.state, "s"), "-state", d.state)
		d.log = new(syncBuffer)
		p.Stderr = d.log
		p.start(t)
		d.watches(t, p)
		p.Process.Signal(sig)
		p.wait()
		return d.log.String()
	}
	trial := func() (phase fw.Phase, starts, stops int) {
		s := d.slots(t)
		return s.A.Phase, s.Starts, s.Stops
	}
	install(1)
	run(unix.SIGKILL)
	if phase, starts, _ := trial(); phase != fw.PhaseTrying || starts != 1 {
		t.Errorf("%s after the first start, %d starts", phase, starts)
	}
	contains(t, run(unix.SIGABRT), "garden version 1, slot a is tried")
	contains(t, run(unix.SIGTERM), "garden version 1 is given up: edged ended while it was tried: SIGABRT: abort")
	if phase, _, _ := trial(); phase != fw.PhaseBad {
		t.Errorf("%s after a crash", phase)
	}
	install(2)
	for n := range fw.MaxStops {
		contains(t, run(unix.SIGTERM), "garden version 2, slot a is tried")
		if phase, starts, stops := trial(); phase != fw.PhaseTrying || starts != 0 || stops != n+1 {
			t.Fatalf("%s, %d starts, %d stops", phase, starts, stops)
		}
	}
	contains(t, run(unix.SIGTERM), "garden version 2 is given up: edged was told to stop 10 times before it had proved itself")
}

// TestModelCut cuts off a model's file while it is in use, as cp does that writes into it: edged ends, and the
// next one says why.
func TestModelCut(t *testing.T) {
	needProcess(t)
	t.Parallel()
	d := newFWDevice(t)
	model := filepath.Join(t.TempDir(), "m.gguf")
	config, err := os.ReadFile(d.config)
	if err = errors.Join(err, os.WriteFile(d.config, fmt.Appendf(nil, "model: %s\n%s", model, config), 0o600)); err != nil {
		t.Fatal(err)
	}
	why := "panic: " + model + " cannot be read any more: it was cut off while it is in use (replace it with mv, not cp), or its disk fails"
	for n := range 2 {
		if err := os.WriteFile(model, demoInt8, 0o600); err != nil {
			t.Fatal(err)
		}
		p := newProcess(t, "run", "-config", d.config, "-socket", filepath.Join(d.state, "s"), "-state", d.state)
		d.log = new(syncBuffer)
		p.Stderr = d.log
		p.start(t)
		d.watches(t, p)
		if n == 1 {
			contains(t, d.log.String(), "the run before this one did not end by itself: "+why)
			p.Process.Signal(unix.SIGTERM)
			p.wait()
			return
		}
		if err := os.Truncate(model, 0); err != nil {
			t.Fatal(err)
		}
		p.wait()
		contains(t, d.log.String(), why)
	}
}

// exited reports whether a child is only waited for.
func exited(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(stat))
	return err != nil || len(fields) > 2 && slices.Contains([]string{"Z", "X"}, fields[2])
}
