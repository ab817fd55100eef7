//go:build unix

package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// ErrInUse is wrapped by [Listen] when another server answers at the path.
var ErrInUse = errors.New("socket is in use")

// Listen makes a unix socket at path with the permission bits of mode (0600: its
// owner, 0660: and its group). A socket that a dead server has left is replaced;
// one at which somebody answers is not, nor is a file of another kind. Close
// removes the file if it is still the one that was made here.
//
// Between the look and the removal another server could start at the same path and
// lose its socket; servers that share a path need a lock of their own.
func Listen(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	// sun_path, with its final zero (unix(7)).
	if most := len(syscall.RawSockaddrUnix{}.Path) - 1; len(path) > most {
		return nil, fmt.Errorf("listen at %s: a path of %d bytes, more than the %d that a socket's may have", path, len(path), most)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		// On Linux the mode of the descriptor, less the umask, becomes that of
		// the file, so there is no moment at which others may connect. Where a
		// descriptor has no mode this fails and the chmod below has to do.
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), uint32(mode.Perm())) })
	}}
	ln, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	u := ln.(*net.UnixListener)
	u.SetUnlinkOnClose(false)
	l := &listener{UnixListener: u, path: path}
	if err = os.Chmod(path, mode.Perm()); err == nil { // what the umask took
		l.file, err = os.Lstat(path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeStale removes the socket at path if nobody answers there.
func removeStale(ctx context.Context, path string) error {
	file, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if file.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	d := net.Dialer{Timeout: time.Second}
	nc, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		nc.Close()
		return fmt.Errorf("%s: %w", path, ErrInUse)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist): // its server has just removed it
		return nil
	}
	return fmt.Errorf("%s: %w, but nobody can be asked: %w", path, ErrInUse, err)
}

type listener struct {
	*net.UnixListener
	path string
	file fs.FileInfo
	once sync.Once
}

// Close ends Accept and removes the file.
func (l *listener) Close() error {
	err := l.UnixListener.Close()
	l.once.Do(func() {
		if now, e := os.Lstat(l.path); e == nil && (l.file == nil || os.SameFile(now, l.file)) {
			err = errors.Join(err, os.Remove(l.path))
		}
	})
	return err
}
