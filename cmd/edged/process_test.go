package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// processTime is how long a process of a test may live, on a busy machine too.
const processTime = 5 * time.Minute

// process is edged in a process of its own. It ends with the test or after
// processTime; then it says where its goroutines are (SIGQUIT), and what does not
// even do that is killed.
type process struct {
	*exec.Cmd
	stderr bytes.Buffer // valid after wait
	wait   func() error // once, however often it is called
	ctx    context.Context
}

// needProcess skips short runs: those are made under emulators that cannot start
// the test binary again.
func needProcess(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a process")
	}
}

// newProcess prepares the test binary to run as edged.
func newProcess(t *testing.T, args ...string) *process {
	t.Helper()
	return newProcessFor(t, processTime, args...)
}

// newProcessFor is newProcess for another time to live.
func newProcessFor(t *testing.T, life time.Duration, args ...string) *process {
	t.Helper()
	needProcess(t)
	ctx, cancel := context.WithTimeout(t.Context(), life)
	p := &process{Cmd: exec.CommandContext(ctx, os.Args[0], args...), ctx: ctx}
	p.Env = append(os.Environ(), asMain+"=1")
	p.Stderr = &p.stderr
	p.Cancel = func() error { return p.Process.Signal(syscall.SIGQUIT) }
	p.WaitDelay = 10 * time.Second
	p.wait = sync.OnceValue(p.Wait)
	t.Cleanup(cancel)
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	p.startBy(t, func(p *process) error { return p.Start() })
}

// startBy is start by another way.
func (p *process) startBy(t *testing.T, start func(*process) error) {
	t.Helper()
	if err := start(p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.wait() // the test's context is done
		if t.Failed() && p.stderr.Len() > 0 {
			t.Logf("standard error of %q:\n%s", p.Args[1:], &p.stderr)
		}
	})
}

// end waits until the process ends by itself and returns its exit code. It fails
// the test when the process does not end, or writes to its standard error.
func (p *process) end(t *testing.T) (code int) {
	t.Helper()
	err := p.wait()
	if p.ctx.Err() != nil {
		t.Fatalf("%q did not end within %v", p.Args[1:], processTime)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if p.stderr.Len() > 0 {
		t.Error("something on the standard error")
	}
	return p.ProcessState.ExitCode()
}
