package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/wire"
)

// examplePlan is what docs/example-sim.yaml needs.
func examplePlan(t *testing.T) ramPlan {
	t.Helper()
	f, err := config.Load("../../docs/example-sim.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := openModel(f.Model, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return planRAM(m, f, nil)
}

func TestRAMBudget(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	const scenes = "\nscenes: [{name: a, views: [{name: v, source: 'sim:1/front'}]}]\n"
	if err := os.WriteFile(path, []byte("budgets: {ram: 20MB}"+scenes), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := runOptions{config: path, socket: testSocket(t), state: filepath.Join(dir, "state")}
	code := runDaemon(t.Context(), o, &out, &out)
	if code != exitFailed || !strings.Contains(out.String(), "for the model") || !strings.Contains(out.String(), "more than 19 MiB, budgets.ram") {
		t.Errorf("code %d: %s", code, &out)
	}
	p := examplePlan(t)
	if _, err := checkRAM(p, p.total()-1); err == nil {
		t.Error("a byte less than the plan goes through")
	}
	if _, err := checkRAM(p, p.total()); err != nil {
		t.Error(err)
	}
	if _, err := checkRAM(ramPlan{model: 1 << 60}, 0); err == nil || !strings.Contains(err.Error(), "for the model") {
		t.Errorf("more than any machine has: %v", err)
	}
	t.Log(p)
}

// memoryGroup makes a control group of either version, whose memory can be limited by
// the named file.
func memoryGroup(t *testing.T) (group, limitFile string) {
	t.Helper()
	for _, g := range []struct{ mount, file string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		group := filepath.Join(g.mount, fmt.Sprintf("edged-test-%d", os.Getpid()))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(group); err != nil {
				t.Error(err)
			}
		})
		if _, err := os.Stat(filepath.Join(group, g.file)); err == nil {
			return group, g.file
		}
	}
	t.Skip("needs root and control groups that limit memory")
	return "", ""
}

// TestRAMGroup: in a control group of a tenth less than the plan edged refuses to start,
// in one of a tenth more it watches and answers, and the kernel kills neither.
func TestRAMGroup(t *testing.T) {
	needProcess(t)
	t.Parallel()
	group, limitFile := memoryGroup(t)
	p := examplePlan(t)
	begin := func(limit int64) (*process, string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(group, limitFile), []byte(strconv.FormatInt(limit, 10)), 0); err != nil {
			t.Skip(err)
		}
		socket := testSocket(t)
		e := newProcess(t, "run", "-config", "../../docs/example-sim.yaml", "-state", t.TempDir(), "-socket", socket)
		// The shell enters the group before it becomes edged.
		e.Args = append([]string{"sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group, e.Path}, e.Args[1:]...)
		e.Path = "/bin/sh"
		return e, socket
	}

	e, _ := begin(p.total() / 10 * 9)
	e.start(t)
	e.wait()
	if code := e.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(e.stderr.String(), group+"/"+limitFile) {
		t.Errorf("with a tenth less: code %d (%v), %s", code, e.ProcessState, &e.stderr)
	}

	m, environment := newManager(t, time.Minute)
	e, socket := begin(p.total() / 10 * 11)
	e.Env = append(e.Env, environment...)
	e.start(t)
	m.wait(t, "READY=1")
	c, err := client.Dial(t.Context(), socket, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	captions := 0
	for ev, err := range c.Watch(t.Context(), new(wire.Watch)) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Event != wire.EventCaption {
			continue
		}
		for part, err := range c.Ask(t.Context(), &wire.Ask{Scene: ev.Scene, Question: "how many objects are there?"}) {
			if err != nil {
				t.Fatal(err)
			}
			_ = part
		}
		if captions++; captions == 3 {
			break
		}
	}
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("planned %v; resident %s", p, size(s.RSSBytes))
	if s.RSSBytes > p.total() {
		t.Errorf("%d bytes resident, %d planned", s.RSSBytes, p.total())
	}
	e.Process.Signal(syscall.SIGTERM)
	if err := e.wait(); err != nil {
		t.Errorf("with a tenth more: %v, %s", err, &e.stderr)
	}
}
