package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is a running helper.
type process struct {
	name    string
	secrets []string // never shown
	cmd     *exec.Cmd
	out     *os.File // its standard output, with deadlines
	said    tail     // the end of what it wrote to standard error

	ended bool
	end   error // how it ended
}

// How long a helper that was told to end may take to say good-bye to its camera, which may
// have few sessions to give, and how long the kernel may take to end it by force.
const (
	endGrace  = time.Second
	killGrace = 2 * time.Second
)

// errEnded is what is left to say of a helper that ended without a word.
var errEnded = errors.New("ended without a word")

// start runs a helper in a process group of its own. Its standard input is empty.
func start(path string, args, secrets []string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	p := &process{cmd: exec.Command(path, args...), out: r, secrets: secrets}
	p.name = p.cmd.Args[0][strings.LastIndexByte(p.cmd.Args[0], '/')+1:]
	p.cmd.Stdout, p.cmd.Stderr = w, &p.said
	p.cmd.SysProcAttr = ownGroup()
	p.cmd.WaitDelay = killGrace // for a process that left the group and holds standard error
	if err := p.cmd.Start(); err != nil {
		r.Close()
		return nil, err
	}
	return p, nil
}

// within makes reads fail after d, and when ctx ends; the caller calls done after the reads.
func (p *process) within(ctx context.Context, d time.Duration) (done func() bool) {
	p.out.SetReadDeadline(time.Now().Add(d))
	return context.AfterFunc(ctx, func() { p.out.SetReadDeadline(time.Unix(1, 0)) })
}

// stop ends the helper and its whole group, and waits for that. The error is about the
// ending only.
func (p *process) stop() error {
	if p.ended {
		return nil
	}
	p.ended = true
	// The helper is not waited for before the last signal: until then its number, which is
	// that of the group, cannot become another process's.
	signalGroup(p.cmd.Process.Pid, false)
	p.out.SetReadDeadline(time.Now().Add(endGrace))
	io.Copy(io.Discard, p.out) // to the end of its output, lest it blocks on a full pipe
	signalGroup(p.cmd.Process.Pid, true)
	p.out.Close()
	waited := make(chan error, 1)
	go func() { waited <- p.cmd.Wait() }()
	t := time.NewTimer(2 * killGrace)
	defer t.Stop()
	select {
	case p.end = <-waited:
		return nil
	case <-t.C: // in the kernel, as with a camera's driver that hangs
		return fmt.Errorf("%s (process %d) does not die", p.name, p.cmd.Process.Pid)
	}
}

// fail ends the helper and says why there are no more pictures: why, unless it ended by
// itself, and the last words of the helper.
func (p *process) fail(why error) error {
	if errors.Is(why, io.EOF) || errors.Is(why, io.ErrUnexpectedEOF) {
		why = nil
	}
	stopped := p.stop()
	words := p.said.String()
	for _, s := range p.secrets {
		words = strings.ReplaceAll(words, s, "***")
	}
	switch {
	case why == nil && words != "":
		why = errors.New(words)
	case why == nil && p.end != nil:
		why = fmt.Errorf("%w (%w)", errEnded, p.end)
	case why == nil:
		why = errEnded
	case words != "":
		why = fmt.Errorf("%w; it said: %s", why, words)
	}
	return errors.Join(fmt.Errorf("%s: %w", p.name, why), stopped)
}
