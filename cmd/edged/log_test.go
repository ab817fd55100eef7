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
	r.stop(t)

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
	} {
		if code, out, stderr := runCommand(t, append([]string{"log"}, c.args...)...); code != c.code || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: %d, %q, %q", c.args, code, out, stderr)
		}
	}
}
