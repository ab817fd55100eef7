package wire

import (
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// TestPeer asks the kernel about clients of this user and, as root, of another.
func TestPeer(t *testing.T) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketPath(t), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	path := ln.Addr().String()
	accept := func() Peer {
		t.Helper()
		u, err := ln.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		p, err := peer(u)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if p := accept(); int(p.UID) != os.Getuid() || int(p.GID) != os.Getgid() {
		t.Errorf("%+v", p)
	}
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("a client of another user needs root")
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(strings.TrimSuffix(path, "/s"), 0o755); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread is another user's and ends with this goroutine
		groups := []uint32{44, 234}
		for _, call := range [][4]uintptr{
			{syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0]))},
			{syscall.SYS_SETRESGID, 234, 234, 234},
			{syscall.SYS_SETRESUID, 12345, 12345, 12345},
		} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				failed <- errno
				return
			}
		}
		nc, err := net.Dial("unix", path)
		if err == nil {
			nc.Close()
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if p := accept(); p.UID != 12345 || p.GID != 234 || !slices.Contains(p.Groups, 44) {
		t.Errorf("%+v", p)
	}
}
