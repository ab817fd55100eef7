package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/internal/backendtest"
	"github.com/visualrwkv/edged/wire"
)

// syncBuffer may be written to and read at the same time.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// running is "edged run" in this process.
type running struct {
	runOptions
	out, err syncBuffer
	hup      chan os.Signal
	end      context.CancelFunc
	code     chan int
}

// startRun runs a configuration until stop, and waits until its socket answers.
func startRun(t *testing.T, configFile string) (*running, *client.Client) {
	t.Helper()
	backendtest.SkipAgain(t)
	r := &running{code: make(chan int, 1)}
	r.runOptions = runOptions{config: configFile, socket: testSocket(t), state: filepath.Join(t.TempDir(), "state")}
	r.hup = make(chan os.Signal)
	r.again = r.hup
	return r, r.start(t)
}

// start runs it and waits until its socket answers.
func (r *running) start(t *testing.T) *client.Client {
	t.Helper()
	backendtest.SkipAgain(t)
	var ctx context.Context
	ctx, r.end = context.WithCancel(t.Context())
	go func() { r.code <- runDaemon(ctx, r.runOptions, &r.out, &r.err) }()
	for {
		c, err := client.Dial(t.Context(), r.socket, nil)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		select {
		case code := <-r.code:
			t.Fatalf("it ended with %d:\n%s", code, &r.err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.end()
	if code := <-r.code; code != exitOK {
		t.Errorf("it ended with %d", code)
	}
	if t.Failed() {
		t.Logf("its log:\n%s", &r.err)
	}
	if _, err := os.Lstat(r.socket); err == nil {
		t.Error("socket left behind")
	}
}

// TestRunExample runs the simulated example as the README says: captions of both scenes,
// questions about each.
func TestRunExample(t *testing.T) {
	r, c := startRun(t, "../../docs/example-sim.yaml")
	told := map[string]string{}
	for e, err := range c.Watch(t.Context(), new(wire.Watch)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption {
			told[e.Scene] = e.Text
		}
		if len(told) == 2 {
			break
		}
	}
	if told["hall"] == "" || told["lab"] == "" {
		t.Errorf("captions %q", told)
	}
	for _, scene := range []string{"hall", "lab"} {
		code, out, stderr := runCommand(t, "ask", "-socket", r.socket, "-scene", scene, "how many objects are there?")
		if code != exitOK || strings.TrimSpace(out) == "" {
			t.Errorf("%s: code %d, %q, %q", scene, code, out, stderr)
		}
	}
	code, out, stderr := runCommand(t, "ask", "-socket", r.socket, "-scene", "hall", "-timeout", "2ns", "how many objects are there?")
	if code != exitFailed || out != "" || stderr != "edged ask: no answer within 2ns\n" {
		t.Errorf("-timeout: code %d, %q, %q", code, out, stderr)
	}
	if code, out, stderr := runCommand(t, "ask", "-socket", r.socket, "-scene", "hall", "-timeout", "10m", "how many objects are there?"); code != exitOK || out == "" {
		t.Errorf("-timeout: code %d, %q, %q", code, out, stderr)
	}
	code, _, stderr = runCommand(t, "ask", "-socket", r.socket, "what left?")
	if code != exitFailed || !strings.Contains(stderr, `which scene? There are "hall", "lab"`) {
		t.Errorf("code %d, %q", code, stderr)
	}

	var second bytes.Buffer
	other := r.runOptions
	other.socket += "2"
	if code := runDaemon(t.Context(), other, &second, &second); code != exitFailed || !strings.Contains(second.String(), "another edged uses this state folder") {
		t.Errorf("a second daemon: %d, %s", code, &second)
	}
	r.stop(t)
	for _, want := range []string{"hall: watching front, side", "lab: side: live", "lab: stopped"} {
		if strings.Count(r.err.String(), want) != 1 {
			t.Errorf("%q is not told once", want)
		}
	}
}

// TestRunOutput: events as lines of JSON, to a file and to the standard output, the last
// one included.
func TestRunOutput(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	text := "scenes: [{name: a, views: [{name: v, source: 'sim:1/front'}]}]\noutputs: [{jsonl: '-'}, {jsonl: events}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, c := startRun(t, path)
	for e, err := range c.Watch(t.Context(), new(wire.Watch)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption {
			break
		}
	}
	r.stop(t)
	data, err := os.ReadFile(filepath.Join(dir, "events"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"file": string(data), "standard output": r.out.String()} {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		var last jsonEvent
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.State != wire.StateStopped || last.Scene != "a" {
			t.Errorf("%s: last line %+v, %v", name, last, err)
		}
		if len(lines) < 2 || !strings.Contains(text, `"type":"caption"`) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestRunAndCheckRefuse(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const scenes = "scenes: [{name: a, views: [{name: v, source: 'sim:1/front'}]}]\n"
	good := write("good", scenes)
	bad := write("bad", "scene: []\n")
	code, out, stderr := runCommand(t, "check", "-config", good)
	if code != exitOK || out != good+": good: 1 scene, 1 view\n" || stderr != "" {
		t.Errorf("check: %d, %q, %q", code, out, stderr)
	}
	tests := []struct {
		args, want string
		code       int
	}{
		{"check -config " + bad, bad + ":1:1: unknown key \"scene\"; did you mean \"scenes\"?\n    1 | scene: []\n      | ^\n", exitInput},
		{"check -config " + good + "x", "no such file", exitInput},
		{"check -config " + write("absent", "model: none.gguf\n"+scenes), "model: stat " + filepath.Join(dir, "none.gguf"), exitInput},
		{"check", "no -config", exitUsage},
		{"check -config " + good + " x", "unexpected argument", exitUsage},
		{"run", "no -config", exitUsage},
		{"run -config " + good + " x", "unexpected argument", exitUsage},
		{"run -config " + bad, bad + ":1:1: ", exitInput},
		{"run -config " + write("model", "model: none.gguf\n"+scenes), "none.gguf: no such file", exitInput},
		{"run -config " + write("words", strings.Replace(scenes, "name: a", "name: a, prompt: where is the zebra", 1)), `scene a: its prompt cannot be asked: the model does not know this word: "zebra"`, exitInput},
		{"run -config " + write("cpus", "cpus: x\n"+scenes), "cpus: ", exitInput},
	}
	for _, c := range tests {
		args := strings.Fields(c.args)
		if args[0] == "run" {
			args = append(args[:1:1], append([]string{"-state", filepath.Join(dir, "state"), "-socket", testSocket(t)}, args[1:]...)...)
		}
		code, out, stderr := runCommand(t, args...)
		if code != c.code || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %d, %q, %q, want %d, %q", c.args, code, out, stderr, c.code, c.want)
		}
	}
}

func TestStatePath(t *testing.T) {
	t.Setenv("EDGED_STATE_DIR", "/env")
	for _, c := range []struct{ flag, configured, want string }{{"/flag", "/conf", "/flag"}, {"", "/conf", "/conf"}, {"", "", "/env"}} {
		if p, err := statePath(c.flag, c.configured); err != nil || p != c.want {
			t.Errorf("%+v: %s, %v", c, p, err)
		}
	}
	t.Setenv("EDGED_STATE_DIR", "")
	t.Setenv("XDG_STATE_HOME", "/xdg")
	if p, err := statePath("", ""); err != nil || p != "/xdg/edged" && os.Getuid() != 0 || p != "/var/lib/edged" && os.Getuid() == 0 {
		t.Errorf("%s, %v", p, err)
	}
}
