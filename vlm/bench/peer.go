package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// peer is another program, with a model.
type peer struct {
	path, model string
	bytes       int64 // of the model file
	rss         int64 // largest so far; 0 where the system does not say

	// args are those for a run like r's, time what its output says such a run took.
	args func(r *Row) []string
	time func(r *Row, stdout, stderr []byte) (time.Duration, error)
}

// patience is how long a cancelled peer may take to end before it is killed.
const patience = 2 * time.Second

// run lets the peer do once what one run of r does.
func (p *peer) run(ctx context.Context, r *Row) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, p.path, p.args(r)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Start()
	if err == nil {
		stop := p.watch(cmd.Process.Pid)
		err = cmd.Wait()
		stop()
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w%s", p.path, err, lastLine(stderr.String()))
	}
	d, err := p.time(r, stdout.Bytes(), stderr.Bytes())
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.path, err)
	}
	return d, nil
}

// watch notes the peak of a process's resident memory until it is stopped. The
// figure that the system gives for a child that has ended will not do: it counts
// from the fork, when all memory was ours.
func (p *peer) watch(pid int) (stop func()) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			p.rss = max(p.rss, procBytes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM:"))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	return ": " + text[strings.LastIndexByte(text, '\n')+1:]
}

// llamaBench is llama-bench with a language model.
func llamaBench(path, model string, bytes int64) *peer {
	tokens := func(r *Row) (prompt, gen int) {
		if r.What == Prefill {
			return r.Tokens, 0
		}
		return 0, r.Tokens
	}
	return &peer{path: path, model: model, bytes: bytes,
		args: func(r *Row) []string {
			prompt, gen := tokens(r)
			return []string{"-m", model, "-p", strconv.Itoa(prompt), "-n", strconv.Itoa(gen),
				"-t", strconv.Itoa(r.Threads), "-r", "1", "-o", "json"}
		},
		time: func(r *Row, stdout, _ []byte) (time.Duration, error) {
			prompt, gen := tokens(r)
			return parseSpeed(stdout, prompt, gen)
		},
	}
}

// parseSpeed takes out of llama-bench's JSON how long a test took.
func parseSpeed(out []byte, prompt, gen int) (time.Duration, error) {
	var tests []struct {
		Prompt int     `json:"n_prompt"`
		Gen    int     `json:"n_gen"`
		TokS   float64 `json:"avg_ts"`
	}
	if err := json.Unmarshal(out, &tests); err != nil {
		return 0, fmt.Errorf("output is not what llama-bench -o json prints: %w", err)
	}
	for _, t := range tests {
		if t.Prompt == prompt && t.Gen == gen && t.TokS > 0 {
			return time.Duration(float64(prompt+gen) / t.TokS * float64(time.Second)), nil
		}
	}
	return 0, errors.New("output has no result of the test that was asked for")
}
