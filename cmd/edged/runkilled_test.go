package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

// TestRunKilled runs the simulated example, kills it and starts it again: captions come and
// questions are answered before and after, each scene goes on with its memory, and what is
// asked about the time before is answered as it was then.
func TestRunKilled(t *testing.T) {
	needProcess(t)
	example, err := os.ReadFile("../../docs/example-sim.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, socket := t.TempDir(), testSocket(t)
	conf := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(conf, append([]byte("memory: {snapshot: 1s}\n"), example...), 0o600); err != nil {
		t.Fatal(err)
	}
	begin := func() (*process, *client.Client) {
		t.Helper()
		p := newProcess(t, "run", "-config", conf, "-state", filepath.Join(dir, "state"), "-socket", socket)
		p.start(t)
		for {
			c, err := client.Dial(p.ctx, socket, nil)
			if err == nil {
				t.Cleanup(func() { c.Close() })
				return p, c
			}
			if p.ctx.Err() != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	ask := func(scene string, args ...string) (a jsonAnswer) {
		t.Helper()
		code, out, stderr := runCommand(t, append([]string{"ask", "-json", "-socket", socket, "-scene", scene, "what left the room?"}, args...)...)
		if code != exitOK {
			t.Fatalf("%v: code %d, %s", args, code, stderr)
		}
		if err := json.Unmarshal([]byte(out), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	scenes := []string{"hall", "lab"}

	p, c := begin()
	captions(t, c, 1, scenes)
	// What the newest memory answers is known when it is the newest no longer: the scenes
	// see nothing new until it is on the disk.
	if err := c.Admin(p.ctx, &wire.Admin{Action: wire.ActionPause}); err != nil {
		t.Fatal(err)
	}
	told := map[string]jsonAnswer{}
	for _, scene := range scenes {
		for saved := false; !saved; time.Sleep(10 * time.Millisecond) {
			told[scene] = ask(scene)
			all, err := c.Snapshots(p.ctx, scene)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all.Snapshots {
				saved = saved || s.Disk && s.Frame == told[scene].Frame
			}
		}
	}
	moment := time.Now().Format(time.RFC3339Nano)
	st, err := c.Status(p.ctx)
	if err != nil || st.Log == nil {
		t.Fatalf("%+v, %v", st, err)
	}
	p.Process.Kill()
	p.wait()

	p, c = begin()
	captions(t, c, st.Log.Next, scenes)
	for _, scene := range scenes {
		then, now, was := ask(scene, "-at", moment), ask(scene), told[scene]
		if then.Frame != was.Frame || then.Text != was.Text || !then.Time.Equal(was.Time) {
			t.Errorf("%s: asked about the time before the end %+v, and then %+v", scene, then, was)
		}
		if now.Frame <= was.Frame {
			t.Errorf("%s: it holds frame set %d, and held %d", scene, now.Frame, was.Frame)
		}
	}
	if st, err = c.Status(p.ctx); err != nil || !strings.Contains(strings.Join(st.Problems, "\n"), "it was killed, or the power failed") {
		t.Errorf("%+v, %v", st, err)
	}
	p.Process.Signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	for _, scene := range scenes {
		if n := strings.Count(p.stderr.String(), scene+": goes on with the memory of frame set "); n != 1 {
			t.Errorf("%s goes on with its memory %d times", scene, n)
		}
	}
}

// captions waits until each scene has written one, from an event on.
func captions(t *testing.T, c *client.Client, from uint64, scenes []string) {
	t.Helper()
	missing := map[string]bool{}
	for _, s := range scenes {
		missing[s] = true
	}
	for e, err := range c.Watch(t.Context(), &wire.Watch{From: from}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Event == wire.EventCaption && e.Text != "" {
			delete(missing, e.Scene)
		}
		if len(missing) == 0 {
			return
		}
	}
}
