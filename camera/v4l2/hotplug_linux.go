package v4l2

import (
	"bytes"
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// waitPlugged waits for d, or shorter when the kernel tells of a new video node.
// there reports whether one came before anybody listened. Where the kernel cannot
// be heard (in some containers) it waits for d.
func waitPlugged(ctx context.Context, d time.Duration, there func() bool) bool {
	f, err := listenUevents()
	if err != nil {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return false
	}
	defer f.Close()
	if there() {
		return true
	}
	f.SetReadDeadline(time.Now().Add(d))
	stop := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var msg [4096]byte // the kernel writes at most 2048 bytes of variables
	for {
		n, err := f.Read(msg[:])
		if err != nil {
			return false
		}
		if isNewVideo(msg[:n]) {
			return true
		}
	}
}

// listenUevents opens a socket on which the kernel tells of devices.
func listenUevents() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "uevents"), nil
}

// isNewVideo reports whether a uevent tells of a node that is there now: strings
// that end in zeros, "add@/devices/..." first, then NAME=VALUE.
func isNewVideo(msg []byte) bool {
	return bytes.HasPrefix(msg, []byte("add@")) && bytes.Contains(msg, []byte("\x00SUBSYSTEM=video4linux\x00"))
}
