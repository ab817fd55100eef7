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

// peer is llama-bench of llama.cpp, with a model.
type peer struct {
	path, model string
	bytes       int64 // of the model file
	rss         int64 // largest so far; 0 where the system does not say
}

// patience is how long a cancelled peer may take to end before it is killed.
const patience = 2 * time.Second

// speed runs the peer once and returns its tokens per second: of decoding, or of
// reading a prompt.
func (p *peer) speed(ctx context.Context, what What, tokens, threads int) (float64, error) {
	prompt, gen := 0, tokens
	if what == Prefill {
		prompt, gen = tokens, 0
	}
	cmd := exec.CommandContext(ctx, p.path, "-m", p.model, "-p", strconv.Itoa(prompt), "-n", strconv.Itoa(gen),
		"-t", strconv.Itoa(threads), "-r", "1", "-o", "json")
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
	tokS, err := parseSpeed(stdout.Bytes(), prompt, gen)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.path, err)
	}
	return tokS, nil
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

// parseSpeed takes the tokens per second out of llama-bench's JSON.
func parseSpeed(out []byte, prompt, gen int) (float64, error) {
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
			return t.TokS, nil
		}
	}
	return 0, errors.New("output has no result of the test that was asked for")
}
