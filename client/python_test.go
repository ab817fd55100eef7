package client

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/emulated"
)

// TestPython runs docs/edged_client.py, which was written from docs/protocol.md,
// against a real server.
func TestPython(t *testing.T) {
	emulated.SkipProcess(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("the Python client needs python3: %v", err)
	}
	path, _ := serve(t, house{count: 3000, kept: true}, 0)
	run := func(args ...string) (string, error) {
		cmd := exec.Command(python, append([]string{filepath.Join("..", "docs", "edged_client.py")}, args...)...)
		out, err := cmd.Output()
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			return string(out), errors.New(string(e.Stderr))
		}
		return string(out), err
	}

	long := strings.Repeat("what left the room? 什么离开了房间？ ", 50) + "end"
	for _, question := range []string{"what left the room?", "什么离开了房间？", long} {
		out, err := run(path, "ask", question, "yard")
		if want := question + "\n[frame 0, 0 ms]\n"; err != nil || out != want {
			t.Errorf("ask: %q, %v, want %q", out, err, want)
		}
	}
	out, err := run(path, "watch", "finite")
	lines := strings.Split(out, "\n")
	if err != nil || len(lines) != 3001 || lines[0] != "1 yard caption 1" || lines[2999] != "3000 yard caption 3000" {
		t.Errorf("watch: %d lines, %q, %v", len(lines), lines[0], err)
	}
	if out, err := run(path, "watch", "finite", "2999"); err != nil || out != "2999 yard caption 2999\n3000 yard caption 3000\n" {
		t.Errorf("watch from 2999: %q, %v", out, err)
	}
	if out, err := run(path, "watch", "alarmed"); err != nil || out != "9 yard !! in the yard\n" {
		t.Errorf("watch alerts: %q, %v", out, err)
	}
	out, err = run(path, "log", "", "1.5")
	if lines = strings.Split(out, "\n"); err != nil || len(lines) != 3001 || lines[2999] != "3000 yard caption 3000" {
		t.Errorf("log: %d lines, %v", len(lines), err)
	}
	if out, err := run(path, "log", "n 2?99$"); err != nil || out != "99 yard caption 99\n299 yard caption 299\n" {
		t.Errorf("log: %q, %v", out, err)
	}
	if out, err := run(path, "snapshots", "yard"); err != nil || !strings.Contains(out, "'number': 7") {
		t.Errorf("snapshots: %q, %v", out, err)
	}
	if out, err := run(path, "status"); err != nil || !strings.Contains(out, "'model': 'm'") {
		t.Errorf("status: %q, %v", out, err)
	}
	if out, err := run(path, "admin", "pause"); err != nil || out != "done\n" {
		t.Errorf("pause: %q, %v", out, err)
	}
	if out, err := run(path, "admin", "dance"); err == nil || !strings.Contains(err.Error(), "no dance here (not_here)") {
		t.Errorf("dance: %q, %v", out, err)
	}
	if out, err := run(path, "watch", "nowhere"); err == nil || !strings.Contains(err.Error(), `no scene "nowhere" (no_scene)`) {
		t.Errorf("watch nowhere: %q, %v", out, err)
	}
	if out, err := run(path); err == nil || !strings.Contains(err.Error(), "ask QUESTION [SCENE]") {
		t.Errorf("without arguments: %q, %v", out, err)
	}
}
