package main

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestPython does all that docs/edged_client.py offers with a daemon that watches.
func TestPython(t *testing.T) {
	needProcess(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("the Python client needs python3: %v", err)
	}
	l, _ := startLoaded(t)
	defer l.stop(t)
	command := func(args ...string) *exec.Cmd {
		return exec.CommandContext(l.ctx, python, append([]string{"../../docs/edged_client.py", l.socket}, args...)...)
	}

	watch := command("watch", "room", "1")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	var caption string
	lines := bufio.NewScanner(out)
	for n := 1; n <= 3 && lines.Scan(); n++ {
		prefix := fmt.Sprintf("%d room ", n)
		if !strings.HasPrefix(lines.Text(), prefix) {
			t.Errorf("watch: line %d is %q", n, lines.Text())
		}
		caption = strings.TrimPrefix(lines.Text(), prefix)
	}
	watch.Process.Kill()
	watch.Wait() // it was killed

	for _, c := range []struct {
		args []string
		want string // a regular expression for all that it says
	}{
		{[]string{"status"}, `^{'type': 'status', .*'scenes': \[{'name': 'room', 'state': 'watching', .*'views': \[{'name': 'front', 'state': 'live', .*}\n$`},
		{[]string{"scenes"}, `^{'type': 'scenes', .*'scenes': \[{'name': 'room', 'views': \['front', .*}\n$`},
		{[]string{"ask", "how many objects are there?"}, `^[^\n]+\n\[frame \d+, \d+ ms\]\n$`},
		{[]string{"ask", "how many objects are there?", "room"}, `^[^\n]+\n\[frame \d+, \d+ ms\]\n$`},
		{[]string{"ask", "was ist das?", "attic"}, `^no scene "attic".* \(no_scene\)\n$`},
		{[]string{"log"}, `^1 room [^\n]+\n2 room [^\n]+\n3 room ` + regexp.QuoteMeta(caption) + `\n`},
		{[]string{"log", "^" + regexp.QuoteMeta(caption) + "$", "0.5"}, `^(\d+ room ` + regexp.QuoteMeta(caption) + `\n)+$`},
		{[]string{"log", "there was never a zebra"}, `^$`},
		{[]string{"snapshots"}, `^{'type': 'snapshots', .*'scene': 'room', 'snapshots': \[{'number': \d+, 'frame': \d+, .*}\n$`},
		{[]string{"snapshots", "room"}, `'disk': (True|False)`},
		{[]string{"admin", "reload"}, `^done\n$`},
		{[]string{"admin", "pause", "room"}, `^done\n$`},
		{[]string{"status"}, `'name': 'room', 'state': 'paused'`},
		{[]string{"admin", "resume", "room"}, `^done\n$`},
		{[]string{"admin", "forget", "room"}, `^done\n$`},
		{[]string{"admin", "dance"}, `^no action "dance" \(bad_request\)\n$`},
	} {
		said, err := command(c.args...).Output()
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			said = append(said, e.Stderr...)
		}
		if !regexp.MustCompile(c.want).Match(said) {
			t.Errorf("%q: %q, %v, want %s", c.args, said, err, c.want)
		}
	}
}
