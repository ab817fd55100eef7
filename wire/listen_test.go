//go:build unix

package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// socketPath returns a path short enough for a socket.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wire")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestListen(t *testing.T) {
	ctx := context.Background()
	path := socketPath(t)
	for _, mode := range []os.FileMode{0o600, 0o660, 0o666} {
		ln, err := Listen(ctx, path, mode)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := os.Lstat(path); err != nil || f.Mode() != mode|os.ModeSocket {
			t.Errorf("%v, %v, want %v", f.Mode(), err, mode)
		}
		if _, err := Listen(ctx, path, mode); !errors.Is(err, ErrInUse) {
			t.Errorf("second server: %v", err)
		}
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after close: %v", err)
		}
		ln.Close() // does no harm
	}
}

// TestListenMode: the file never has more permissions than asked for, whatever
// the umask.
func TestListenMode(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := socketPath(t)
	ln, err := Listen(context.Background(), path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if f, err := os.Lstat(path); err != nil || f.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", f.Mode(), err)
	}
}

func TestListenStale(t *testing.T) {
	ctx := context.Background()
	path := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	ln, err := Listen(ctx, path, 0o600)
	if err != nil {
		t.Fatal(err)
	}

	// Somebody else takes the path over: closing leaves it alone.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := Listen(ctx, path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
	other.Close()
}

func TestListenRefuses(t *testing.T) {
	ctx := context.Background()
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(ctx, path, 0o600); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("a file: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
		t.Errorf("the file is %q, %v", data, err)
	}
	for path, why := range map[string]string{
		filepath.Join(path+"x", "s"):       "no such file or directory",
		"/tmp/" + strings.Repeat("x", 200): "a path of 205 bytes, more than the 107 that a socket's may have",
	} {
		if _, err := Listen(ctx, path, 0o600); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), why) {
			t.Errorf("%v", err)
		}
	}
}
