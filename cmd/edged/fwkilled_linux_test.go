//go:build amd64 || arm64

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/disk"
	"github.com/visualrwkv/edged/internal/diskcalls"
)

// fwDevice is a device whose slots processes work on.
type fwDevice struct {
	state, config string
	bundles       map[uint64]string // by version
	random        *rand.Rand
}

// fwModel is the model of a version.
func fwModel(version uint64) []byte {
	if version%2 == 0 {
		return demoInt8
	}
	return demoInt4
}

func newFWDevice(t *testing.T) *fwDevice {
	t.Helper()
	d := &fwDevice{state: t.TempDir(), config: filepath.Join(t.TempDir(), "c.yaml"), bundles: map[uint64]string{}, random: rand.New(rand.NewPCG(1, 2))}
	text := "scenes: [{name: a, interval: 100ms, views: [{name: v, source: 'sim:1/front', rate: 10}]}]\n"
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for v := uint64(1); v <= 4; v++ {
		d.bundles[v] = makeBundle(t, v, fwModel(v))
	}
	return d
}

// slots is what the state says, and may change while it is looked at.
func (d *fwDevice) slots(t *testing.T) fw.State {
	t.Helper()
	s, err := fw.OpenStore(disk.OS, slotsPath(d.state))
	if err != nil {
		t.Fatal(err)
	}
	return s.State()
}

// fwSlot is a slot of a state.
func fwSlot(s fw.State, name string) fw.Slot {
	return map[string]fw.Slot{"a": s.A, "b": s.B}[name]
}

// prepare has something ready for a command to work on: what commit and rollback find was
// started, and rollback finds a trial in every other case.
func (d *fwDevice) prepare(t *testing.T, command string) {
	t.Helper()
	if command == "install" {
		return
	}
	do := func(f func(s *fw.Store) error) {
		t.Helper()
		if err := withStore(d.state, func(s *fw.Store, _ error) error { return f(s) }); err != nil {
			t.Fatal(err)
		}
	}
	trial := command != "rollback" || d.random.IntN(2) == 0
	s := d.slots(t)
	switch {
	case !trial && s.Trial == "" && s.Active != "":
		return
	case s.Trial == "":
		v := 1 + d.random.Uint64N(4)
		if v == fwSlot(s, s.Active).Version {
			v = v%4 + 1
		}
		fwRun(t, exitOK, "install", d.bundles[v], "-trust", fwKeys+"minisign.pub", "-quiet", "-downgrade", "-state", d.state)
	}
	if command != "run" {
		do(func(s *fw.Store) error { s.Start(); return nil })
	}
	if !trial {
		do((*fw.Store).Commit)
	}
}

// start starts a command, installing any of the bundles; its calls of the disk are told of.
func (d *fwDevice) start(t *testing.T, command string, see func(p *process, c diskcalls.Call) unix.Errno) (*process, *diskcalls.Watcher) {
	t.Helper()
	args := []string{"fw", command}
	switch command {
	case "run":
		args = []string{"run", "-config", d.config, "-socket", testSocket(t)}
	case "install":
		args = append(args, d.bundles[1+d.random.Uint64N(4)], "-trust", fwKeys+"minisign.pub", "-quiet", "-downgrade")
	}
	return d.startWith(t, args, see)
}

