//go:build amd64 || arm64

package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/diskcalls"
)

// Environment variables that make this test binary the process whose power is cut, cutRounds
// times: first the log is made.
const cutDir, cutRound, cutRounds = "EDGED_JOURNAL_CUT", "EDGED_JOURNAL_CUT_ROUND", 3

const smallGrowth = 1 << 14

// cutMark is called what would be in another folder.
const cutMark = "other.mark"

func init() {
	dir := os.Getenv(cutDir)
	if dir == "" {
		return
	}
	growth = smallGrowth
	err := diskcalls.Enter()
	if err == nil {
		err = workload(dir, os.Getenv(cutRound))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// workload appends and says what became of it, as beKilled does: records of all sizes, more
// than the log may take.
func workload(dir, round string) error {
	j, err := Open(dir, &Options{MaxBytes: 40 << 10, Delay: 1 << 40, Mark: filepath.Join(dir, cutMark)})
	if err != nil {
		return err
	}
	for i := range 24 {
		var seq uint64
		for k := range 1 + i%4 {
			seq = j.Append(&Record{Kind: "caption", Text: strings.Repeat("x", 10+(37*i+k)%600), Data: make([]byte, i%8/7*9000)})
		}
		fmt.Println("given", seq)
		if err := j.Sync(context.Background()); err != nil {
			return err
		}
		fmt.Println("safe", seq)
	}
	fmt.Println("given", j.Append(caption(1)))
	if round == "1" { // the others are killed
		return j.Close()
	}
	return nil
}

// TestPowerCuts notes every call by which a log is written, and opens it as it may be found
// when the power failed before or after any of them: nothing is damaged, what was safe is
// there, numbers that were given are not given again, and it goes on.
func TestPowerCuts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	defer func(g int) { growth = g }(growth)
	growth = smallGrowth
	dir := t.TempDir()
	d := diskcalls.NewDisk(dir)
	d.Heads = 2 * pageSize
	c := cutter{t: t, dir: fastDir(t)}
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range cutRounds {
		var calls []diskcalls.Call
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), cutDir+"="+dir, fmt.Sprintf("%s=%d", cutRound, round))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		w, err := diskcalls.Watch(cmd, dir, func(c diskcalls.Call) unix.Errno {
			calls = append(calls, c)
			return 0
		})
		if err != nil {
			t.Fatal(err)
		}
		err = cmd.Wait()
		if e := w.Wait(); errors.Is(e, unix.ENOSYS) || strings.Contains(out.String(), "seccomp") {
			t.Skip(&out)
		} else if err != nil || e != nil {
			t.Fatalf("%v, %v: %s", err, e, &out)
		}
		for i, call := range calls {
			if call.Op == diskcalls.Print {
				c.hear(string(call.Data))
				continue
			}
			if call.Op == diskcalls.Sync || i == len(calls)-1 {
				d.States(rng, c.try)
			}
			if err := d.Do(call); err != nil {
				t.Fatal(err)
			}
			if call.Op == diskcalls.Sync {
				d.States(rng, c.try)
			}
			if t.Failed() {
				t.Fatalf("round %d, call %d of %d: %v", round, i, len(calls), call)
			}
		}
	}
	// What was noted is what is there.
	for name, live := range d.Live() {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, live) {
			t.Errorf("%s is not as its calls say: %v", name, err)
		}
	}
	t.Logf("%d states of %d numbers given", c.states.N(), c.given)
	if c.states.N() < 5000 {
		t.Errorf("only %d states", c.states.N())
	}
}

// fastDir is a folder where syncing takes no time, if there is one.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "edged-cut-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// cutter opens what is found after power cuts.
type cutter struct {
	t           *testing.T
	dir         string
	given, safe uint64
	states      diskcalls.States
}

// hear takes in what the process says.
func (c *cutter) hear(line string) {
	var word string
	var seq uint64
	if n, err := fmt.Sscan(line, &word, &seq); n != 2 {
		c.t.Fatalf("%q: %v", line, err)
	}
	switch {
	case word == "safe":
		c.safe = seq
	case seq <= c.given:
		c.t.Errorf("%d was given after %d", seq, c.given)
	default:
		c.given = seq
	}
}

// try opens a log in a folder that holds these files, unless it has.
func (c *cutter) try(files map[string][]byte) {
	if c.t.Failed() || !c.states.New(files, c.safe, c.given) {
		return
	}
	if err := os.RemoveAll(c.dir); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), b, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	var said reports
	j := open(c.t, c.dir, &Options{Report: said.add, Mark: filepath.Join(c.dir, cutMark)})
	defer closed(c.t, j)
	found := find(c.t, j, Query{})
	if s := j.Status(); int64(len(found)) != s.Records || s.Next <= c.given || s.Next > c.given+uint64(cutRounds)*2*reserve {
		c.t.Errorf("%d found, %+v; given were %d", len(found), s, c.given)
	}
	if _, ok := slices.BinarySearch(found, c.safe); c.safe > 0 && !ok {
		c.t.Errorf("%d was safe and is not there: %v", c.safe, found)
	}
	if n := len(found); n > 0 && found[n-1] > c.given {
		c.t.Errorf("%d was not given: there is %v", c.given, found)
	}
	seq := j.Append(caption(1))
	save(c.t, j)
	if got := find(c.t, j, Query{From: seq}); len(got) != 1 || said.kinds() != "" {
		c.t.Errorf("what follows: %v; said %v", got, said.said)
	}
}
