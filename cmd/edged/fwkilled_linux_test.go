//go:build amd64 || arm64

package main

import (
	"bytes"
	"errors"
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
	log           *syncBuffer // standard error of the newest process
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
	if command == "reload" {
		d.settled(t)
		return
	}
	do := func(f func(s *fw.Store) error) {
		t.Helper()
		if err := withStore(d.state, func(s *fw.Store, _ error) error { return f(s) }); err != nil {
			t.Fatal(err)
		}
	}
	if d.slots(t).Starts == fw.MaxStarts { // the next would give it up
		d.settled(t)
	}
	trial := command != "rollback" || d.random.IntN(2) == 0
	s := d.slots(t)
	switch {
	case !trial && s.Trial == "" && s.Active != "":
		return
	case s.Trial == "":
		d.install(t)
	}
	if command != "run" {
		do(func(s *fw.Store) error { s.Start(t.Context(), ""); return nil })
	}
	if !trial {
		do((*fw.Store).Commit)
	}
}

// install installs a bundle that does not run.
func (d *fwDevice) install(t *testing.T) {
	t.Helper()
	s := d.slots(t)
	v := 1 + d.random.Uint64N(4)
	if v == fwSlot(s, s.Active).Version {
		v = v%4 + 1
	}
	fwRun(t, exitOK, "install", d.bundles[v], "-trust", fwKeys+"minisign.pub", "-quiet", "-downgrade", "-state", d.state)
}

// settled ends a trial.
func (d *fwDevice) settled(t *testing.T) {
	t.Helper()
	if d.slots(t).Trial != "" {
		fwRun(t, exitOK, "rollback", "-state", d.state)
	}
}

// watches waits until a daemon watches.
func (d *fwDevice) watches(t *testing.T, p *process) {
	t.Helper()
	for !strings.Contains(d.log.String(), ": model ") {
		if p.ctx.Err() != nil || exited(p.Process.Pid) {
			t.Fatalf("edged run does not watch:\n%s", d.log)
		}
		time.Sleep(time.Millisecond)
	}
}

// start starts a command, installing any of the bundles; its calls of the disk are told of.
func (d *fwDevice) start(t *testing.T, command string, see func(p *process, c diskcalls.Call) unix.Errno) (*process, *diskcalls.Watcher) {
	t.Helper()
	args := []string{"fw", command}
	switch command {
	case "run", "reload":
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
	d.log = new(syncBuffer)
	p.Stdout, p.Stderr = io.Discard, d.log
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
		i, err := s.Start(t.Context(), "")
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

// TestInstallKilled kills installations, commits, returns, and daemons that try a bundle when they start or beside the one that runs
// (EDGED_KILLS says how many, a fifth of each), at a random moment or at a random one of their calls of the disk. After each the slots are
// as they were before it or as they are to be afterwards, and what they say runs is whole.
func TestInstallKilled(t *testing.T) {
	needProcess(t)
	t.Parallel()
	kills := 20
	if s := os.Getenv("EDGED_KILLS"); s != "" {
		kills, _ = strconv.Atoi(s)
	}
	d := newFWDevice(t)
	commands := []string{"install", "commit", "rollback", "run", "reload"}
	type tally struct{ killed, working, ended int }
	tallies := map[string]*tally{}
	lasts := map[string]time.Duration{}
	calls := map[string]int64{}
	for _, c := range commands {
		tallies[c], lasts[c], calls[c] = new(tally), 40*time.Millisecond, 6
	}
	// kill has a command begin what it is killed in, which after tells how to, and waits for its end.
	kill := func(command string, at int64, after time.Duration, kept func() bool) (n int64, p *process) {
		t.Helper()
		var begun atomic.Bool
		var made atomic.Int64
		begun.Store(command != "reload")
		p, w := d.start(t, command, func(p *process, c diskcalls.Call) unix.Errno {
			if begun.Load() && made.Add(1)-1 == at {
				p.Process.Kill() // this call is made, or not any more
			}
			return 0
		})
		if command == "reload" {
			d.watches(t, p)
			d.install(t)
			begun.Store(true)
			p.Process.Signal(unix.SIGHUP)
		}
		for end := time.Now().Add(after); !kept() && !exited(p.Process.Pid) && time.Now().Before(end); {
			time.Sleep(500 * time.Microsecond)
		}
		p.Process.Kill()
		p.wait()
		if err := w.Wait(); errors.Is(err, unix.ENOSYS) {
			t.Skip(err)
		} else if err != nil && made.Load() > 0 {
			t.Fatal(err)
		}
		return made.Load(), p
	}
	// How long a trial takes, and how many calls it makes.
	for _, command := range []string{"run", "reload"} {
		d.prepare(t, command)
		begun := time.Now()
		was := d.slots(t).Active
		calls[command], _ = kill(command, -1, processTime, func() bool { s := d.slots(t); return s.Active != was })
		if d.slots(t).Active == was {
			t.Fatalf("the trial does not end:\n%s", d.log)
		}
		lasts[command] = time.Since(begun)
	}

	fewest := func(a, b string) int { return tallies[a].killed - tallies[b].killed }
	for i := 0; ; i++ {
		command := slices.MinFunc(commands, fewest)
		if tallies[command].killed >= kills/len(commands) {
			break
		}
		if i > 10*kills {
			t.Fatalf("they end before they are killed: %+v", tallies)
		}
		d.prepare(t, command)
		was := d.slots(t)
		trial := command == "run" || command == "reload"
		at, after := int64(-1), time.Duration(d.random.Int64N(int64(lasts[command])))
		if d.random.IntN(2) == 0 {
			at, after = d.random.Int64N(calls[command]), processTime
			if trial { // it may make fewer
				after = 2 * lasts[command]
			}
		}
		begun := time.Now()
		n, p := kill(command, at, after, func() bool { return false })
		is := d.check(t)
		now := tallies[command]
		switch {
		case p.ProcessState.Exited() || trial && is.Trial == "" && is.Active != was.Active: // it was kept
			now.ended++
			if p.ProcessState.Success() {
				lasts[command], calls[command] = (lasts[command]+time.Since(begun))/2, n
			}
		case n > 0:
			now.working++
			fallthrough
		default:
			now.killed++
		}
		// What may have changed.
		switch active := is.Active; {
		case active == was.Active:
		case command == "rollback" && was.Trial == "":
			if active != "" && fwSlot(was, active).Phase != fw.PhaseGood {
				t.Fatalf("rollback: from %+v to %+v", was, is)
			}
		case (command == "commit" || command == "run") && active == was.Trial:
		case command == "reload" && active != "": // installed on the way
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
