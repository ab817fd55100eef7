package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

// quickScene is a simulated scene that sees as often as it can and captions everything.
const quickScene = `
memory: {snapshot: 1s}
scenes:
- name: lab
  interval: 1ms
  gate: {pixels: -1}
  views: [{name: front, source: "sim:2/front", rate: 100}, {name: side, source: "sim:2/side", rate: 100}]
`

func quickConfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(quickScene), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// frames waits until a daemon has seen n frame sets and returns how many it has.
func frames(t *testing.T, c *client.Client, n int64) int64 {
	t.Helper()
	for {
		st, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f := st.Scenes[0].Frames; f >= n {
			return f
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestRunRemembers stops a daemon and starts it again: it goes on, and answers about the
// time before as it did then.
func TestRunRemembers(t *testing.T) {
	r, c := startRun(t, quickConfig(t))
	frames(t, c, 5)
	const question = "how many objects are there?"
	askAt := func(args ...string) jsonAnswer {
		t.Helper()
		code, out, stderr := runCommand(t, append([]string{"ask", "-json", "-socket", r.socket, question}, args...)...)
		var a jsonAnswer
		if code != exitOK {
			t.Fatalf("%v: code %d, %s", args, code, stderr)
		}
		if err := json.Unmarshal([]byte(out), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	askAt()
	// The last memory is saved at the end if the disk is not too busy for that; one is there in any case.
	waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Memory.Snapshots > 0 })
	c.Close()
	r.stop(t)
	last := time.Now()

	again := &running{runOptions: r.runOptions, code: make(chan int, 1)}
	c = again.start(t)
	frames(t, c, 5)
	before := askAt("-at", last.Format("2006-01-02T15:04:05.999Z07:00"))
	now := askAt("-diff", "0.000001d")
	if now.Frame <= before.Frame || before.AgeMS <= 0 || now.Change == nil || now.Change.Then == "" || now.Change.Now == "" {
		t.Errorf("before the restart %+v, after it %+v", before, now)
	}
	if log := again.err.String(); strings.Count(log, "goes on with the memory of frame set") != 1 {
		t.Errorf("log:\n%s", log)
	}
	since := askAt("-since", "1h") // the demo's model reads no captions
	if s := since.Span; s == nil || s.Read || s.Logged < 2 || len(s.Captions) == 0 || s.Captions[len(s.Captions)-1].Text == "" || since.Text == "" {
		t.Errorf("since an hour ago %+v", since)
	}
	if code, out, _ := runCommand(t, "ask", "-socket", r.socket, "-since", "1h", question); code != exitOK || !strings.Contains(out, "not read by the model") {
		t.Errorf("code %d, %q", code, out)
	}
	code, out, stderr := runCommand(t, "ask", "-socket", r.socket, "-at", "0s", "-diff", "1ms", question)
	if code != exitOK || !strings.Contains(out, "then: ") || !strings.Contains(out, " now: ") {
		t.Errorf("code %d, %q, %q", code, out, stderr)
	}
	code, _, stderr = runCommand(t, "ask", "-socket", r.socket, "-at", "-10d", question)
	if code != exitFailed || !strings.Contains(stderr, "no snapshot from before that; the oldest was taken") {
		t.Errorf("ten days ago: code %d, %q", code, stderr)
	}
	if code, _, stderr := runCommand(t, "ask", "-at", "soon", question); code != exitUsage || !strings.Contains(stderr, "is no moment") {
		t.Errorf("code %d, %q", code, stderr)
	}
	if code, _, stderr := runCommand(t, "ask", "-since", "1h", "-diff", "1h", question); code != exitUsage || !strings.Contains(stderr, "either -diff or -since") {
		t.Errorf("code %d, %q", code, stderr)
	}
	st, err := c.Status(t.Context())
	if err != nil || st.Scenes[0].Memory.Snapshots < 1 || st.Scenes[0].Memory.Problem != "" {
		t.Errorf("%+v, %v", st.Scenes[0].Memory, err)
	}
	c.Close()
	again.stop(t)
}