// startWith is start for a whole command line.
func (d *fwDevice) startWith(t *testing.T, args []string, see func(p *process, c diskcalls.Call) unix.Errno) (*process, *diskcalls.Watcher) {
	t.Helper()
	p := newProcess(t, append(args, "-state", d.state)...)
	p.Stdout = io.Discard
	w, err := diskcalls.Watch(p.Cmd, slotsPath(d.state), func(c diskcalls.Call) unix.Errno {
		if c.Op == diskcalls.Print {
			return 0
		}
		return see(p, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, w
}

// check starts what is installed, which must be whole, and returns the state before that.
func (d *fwDevice) check(t *testing.T) fw.State {
	t.Helper()
	before := d.slots(t)
	if err := withStore(d.state, func(s *fw.Store, damaged error) error {
		if damaged != nil {
			return damaged
		}
		i, err := s.Start()
		if err != nil && before.Starts < fw.MaxStarts {
			return err
		}
		if i == nil {
			if before.Active != "" {
				return fmt.Errorf("nothing runs: %v", err)
			}
			return nil
		}
		data, err := os.ReadFile(i.Path(&i.Manifest.Files[0]))
		if err != nil || !bytes.Equal(data, fwModel(i.Manifest.Version)) {
			return fmt.Errorf("version %d runs and is not whole: %v", i.Manifest.Version, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return before
}

// TestInstallKilled kills installations, commits, returns and daemons that try a bundle (EDGED_KILLS says how many, a quarter of
// each), at a random moment or at a random one of their calls of the disk. After each the slots are as they were before it
// or as they are to be afterwards, and what they say runs is whole.
func TestInstallKilled(t *testing.T) {
	needProcess(t)
	t.Parallel()
	kills := 24
	if s := os.Getenv("EDGED_KILLS"); s != "" {
		kills, _ = strconv.Atoi(s)
	}
	d := newFWDevice(t)
	commands := []string{"install", "commit", "rollback", "run"}
	type tally struct{ killed, working, ended int }
	tallies := map[string]*tally{}
	lasts := map[string]time.Duration{}
	calls := map[string]int64{}
	for _, c := range commands {
		tallies[c], lasts[c], calls[c] = new(tally), 40*time.Millisecond, 6
	}
	// How long a trial takes.
	d.prepare(t, "run")
	begun := time.Now()
	var made atomic.Int64
	p, w := d.start(t, "run", func(*process, diskcalls.Call) unix.Errno { made.Add(1); return 0 })
	for d.slots(t).Trial != "" {
		if p.ctx.Err() != nil {
			t.Fatalf("the trial does not end:\n%s", p.wait())
		}
		time.Sleep(time.Millisecond)
	}
	lasts["run"], calls["run"] = time.Since(begun), made.Load()
	p.Process.Kill()
	p.wait()
	if err := w.Wait(); err != nil {
		t.Skip(err)
	}

	fewest := func(a, b string) int { return tallies[a].killed - tallies[b].killed }
	for i := 0; ; i++ {
		command := slices.MinFunc(commands, fewest)
		if tallies[command].killed == kills/len(commands) {
			break
		}
		if i > 10*kills {
			t.Fatalf("they end before they are killed: %+v", tallies)
		}
		d.prepare(t, command)
		before := d.slots(t)
		var n atomic.Int64
		at := int64(-1)
		if d.random.IntN(2) == 0 {
			at = d.random.Int64N(calls[command])
		}
		begun := time.Now()
		p, w := d.start(t, command, func(p *process, c diskcalls.Call) unix.Errno {
			if n.Add(1)-1 == at {
				p.Process.Kill() // this call is made, or not any more
			}
			return 0
		})
		kill := time.AfterFunc(time.Duration(d.random.Int64N(int64(lasts[command]))), func() {
			if at < 0 {
				p.Process.Kill()
			}
		})
		if command == "run" && at >= 0 { // it may have made fewer calls
			kill.Stop()
			kill = time.AfterFunc(2*lasts[command], func() { p.Process.Kill() })
		}
		p.wait()
		kill.Stop()
		if err := w.Wait(); err != nil && n.Load() > 0 {
			t.Fatal(err)
		}
		after := d.check(t)
		now := tallies[command]
		switch {
		case p.ProcessState.Exited() || command == "run" && after.Active == before.Trial: // it was kept
			now.ended++
			if p.ProcessState.Success() {
				lasts[command] = (lasts[command] + time.Since(begun)) / 2
				calls[command] = n.Load()
			}
		case n.Load() > 0:
			now.working++
			fallthrough
		default:
			now.killed++
		}
		// What may have changed.
		was, is := before, after
		switch active := is.Active; {
		case active == was.Active:
		case command == "rollback" && was.Trial == "":
			if active != "" && fwSlot(was, active).Phase != fw.PhaseGood {
				t.Fatalf("rollback: from %+v to %+v", was, is)
			}
		case (command == "commit" || command == "run") && active == was.Trial:
		default:
			t.Fatalf("%s: from %+v to %+v", command, was, is)
		}
		if command == "commit" && is.Trial != was.Trial && is.Active != was.Trial {
			t.Fatalf("commit: from %+v to %+v", was, is)
		}
	}
	var said []string
	for _, c := range commands {
		n := tallies[c]
		said = append(said, fmt.Sprintf("%s: %d killed, %d of them after their first call of the disk, and %d had ended", c, n.killed, n.working, n.ended))
		if n.working == 0 {
			t.Errorf("%s was never killed while it worked", c)
		}
	}
	t.Log(strings.Join(said, "; "))
}
