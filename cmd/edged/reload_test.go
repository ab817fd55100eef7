package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/edge/config"
	"github.com/visualrwkv/edged/wire"
)

// TestReload changes one scene's question, another's camera, takes one away and adds one:
// what did not change goes on, and so does the one with another question; what has another camera keeps its memory. Outputs, roles and budgets change
// too, without a scene that begins anew.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	scene := func(name, source, more string) string {
		return "- {name: " + name + ", interval: 100ms, " + more + "views: [{name: v, rate: 50, source: 'sim:" + source + "'}]}"
	}
	write("scenes:", scene("same", "1/front", ""), scene("asked", "2/front", ""), scene("moved", "3/front", ""), scene("gone", "4/front", ""))
	r, c := startRun(t, path)
	before := waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Frames >= 5 })

	write("scenes:", "- {name: same}")
	r.reload(t, "the configuration is not used", 1)
	r.reload(t, "the configuration is not used", 2)
	if s := waitScenes(t, c, nil); len(s) != 4 {
		t.Errorf("%d scenes after a bad configuration", len(s))
	}
	if s, err := c.Status(t.Context()); err != nil || s.Log.MaxBytes != 256<<20 || s.Log.MaxAgeMS != 0 {
		t.Errorf("log: %+v, %v", s.Log, err)
	}
	write("threads: 1", "socket: {mode: 0660, roles: [{uid: 1, role: view}]}", "log: {size: 2MiB, age: 1d}",
		"budgets: {writes_per_day: 100kB, celsius: 60}", "outputs: [{jsonl: first}, {jsonl: '-'}]", "scenes:", scene("same", "1/front", ""), scene("asked", "2/front", "prompt: how many objects are there?, "),
		scene("moved", "3/side", ""), scene("new", "5/front", ""))
	r.reload(t, "the configuration was read again", 1)
	r.reload(t, "the configuration was read again", 2)
	after := waitScenes(t, c, func(s wire.SceneStatus) bool { return s.Frames >= 1 && s.Caption != "" })
	if s, err := c.Status(t.Context()); err != nil || s.Log.MaxBytes != 2<<20 || s.Log.MaxAgeMS != 24*60*60e3 {
		t.Errorf("log, limited: %+v, %v", s.Log, err)
	}
	if a, b := before["same"].Memory, after["same"].Memory; b.EveryMS <= a.EveryMS {
		t.Errorf("a snapshot of the scene that is the same every %v ms, with a small budget every %v ms", a.EveryMS, b.EveryMS)
	}
	if len(after) != 4 || after["gone"].Name != "" {
		t.Errorf("%+v", after)
	}
	for _, name := range []string{"same", "asked"} {
		if a, b := before[name], after[name]; b.Frames < a.Frames {
			t.Errorf("scene %s, which goes on: %d, then %d frame sets", name, a.Frames, b.Frames)
		}
	}
	for name, kept := range map[string]bool{"moved": true, "new": false} {
		code, out, stderr := runCommand(t, "ask", "-socket", r.socket, "-scene", name, "-json", "how many objects are there?")
		frame := answerFrame(t, out)
		later := waitScenes(t, c, nil)[name].Frames
		// What is kept has five frame sets at least that the new scene has not seen. A frame set
		// is remembered before it is counted.
		if seen := after[name].Frames; code != exitOK || kept && frame < seen+5 || !kept && (frame < 1 || frame > later+1) {
			t.Errorf("%s: answered from frame set %d, when the new scene had seen %d to %d: %q", name, frame, seen, later, stderr)
		}
	}
	c.Close()
	r.stop(t)
	first, err := os.ReadFile(filepath.Join(filepath.Dir(path), "first"))
	if err != nil || !strings.Contains(string(first), `"scene":"new"`) || !strings.Contains(r.out.String(), `"scene":"new"`) {
		t.Errorf("outputs that were added: %v, %q, %q", err, first, r.out.String())
	}
	for line, n := range map[string]int{
		"same: its memory of 140 KiB is saved every 24h0m0s, not every 5m0s":                  2,
		"the configuration is not used, the one before goes on:":                              2,
		":2:3: scene same has no views":                                                       2,
		"socket.mode, threads in the configuration: takes effect when edged is started again": 2,
		"the configuration was read again: 4 scenes, of which 2 began anew and 1 changed":     1,
		"the configuration was read again: 4 scenes, of which 0 began anew and 0 changed":     1,
		"gone: stopped":   1,
		"same: stopped":   1, // in the end
		"same: watching":  1,
		"asked: watching": 1, // its camera stays open
		"moved: watching": 2,
		"new: watching":   1,
	} {
		if got := strings.Count(r.err.String(), line); got != n {
			t.Errorf("%q is told %d times, want %d:\n%s", line, got, n, &r.err)
		}
	}
}

