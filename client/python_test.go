package client

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPython runs docs/edged_client.py, which was written from docs/protocol.md,
// against a real server.
func TestPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("the Python client needs python3: %v", err)
	}
	path, _ := serve(t, house{count: 300}, nil)
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
	if err != nil || len(lines) != 301 || lines[0] != "1 yard caption 1" || lines[299] != "300 yard caption 300" {
		t.Errorf("watch: %d lines, %q, %v", len(lines), lines[0], err)
	}
	if out, err := run(path, "watch", "nowhere"); err == nil || !strings.Contains(err.Error(), `no scene "nowhere" (no_scene)`) {
		t.Errorf("watch nowhere: %q, %v", out, err)
	}
	if out, err := run(path); err == nil || !strings.Contains(err.Error(), "SOCKET ask QUESTION") {
		t.Errorf("without arguments: %q, %v", out, err)
	}
}
