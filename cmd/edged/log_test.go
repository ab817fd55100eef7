package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/client"
	"github.com/visualrwkv/edged/wire"
)

// untilCaptions watches from a sequence number until there were n captions, and returns
// the numbers of all events.
func untilCaptions(t *testing.T, c *client.Client, from uint64, n int) (seqs []uint64) {
	t.Helper()
	for e, err := range c.Watch(t.Context(), &wire.Watch{From: from}) {
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, e.Seq)
		if e.Event == wire.EventCaption {
			n--
		}
		if n == 0 {
			break
		}
	}
	return seqs
}

// TestLog: what a daemon has told is found, after a restart too, and a watch goes on
// there without a gap.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "c.yaml")
	text := "scenes: [{name: a, interval: 10ms, views: [{name: v, source: 'sim:1/front'}]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, c := startRun(t, config)
	untilCaptions(t, c, 1, 2)
	log := func(args ...string) []string {
		t.Helper()
		code, out, stderr := runCommand(t, append([]string{"log", "-socket", r.socket}, args...)...)
		if code != exitOK || stderr != "" {
			t.Fatalf("log %q: code %d, %q", args, code, stderr)
		}
		return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	}
	line := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (-- )?\S`)
	for _, l := range log("-since", "1h") {
		if !line.MatchString(l) {
			t.Errorf("line %q", l)
		}
	}
	if all := log("-json"); len(all) < 3 || !strings.Contains(all[0], `"seq":1,"scene":"a"`) || !strings.Contains(strings.Join(all, ""), `"state":"watching"`) {
		t.Errorf("%q", all)
	}
	if got := log("-grep", "^(?i)WATCHING v$"); len(got) != 1 || !strings.HasSuffix(got[0], "  -- watching v") {
		t.Errorf("grep: %q", got)
	}
	if got := log("-event", "state", "-grep", "."); len(got) == 0 || slices.ContainsFunc(got, func(l string) bool { return !strings.Contains(l, "  -- ") }) {
		t.Errorf("event: %q", got)
	}
	if got := log("-event", "alert"); len(got) != 1 || got[0] != "" {
		t.Errorf("event: %q", got)
	}
	if code, _, stderr := runCommand(t, "log", "-event", "alarm"); code != exitUsage || !strings.Contains(stderr, `"alarm" is not one of caption, alert, state`) {
		t.Errorf("event: code %d, %q", code, stderr)
	}
	if got := log("-grep", "no such text"); len(got) != 1 || got[0] != "" {
		t.Errorf("grep: %q", got)
	}
	var newest jsonEvent
	if err := json.Unmarshal([]byte(log("-n", "1", "-json", "-scene", "a")[0]), &newest); err != nil || newest.Seq < 3 {
		t.Errorf("newest: %+v, %v", newest, err)
	}
	if s, err := c.Status(t.Context()); err != nil || s.Log == nil || s.Log.Next <= newest.Seq || s.Log.Error != "" {
		t.Errorf("status %+v, %v", s.Log, err)
	}
	online := log()
	r.stop(t)
	logWithout(t, r, online)

	c = r.start(t)
	defer r.stop(t)
	seqs := untilCaptions(t, c, 1, 4)
	for i, seq := range seqs {
		if seq != uint64(i+1) {
			t.Fatalf("event %d follows %v", seq, seqs[:i])
		}
	}
	if again := untilCaptions(t, c, seqs[4], 1); !slices.Equal(again, seqs[4:4+len(again)]) {
		t.Errorf("from %d: %v", seqs[4], again)
	}
}

// logWithout reads the log of a daemon that has ended, whole and damaged.
func logWithout(t *testing.T, r *running, online []string) {
	t.Helper()
	log := func(args ...string) (lines []string, said string) {
		t.Helper()
		code, out, stderr := runCommand(t, append([]string{"log"}, args...)...)
		if code != exitOK {
			t.Fatalf("log %q: code %d, %q", args, code, stderr)
		}
		return strings.Split(strings.TrimSuffix(out, "\n"), "\n"), stderr
	}
	all, said := log("-socket", r.socket, "-state", r.state)
	if len(all) <= len(online) || !slices.Equal(all[:len(online)], online) || !strings.Contains(all[len(all)-1], "stopped") {
		t.Errorf("without a daemon:\n%s\nwith it:\n%s", strings.Join(all, "\n"), strings.Join(online, "\n"))
	}
	if !strings.Contains(said, "no edged answers at "+r.socket) || !strings.Contains(said, "kept in "+filepath.Join(r.state, logFolder)) {
		t.Errorf("said %q", said)
	}
	one, _ := log("-socket", r.socket, "-state", r.state, "-n", "1")
	if len(one) != 1 || one[0] != all[len(all)-1] {
		t.Errorf("the newest: %q", one)
	}
	data, err := os.ReadFile(filepath.Join(r.state, logFolder, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	clear(data[:8192]) // both heads
	path := filepath.Join(t.TempDir(), "log.db.damaged-1")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	saved, said := log("-file", path, "-since", "1h")
	if !strings.Contains(said, "the log is damaged (neither of its two heads is valid)") || !slices.Equal(saved, all) {
		t.Errorf("damaged: %q\n%s", said, strings.Join(saved, "\n"))
	}
}

func TestLogWrongUse(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-since", "yesterday"}, exitUsage, `"yesterday" is no duration`},
		{[]string{"-since", "-1h"}, exitUsage, "no duration"},
		{[]string{"-grep", "(a"}, exitUsage, "missing closing )"},
		{[]string{"-n", "1001"}, exitUsage, "1001 is not from 1 to 1000"},
		{[]string{"red"}, exitUsage, `unexpected argument "red"`},
		{[]string{"-since", "2d", "-socket", filepath.Join(t.TempDir(), "none")}, exitFailed, "is it running?"},
		{[]string{"-socket", filepath.Join(t.TempDir(), "none"), "-state", t.TempDir()}, exitFailed, "and none has left a log"},
		{[]string{"-file", filepath.Join(t.TempDir(), "none")}, exitFailed, "no such file"},
	} {
		if code, out, stderr := runCommand(t, append([]string{"log"}, c.args...)...); code != c.code || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: %d, %q, %q", c.args, code, out, stderr)
		}
	}
}
