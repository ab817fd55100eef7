package journal

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// killedDir is the environment variable that makes this test binary the process
// that is killed.
const killedDir = "EDGED_JOURNAL_KILLED"

// beKilled appends for ever. What it says on standard output, it says in order:
// "given N" when a number was given, "safe N" when everything up to N is on disk.
func beKilled(dir string) {
	j, err := Open(dir, &Options{Delay: time.Microsecond, MaxBytes: 200 << 10})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		seq := j.Append(&Record{Kind: "caption", Text: "", Data: make([]byte, i%700)})
		fmt.Println("given", seq)
		if i%7 == 0 {
			if err := j.Sync(context.Background()); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			fmt.Println("safe", seq)
		}
	}
}

// TestKill: no number is given twice and nothing is lost that was safe, though the
// process is killed at any moment, 40 times or as EDGED_JOURNAL_KILLS says.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	kills := 40
	if v, err := strconv.Atoi(os.Getenv("EDGED_JOURNAL_KILLS")); err == nil {
		kills = v
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	var given, safe, total uint64
	for kill := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killedDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// From before it has opened anything to well in the middle: every second one that long after
		// its first words, however long a busy machine takes to these.
		end := func() {
			time.AfterFunc(time.Duration(rng.Int64N(int64(40*time.Millisecond))), func() { cmd.Process.Kill() })
		}
		if kill%2 == 0 {
			end()
		}
		lines := bufio.NewScanner(out)
		for first := kill%2 == 1; lines.Scan(); first = false {
			if first {
				end()
			}
			var word string
			var seq uint64
			if n, _ := fmt.Sscan(lines.Text(), &word, &seq); n != 2 {
				continue // cut short
			}
			switch {
			case word == "given" && seq <= given:
				t.Fatalf("kill %d: %d was given after %d", kill, seq, given)
			case word == "given":
				given = seq
				total++
			case word == "safe":
				safe = seq
			default:
				t.Fatalf("kill %d: %s", kill, lines.Text())
			}
		}
		cmd.Wait() // killed
		if kill%3 == 0 {
			continue // the next one meets what this one left
		}
		var said reports
		j := open(t, dir, &Options{Report: said.add})
		found := find(t, j, Query{})
		i := len(found) - 1
		for ; i >= 0 && found[i] != safe; i-- {
		}
		if safe > 0 && i < 0 {
			t.Fatalf("kill %d: %d was safe and is not there", kill, safe)
		}
		if s := j.Status(); int64(len(found)) != s.Records {
			t.Fatalf("kill %d: %d records of %d can be read", kill, len(found), s.Records)
		}
		if next := j.Next(); next <= given {
			t.Fatalf("kill %d: %d is next, %d was given", kill, next, given)
		}
		closed(t, j)
		if said.kinds() != "" {
			t.Fatalf("kill %d: %v", kill, said.said)
		}
	}
	if total == 0 {
		t.Error("killed before anything was given, every time")
	}
	t.Logf("%d kills, %d numbers given", kills, total)
}
