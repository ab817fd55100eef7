package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

// smallDisk mounts a disk of 8 MB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skip("needs root, to mount a small disk: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// diskRun is edged with its state, and an output, on a disk.
type diskRun struct {
	*process
	c      *client.Client
	output string
}

func runOnDisk(t *testing.T, dir string) *diskRun {
	t.Helper()
	return runOnDiskBy(t, dir, func(p *process) error { return p.Start() })
}

// runOnDiskBy is runOnDisk for another way to start the process.
func runOnDiskBy(t *testing.T, dir string, start func(*process) error) *diskRun {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "c.yaml")
	r := &diskRun{output: filepath.Join(dir, "events.jsonl")}
	text := "memory: {snapshot: 1s}\noutputs: [{jsonl: " + r.output + "}]\n" +
		"scenes: [{name: a, interval: 100ms, views: [{name: v, source: 'sim:1/front', rate: 10}]}]\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m, environment := newManager(t, time.Minute)
	socket := testSocket(t)
	r.process = newProcess(t, "run", "-config", conf, "-state", filepath.Join(dir, "state"), "-socket", socket)
	r.Env = append(r.Env, environment...)
	r.startBy(t, start)
	m.wait(t, "READY=1")
	var err error
	if r.c, err = client.Dial(t.Context(), socket, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.c.Close() })
	return r
}

// captions waits for three.
func (r *diskRun) captions(t *testing.T) {
	t.Helper()
	n := 0
	for e, err := range r.c.Watch(t.Context(), new(wire.Watch)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption {
			if n++; n == 3 {
				return
			}
		}
	}
}

// until waits for a status, and for three captions after that.
func (r *diskRun) until(t *testing.T, what string, is func(s *wire.Status, all string) bool) {
	t.Helper()
	var all string
	for range 600 {
		s, err := r.c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = strings.Join(s.Problems, "\n")
		for _, sc := range s.Scenes {
			if sc.Memory != nil {
				all += "\n" + sc.Memory.Problem
			}
		}
		if s.Log != nil {
			all += "\n" + s.Log.Error
		}
		if all = strings.TrimSpace(all); is(s, all) {
			r.captions(t)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("status does not say that %s: %s", what, all)
}

func (r *diskRun) end(t *testing.T) {
	t.Helper()
	r.Process.Signal(syscall.SIGTERM)
	if err := r.wait(); err != nil {
		t.Error(err)
	}
}

// saved is true when there is no problem and there are more snapshots on disk than n.
func saved(n int64) func(*wire.Status, string) bool {
	return func(s *wire.Status, all string) bool {
		return all == "" && s.Scenes[0].Memory != nil && s.Scenes[0].Memory.Snapshots > n
	}
}

// TestRunDiskFull fills the disk while edged runs and empties it again.
func TestRunDiskFull(t *testing.T) {
	needProcess(t)
	t.Parallel()
	dir := smallDisk(t)
	r := runOnDisk(t, dir)
	r.until(t, "memories are saved", saved(0))

	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); err == nil; {
		_, err = f.Write(b)
	}
	f.Close()
	r.until(t, "the disk is full", func(_ *wire.Status, all string) bool {
		return strings.Contains(all, "no space left") || strings.Contains(all, "full")
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	r.until(t, "memories are saved again", saved(0))
	r.end(t)
	text, err := os.ReadFile(r.output)
	if err != nil || strings.Count(string(text), `"type":"caption"`) < 6 {
		t.Errorf("%v, output:\n%s", err, text)
	}
}

// TestRunReadOnly starts on a disk that cannot be written to, which then can.
func TestRunReadOnly(t *testing.T) {
	needProcess(t)
	t.Parallel()
	dir := smallDisk(t)
	if err := unix.Mount("none", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	r := runOnDisk(t, dir)
	r.until(t, "the disk is read-only", func(_ *wire.Status, all string) bool { return strings.Contains(all, "read-only") })
	if err := unix.Mount("none", dir, "", unix.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	r.until(t, "memories are saved", func(s *wire.Status, _ string) bool {
		return s.Scenes[0].Memory != nil && s.Scenes[0].Memory.Problem == "" && s.Scenes[0].Memory.Snapshots > 0
	})
	r.end(t)
	if text, err := os.ReadFile(r.output); err != nil || !strings.Contains(string(text), `"type":"caption"`) {
		t.Errorf("%v, output:\n%s", err, text)
	}
}
