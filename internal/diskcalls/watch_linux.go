//go:build amd64 || arm64

package diskcalls

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/seccomp"
)

// handover is the environment variable that names the descriptor of a socket over which the
// process hands its calls over.
const handover = "EDGED_DISKCALLS"

// Enter hands the calls of this process over, if it was started for that.
func Enter() error {
	value := os.Getenv(handover)
	if value == "" {
		return nil
	}
	os.Unsetenv(handover)
	fd, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	listener, err := seccomp.Install(filter())
	if err != nil {
		return err
	}
	if err := unix.Sendmsg(fd, []byte{0}, unix.UnixRights(listener), nil, 0); err != nil {
		return fmt.Errorf("handing over: %w", err)
	}
	// With the other process its calls end, too, instead of waiting.
	return errors.Join(unix.Close(listener), unix.Close(fd))
}

// Watcher sees the calls of one process.
type Watcher struct {
	socket int
	dir    string
	see    func(Call) unix.Errno
	done   chan struct{}
	err    error
}

// Watch starts a process, which calls [Enter], and has see told of each call that is about
// what lies below dir or prints, one after the other. What see returns is what the call
// fails with; 0: the call is made.
func Watch(cmd *exec.Cmd, dir string, see func(Call) unix.Errno) (*Watcher, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(pair[1]), "handover")
	defer theirs.Close()
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", handover, 3+len(cmd.ExtraFiles)))
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	if err := cmd.Start(); err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	w := &Watcher{socket: pair[0], dir: dir, see: see, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.err = w.run()
	}()
	return w, nil
}

// Wait returns when the process has ended. The error says why its calls could not be seen.
func (w *Watcher) Wait() error {
	<-w.done
	return w.err
}

func (w *Watcher) run() error {
	listener, err := w.receive()
	if err != nil {
		return err
	}
	defer unix.Close(listener)
	for {
		p := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return err
		}
		if p[0].Revents&unix.POLLIN == 0 {
			if p[0].Revents&unix.POLLHUP != 0 { // nobody has the filter any more
				return nil
			}
			continue
		}
		n, ok := seccomp.Receive(listener)
		if !ok {
			continue
		}
		if c, ok := understand(&n); ok && (c.Op == Print || c.Path == w.dir || strings.HasPrefix(c.Path, w.dir+"/")) {
			if e := w.see(c); e != 0 {
				seccomp.Answer(listener, n.ID, 0, e)
				continue
			}
		}
		n.Pass(listener)
	}
}

// receive waits for the descriptor on which the process hands its calls over.
func (w *Watcher) receive() (int, error) {
	defer unix.Close(w.socket)
	var b [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(w.socket, b[:], oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return 0, errors.Join(errors.New("the process handed nothing over"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, errors.Join(errors.New("the process handed nothing over"), err)
	}
	return fds[0], nil
}
