package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/wire"
)

// buildPlugins makes the example plugins as docs/plugins.md says.
func buildPlugins(t *testing.T) (dir string) {
	t.Helper()
	needProcess(t)
	for _, name := range []string{"make", "clang-19", "wasm-ld-19"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skipf("%s is not installed: make deps", name)
		}
	}
	// What is read here makes the go command run the test again when it changes.
	for _, pattern := range []string{"Makefile", "sdk/*.*", "sdk/examples/*/*.*"} {
		files, err := filepath.Glob("../../" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, name := range files {
			if _, err := os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir = t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "plugins", "PLUGINS="+dir).CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return dir
}

// TestRunExamplePlugins has edged watch simulated rooms with the two plugins that docs/plugins.md offers: "edged watch" is told
// when something crosses the line and when a word is in a caption, which has the rule's tag, and "edged log" has both afterwards.
func TestRunExamplePlugins(t *testing.T) {
	dir := buildPlugins(t)
	const text = `
plugins:
- {file: crossing.wasm, allow: [on_frame, emit], rate: 30, call_limit: 10s, config: {gate: false}}
- {file: alert.wasm, allow: [on_caption, emit], call_limit: 10s, config: {rules: [{words: [box, ball, cone, can, person], tag: thing}]}}
scenes:
- {name: hall, interval: 50ms, views: [{name: door, rate: 10, source: 'sim:2/front'}]}
- {name: yard, interval: 50ms, views: [{name: gate, rate: 10, source: 'sim:7/front'}]}
`
	r, c := startRun(t, pluginFile(t, dir, "c.yaml", []byte(text)))
	p := newProcess(t, "watch", "-json", "-from", "1", "-socket", r.socket)
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start(t)
	seen := func(e *jsonEvent) string {
		switch {
		case e.Type == wire.EventCaption && slices.Equal(e.Tags, []string{"thing"}):
			return "caption"
		case e.Type == wire.EventAlert && e.Plugin == "alert" && slices.Equal(e.Tags, []string{"thing"}) && e.Frame > 0:
			return "word"
		case e.Type == wire.EventAlert && e.Plugin == "crossing" && slices.Equal(e.Tags, []string{"crossing"}) &&
			strings.HasPrefix(e.Text, "something crossed the line at "+e.View+", ") && e.View == map[string]string{"hall": "door", "yard": "gate"}[e.Scene]:
			return "crossing"
		}
		return ""
	}
	all := map[string]jsonEvent{}
	for d := json.NewDecoder(out); len(all) < 3; {
		var e jsonEvent
		if err := d.Decode(&e); err != nil {
			t.Fatalf("of captions with the tag, alerts about words and crossings there was only %v: %v", all, err)
		}
		if kind := seen(&e); kind != "" {
			all[kind] = e
		}
	}
	p.Process.Kill()
	p.wait()
	for kind, want := range all {
		code, out, stderr := runCommand(t, "log", "-socket", r.socket, "-json", "-event", want.Type)
		found := false
		for line := range strings.Lines(out) {
			var e jsonEvent
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			found = found || e.Seq == want.Seq && e.Text == want.Text && seen(&e) == kind
		}
		if code != exitOK || !found {
			t.Errorf("log: %d, %q has no %+v: %q", code, out, want, stderr)
		}
	}
	_, status, _ := runCommand(t, "status", "-socket", r.socket)
	for _, name := range []string{"crossing: running, may on_frame, emit; ", "alert: running, may on_caption, emit; "} {
		if strings.Count(status, "plugin "+name) != 2 {
			t.Errorf("status: %s", status)
		}
	}
	c.Close()
	r.stop(t)
}
