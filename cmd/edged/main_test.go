package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// asMain makes the test binary behave as edged, for tests that need a process.
const asMain = "EDGED_TEST_AS_MAIN"

// beforeMain is what such a process does first, and afterMain what it does in the end.
var beforeMain, afterMain = func() error { return nil }, func() error { return nil }

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		err := beforeMain()
		code := exitFailed
		if err == nil {
			code = run(os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
			err = afterMain()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = exitFailed
		}
		os.Exit(code)
	}
	if dir := os.Getenv(asVictim); dir != "" {
		if err := victim(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(exitFailed)
	}
	goleak.VerifyTestMain(m)
}

// command runs edged in process.
func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(args, stdio{strings.NewReader(""), &out, &err})
	return code, out.String(), err.String()
}

func testSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestUsage(t *testing.T) {
	tests := []struct {
		args string
		code int
		out  string // part of stdout, or of stderr when the code is not 0
	}{
		{"", exitUsage, "usage: edged COMMAND"},
		{"help", exitOK, "demo "},
		{"-h", exitOK, "watch "},
		{"version", exitOK, "edged "},
		{"paint", exitUsage, `no command "paint"`},
		{"help demo", exitOK, "usage: edged demo"},
		{"demo -h", exitOK, "-frames"},
		{"demo -nonsense", exitUsage, "nonsense"},
		{"demo room", exitUsage, `unexpected argument "room"`},
		{"demo -views 5", exitUsage, "1 to 4"},
		{"demo -frames 0", exitUsage, "-frames"},
		{"demo -threads -1", exitUsage, "-threads"},
		{"demo -cpus a", exitUsage, "not a number"},
		{"demo -cpus 1023", exitUsage, "CPU 1023"},
		{"demo -plugin /nowhere.wasm", exitInput, "plugin nowhere: open /nowhere.wasm: no such file"},
		{"demo -source . -seed 3", exitUsage, "with -source"},
		{"demo -source /nowhere", exitInput, "/nowhere"},
		{"demo -model /nowhere.gguf", exitInput, "/nowhere.gguf: no such file"},
		{"ask -h", exitOK, "usage: edged ask"},
		{"ask", exitUsage, "no question"},
		{"ask " + strings.Repeat("a", 5000), exitUsage, "a question of more than 4096 bytes"},
		{"ask caf\xe9", exitUsage, "the question is not UTF-8 text"},
		{"ask -at yesterday what?", exitUsage, "is no moment"},
		{"ask -socket /nowhere/s what?", exitFailed, "/nowhere/s"},
		{"ask what is there? -json -socket /nowhere/s", exitFailed, "/nowhere/s"},
		{"ask what -timeout -1s", exitUsage, "not below 0"},
		{"ask what -timeout soon", exitUsage, "-timeout"},
		{"ask what -socket", exitUsage, "needs an argument"},
		{"ask what -nonsense", exitUsage, "nonsense"},
		{"ask -socket /nowhere/s -- -nonsense -h", exitFailed, "/nowhere/s"},
		{"inspect -- -json", exitInput, "-json: no such file"},
		{"watch x", exitUsage, "unexpected argument"},
		{"watch -socket /nowhere/s", exitFailed, "is it running?"},
		{"eval", exitUsage, "either -sim or -ref"},
		{"eval -sim -ref x", exitUsage, "either -sim or -ref"},
		{"eval -sim -clips -1", exitUsage, "negative"},
		{"eval -sim -clips 0", exitUsage, "-clips 0: at least 1"},
		{"eval -sim -stream 0", exitUsage, "-stream 0: at least 1"},
		{"eval -sim -memory -longest 0", exitUsage, "-longest 0: at least 1"},
		{"eval -sim -memory -stream 3", exitUsage, "one of"},
		{"eval -sim -longest 3", exitUsage, "-longest goes with -memory"},
		{"eval -sim -gate 0.1", exitUsage, "-gate goes with -captions"},
		{"eval -sim -svg x", exitUsage, "-svg goes with -memory"},
		{"eval -ref x -model y -memory", exitUsage, "go with -sim"},
		{"eval -sim -views 3", exitUsage, "1 or 2"},
		{"eval -sim -model /nowhere", exitInput, "no such file"},
	}
	for _, tt := range tests {
		code, out, err := runCommand(t, strings.Fields(tt.args)...)
		text := out
		if tt.code != exitOK {
			text = err
			if out != "" {
				t.Errorf("edged %s: on stdout %q", tt.args, out)
			}
		}
		if code != tt.code || !strings.Contains(text, tt.out) {
			t.Errorf("edged %s: code %d, want %d; %q, want %q in it", tt.args, code, tt.code, text, tt.out)
		}
	}
	for _, c := range commands {
		if code, out, _ := runCommand(t, c.name, "-h"); code != exitOK || !strings.Contains(out, "usage: edged "+c.name) {
			t.Errorf("edged %s -h: code %d, %q", c.name, code, out)
		}
	}
}
