package main

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/wire"
)

// thinker never has an answer. It tells when it begins to think, and when it was told to stop.
type thinker struct {
	wire.Handler
	begun, ended chan struct{}
}

func (thinker) Welcome(context.Context, *wire.Hello) (*wire.Welcome, error) {
	return &wire.Welcome{Server: "edged", Scenes: []string{"lab"}}, nil
}

func (h thinker) Ask(ctx context.Context, _ *wire.Ask, _ func(string) error) (*wire.Answer, error) {
	h.begun <- struct{}{}
	<-ctx.Done()
	h.ended <- struct{}{}
	return nil, ctx.Err()
}

// TestAskInterrupted: Ctrl-C ends "edged ask" and the daemon's work on its answer, and what
// ends the process without a word ends that too.
func TestAskInterrupted(t *testing.T) {
	needProcess(t)
	socket := testSocket(t)
	ln, err := wire.Listen(t.Context(), socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	h := thinker{begun: make(chan struct{}), ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- wire.Serve(ctx, ln, h, nil) }()
	await := func(what chan struct{}, name string) {
		t.Helper()
		select {
		case <-what:
		case <-time.After(time.Minute):
			t.Fatalf("the work has not %s", name)
		}
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		p := newProcess(t, "ask", "-socket", socket, "what left?")
		p.start(t)
		await(h.begun, "begun")
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		await(h.ended, "ended")
		p.wait()
		if said := p.stderr.String(); sig == syscall.SIGINT && (p.ProcessState.ExitCode() != exitFailed || said != "edged ask: interrupted\n") {
			t.Errorf("code %d, %q", p.ProcessState.ExitCode(), said)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