// TestOutputsChange: an output that is not wanted any more ends, and its file is whole; one
// that stays goes on, and roles are those of the file that was read last.
func TestOutputsChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	write := func(head string) {
		t.Helper()
		scenes := "scenes: [{name: a, interval: 100ms, views: [{name: v, rate: 50, source: 'sim:1/front'}]}]\n"
		if err := os.WriteFile(path, []byte(head+scenes), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("outputs: [{jsonl: one}, {jsonl: two}]\n")
	r, c := startRun(t, path)
	write("outputs: [{jsonl: two}]\n")
	r.reload(t, "the configuration was read again", 1)
	for _, action := range []string{wire.ActionPause, wire.ActionResume} {
		if err := c.Admin(t.Context(), &wire.Admin{Action: action}); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	r.stop(t)
	for name, want := range map[string]bool{"one": false, "two": true} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) || strings.Contains(string(data), "watching again") != want {
			t.Errorf("%s: %v, %q", name, err, data)
		}
	}
}

// TestRolesChange: a client that connects has the role that the newest configuration gives.
func TestRolesChange(t *testing.T) {
	r := new(reloader)
	peer := wire.Peer{UID: 4711}
	for _, want := range []wire.Role{wire.RoleView, wire.RoleAsk} {
		f := &config.File{Socket: config.Socket{Roles: []config.Role{{UID: 4711, GID: -1, Role: want.String()}}}}
		if err := r.setRoles(f); err != nil || r.roleOf(peer) != want {
			t.Errorf("%v: %v, %v", want, r.roleOf(peer), err)
		}
	}
}

// waitScenes asks for the status until all scenes are as wished.
func waitScenes(t *testing.T, c *client.Client, ok func(wire.SceneStatus) bool) map[string]wire.SceneStatus {
	t.Helper()
	for {
		st, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]wire.SceneStatus{}
		good := true
		for _, s := range st.Scenes {
			all[s.Name] = s
			good = good && (ok == nil || ok(s))
		}
		if good {
			return all
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// answerFrame is the number of frame sets that an answer is from.
func answerFrame(t *testing.T, out string) int64 {
	t.Helper()
	var a jsonAnswer
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	return a.Frame
}

// TestLasting: each key that a reload does not change is named when it differs.
func TestLasting(t *testing.T) {
	same := func() *config.File { return &config.File{Threads: 1} }
	for key, change := range map[string]func(*config.File){
		"state_dir":   func(f *config.File) { f.StateDir = "/elsewhere" },
		"socket.path": func(f *config.File) { f.Socket.Path = "/elsewhere" },
		"socket.mode": func(f *config.File) { f.Socket.Mode = 0o660 },
		"threads":     func(f *config.File) { f.Threads = 2 },
		"cpus":        func(f *config.File) { f.CPUs = "0-1" },
	} {
		f := same()
		change(f)
		if got := lasting(same(), f); !slices.Equal(got, []string{key}) {
			t.Errorf("%q, want %s", got, key)
		}
	}
	if got := lasting(same(), same()); len(got) > 0 {
		t.Errorf("%q of what is the same", got)
	}
}
