package main

import (
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/visualrwkv/edged/internal/emulated"
)

func TestSocketPath(t *testing.T) {
	t.Setenv("EDGED_SOCKET", "/env/s")
	if p := socketPath("/flag/s"); p != "/flag/s" {
		t.Error(p)
	}
	if p := socketPath(""); p != "/env/s" {
		t.Error(p)
	}
	os.Unsetenv("EDGED_SOCKET")
	p := socketPath("")
	if os.Getuid() == 0 && p != "/run/edged/edged.sock" || !filepath.IsAbs(p) {
		t.Error(p)
	}
}

func TestFreeSocket(t *testing.T) {
	dir := filepath.Dir(testSocket(t))
	usual := filepath.Join(dir, "edged", "edged.sock")
	path, undo, err := freeSocket(usual)
	if err != nil || path != usual {
		t.Fatal(path, err)
	}
	ln, err := net.Listen("unix", usual)
	if err != nil {
		t.Fatal(err)
	}
	other, undoOther, err := freeSocket(usual)
	if err != nil || other == usual || filepath.Dir(other) != filepath.Dir(usual) {
		t.Error(other, err)
	}
	undoOther()
	if hint := askHint(other); !strings.Contains(hint, "-socket "+other) {
		t.Error(hint)
	}
	ln.Close()
	undo()
	if _, err := os.Stat(filepath.Dir(usual)); err == nil {
		t.Error("folder left behind")
	}

	// The folder that a killed demo left goes, one of somebody else stays.
	for name, stays := range map[string]bool{"edged": false, "edged-7": false, "user": true} {
		usual := filepath.Join(dir, name, "edged.sock")
		if err := os.Mkdir(filepath.Dir(usual), 0o700); err != nil {
			t.Fatal(err)
		}
		path, undo, err := freeSocket(usual)
		if err != nil || path != usual {
			t.Fatal(path, err)
		}
		undo()
		if _, err := os.Stat(filepath.Dir(usual)); (err == nil) != stays {
			t.Errorf("folder %s: %v", name, err)
		}
	}

	// A folder that cannot be made: a path of its own, whose folder goes again.
	path, undo, err = freeSocket(filepath.Join(dir, "no", "such", "edged.sock"))
	if err != nil || strings.HasPrefix(path, dir) {
		t.Error(path, err)
	}
	undo()
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("folder left behind")
	}
}

// TestShellLines has a shell put together again what was broken for a narrow terminal.
func TestShellLines(t *testing.T) {
	emulated.SkipProcess(t)
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	paths := []string{
		"/usr/bin/edged", "/a/" + strings.Repeat("long", 30) + "/edged", "/it's $HOME/`x`/\"q\"/a\\b\\\\c!/日本/edged", "~/*?[a];#&|<>(){}=",
	}
	for _, path := range paths {
		want := path + "\n-socket\n/run/s\nwhat left the room?\n"
		command := shellWord(path) + ` -socket /run/s "what left the room?"`
		for w := 4; w < 100; w += 3 {
			lines := shellLines(command, w)
			for _, l := range lines {
				if columns(l) > w {
					t.Errorf("%d columns: %q", w, l)
				}
			}
			out, err := exec.Command(sh, "-c", "printf '%s\\n' "+strings.Join(lines, "\n")).CombinedOutput()
			if err != nil || string(out) != want {
				t.Fatalf("%q in %d columns: %v, %q", lines, w, err, out)
			}
		}
	}
}

func TestSocketFolderOfAnother(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "edged-1")
	t.Setenv("TMPDIR", filepath.Dir(dir))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := checkOwner(dir); err != nil {
		t.Errorf("own folder: %v", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := checkOwner(dir); err == nil {
		t.Error("a folder that all may write to is accepted")
	}
}

func TestDialHint(t *testing.T) {
	service, dir := testSocket(t), t.TempDir()
	for _, tt := range []struct {
		service bool
		path    string
		err     error
		want    string
	}{
		{false, dir + "/s", fs.ErrNotExist, ""},
		{true, dir + "/s", fs.ErrNotExist, "; the service is at " + service + ", which -socket or EDGED_SOCKET has to name"},
		{true, dir + "/s", syscall.ECONNREFUSED, ""},
		{true, service, fs.ErrNotExist, ""},
		{true, service, syscall.EACCES, "; socket.mode of its configuration lets a group in (docs/service.md)"},
	} {
		if tt.service {
			if err := os.WriteFile(service, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := dialHint(tt.err, tt.path, service); got != tt.want {
			t.Errorf("%v at %s: %q, want %q", tt.err, tt.path, got, tt.want)
		}
	}
}
