//go:build amd64 || arm64

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/fw"
	"github.com/visualrwkv/edged/internal/disk"
	"github.com/visualrwkv/edged/internal/diskcalls"
	"github.com/visualrwkv/edged/internal/faultdisk"
)

// TestInstallDiskFails has each call of the disk fail that an installation, a commit, a return and a daemon with a trial make, as full,
// broken and read-only: what is wrong is said, with the file and what can be done, what ran still does, and the next try
// succeeds. A daemon watches all the same.
func TestInstallDiskFails(t *testing.T) {
	needProcess(t)
	t.Parallel()
	d := newFWDevice(t)
	tried, told := 0, 0
	for _, command := range []string{"install", "commit", "rollback", "run"} {
		for _, errno := range []unix.Errno{unix.ENOSPC, unix.EIO, unix.EROFS} {
			if command == "run" && errno != unix.EIO {
				continue // it is slower, and does not tell them apart
			}
			for at, reached := 0, true; reached; at++ {
				d.prepare(t, command)
				before := d.slots(t)
				n := 0
				reached = false
				var call diskcalls.Call
				p, w := d.start(t, command, func(_ *process, c diskcalls.Call) unix.Errno {
					if n++; n-1 != at {
						return 0
					}
					call, reached = c, true
					return errno
				})
				if command == "run" {
					d.watches(t, p)
					for p.ctx.Err() == nil && !strings.Contains(d.log.String(), errno.Error()+"; ") && !strings.Contains(d.log.String(), "proved itself") {
						time.Sleep(time.Millisecond)
					}
					p.Process.Signal(unix.SIGTERM)
				}
				p.wait()
				if err := w.Wait(); errors.Is(err, unix.ENOSYS) {
					t.Skip(err)
				} else if err != nil {
					t.Fatal(err)
				}
				after := d.slots(t)
				if !reached { // it was the last, and nothing failed
					continue
				}
				tried++
				said := d.log.String()
				if command == "run" && !p.ProcessState.Success() {
					t.Fatalf("%v fails with %v, and the daemon ends:\n%s", call, errno, said)
				}
				if command == "run" || !p.ProcessState.Success() {
					told++
					wrong := !strings.Contains(said, slotsPath(d.state)) || !strings.Contains(said, errno.Error()+"; ")
					if wrong && !strings.Contains(said, "installed already") {
						t.Errorf("%v fails with %v, and %s says %q", call, errno, command, said)
					}
				} else if call.Op != diskcalls.Remove {
					t.Errorf("%v fails with %v, and %s says nothing", call, errno, command)
				}
				if command == "install" && after.Active != before.Active {
					t.Fatalf("%v fails with %v: from %+v to %+v", call, errno, before, after)
				}
				d.check(t)
			}
		}
	}
	d.prepare(t, "rollback")
	fwRun(t, exitOK, "rollback", "-state", d.state)
	t.Logf("%d calls failed, %d times the command", tried, told)
}

// plainBundle writes a signed bundle of a small file, and that model if it is not nil.
func plainBundle(t *testing.T, version uint64, model []byte) string {
	t.Helper()
	random := rand.NewChaCha8([32]byte{byte(version)})
	noise := make([]byte, 700)
	random.Read(noise)
	b := &fw.Builder{Manifest: &fw.Manifest{Name: "garden", Version: version}}
	for _, p := range []fw.Payload{
		{Name: "defaults.yaml", Role: fw.RoleDefaults, Data: strings.NewReader(fmt.Sprintf("# %x\n", noise))},
		{Name: "demo.gguf", Role: fw.RoleModel, Data: bytes.NewReader(model)},
	} {
		if p.Role == fw.RoleModel && model == nil {
			continue
		}
		if err := b.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	return writeBundle(t, b)
}

// TestInstallPowerCuts notes every call of the disk that commands and daemons make in a life of updates, and looks at the slots
// as they may be found when the power failed at any of them: what runs then ran before or was to run afterwards, and is whole.
func TestInstallPowerCuts(t *testing.T) {
	needProcess(t)
	t.Parallel()
	d := newFWDevice(t)
	for v := uint64(1); v <= 4; v++ {
		var model []byte
		if v == 3 { // none that can be opened
			model = bytes.Repeat([]byte("no model"), 300)
		}
		d.bundles[v] = plainBundle(t, v, model)
	}
	up := diskcalls.NewDisk(slotsPath(d.state))
	c := &slotsCutter{t: t}
	rng := rand.New(rand.NewPCG(3, 4))
	noted := 0
	// do runs a command until it ends or until says so.
	do := func(until func(c diskcalls.Call) bool, args ...string) {
		t.Helper()
		var calls []diskcalls.Call
		before := d.slots(t)
		p, w := d.startWith(t, args, func(p *process, c diskcalls.Call) unix.Errno {
			calls = append(calls, c)
			if until != nil && until(c) {
				p.Process.Kill()
			}
			return 0
		})
		if args[0] == "run" { // until the trial has ended
			for d.slots(t).Trial != "" && p.ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			p.Process.Signal(unix.SIGTERM)
		}
		err := p.wait()
		if e := w.Wait(); errors.Is(e, unix.ENOSYS) {
			t.Skip(e)
		} else if e != nil || err != nil && until == nil {
			t.Fatalf("%q: %v, %v\n%s", args, e, err, d.log)
		}
		after := d.slots(t)
		c.may = map[uint64]bool{fwSlot(before, before.Active).Version: true, fwSlot(after, after.Active).Version: true}
		for _, s := range []fw.State{before, after} {
			if s.Trial != "" {
				c.may[fwSlot(s, s.Trial).Version] = true
			}
		}
		c.during = args
		noted += len(calls)
		for _, call := range calls {
			if err := up.Do(call); err != nil {
				t.Fatal(err)
			}
			up.States(rng, c.try)
		}
	}
	install := func(v uint64, more ...string) []string {
		return append([]string{"fw", "install", d.bundles[v], "-trust", fwKeys + "minisign.pub", "-quiet"}, more...)
	}
	run := []string{"run", "-config", d.config, "-socket", testSocket(t)}
	do(nil, install(1)...)
	do(nil, run...)
	do(nil, install(2)...)
	do(nil, run...)
	do(nil, install(3)...)
	do(nil, run...) // it is given up
	do(func(c diskcalls.Call) bool {
		return c.Op == diskcalls.Sync && filepath.Base(c.Path) == "defaults.yaml~"
	}, install(4)...)
	do(nil, install(4)...)
	do(nil, run...)
	do(nil, "fw", "rollback")
	do(nil, install(1, "-downgrade")...)
	for name, live := range up.Live() {
		if b, err := os.ReadFile(filepath.Join(slotsPath(d.state), name)); err != nil || !bytes.Equal(b, live) {
			t.Errorf("%s is not as its calls say: %v", name, err)
		}
	}
	t.Logf("%d states of %d calls", c.states.N(), noted)
	if c.states.N() < 200 {
		t.Errorf("only %d states", c.states.N())
	}
}

// slotsCutter looks at slots after power cuts.
type slotsCutter struct {
	t      *testing.T
	during []string
	may    map[uint64]bool // versions
	states diskcalls.States
}

// try starts what is in these files, unless it has.
func (c *slotsCutter) try(files map[string][]byte) {
	if c.t.Failed() || !c.states.New(files, c.may) {
		return
	}
	up := faultdisk.New()
	for name, b := range files {
		f, err := up.Create("/fw/" + name)
		if err == nil {
			_, err = f.Write(b)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	s, err := fw.OpenStore(up, "/fw")
	if err != nil {
		c.t.Errorf("%q: %v", c.during, err)
		return
	}
	version := uint64(0)
	// A trial is started only after its files were compared with their sums.
	i, err := s.Start(c.t.Context(), "")
	if i != nil {
		version = i.Manifest.Version
	}
	if err != nil || !c.may[version] {
		c.t.Errorf("%q: version %d runs, not one of %v: %v", c.during, version, c.may, err)
	}
}

// TestInstallCalls: the disk in memory of the tests of package fw is told of the same changes as the real one.
func TestInstallCalls(t *testing.T) {
	needProcess(t)
	d := newFWDevice(t)
	for range 2 {
		d.prepare(t, "commit")
		fwRun(t, exitOK, "commit", "-state", d.state)
	}
	var real, model []string
	add := func(to *[]string, op, path string) {
		call := op + " " + strings.TrimPrefix(path, slotsPath(d.state))
		if n := len(*to); n > 0 && op == "write" && (*to)[n-1] == call { // in pieces of any size
			return
		}
		*to = append(*to, call)
	}
	now := d.slots(t)
	v := uint64(1) // another model than that of the slot that is written to
	for v == fwSlot(now, now.Active).Version || bytes.Equal(fwModel(v), fwModel(now.A.Version+now.B.Version-fwSlot(now, now.Active).Version)) {
		v++
	}
	bundle := d.bundles[v]
	args := []string{"fw", "install", bundle, "-trust", fwKeys + "minisign.pub", "-quiet", "-downgrade"}
	fake := faultdisk.New()
	files, err := filepath.Glob(filepath.Join(slotsPath(d.state), "[ab]", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(files, filepath.Join(slotsPath(d.state), "state.json")) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := disk.Replace(fake, path, data); err != nil {
			t.Fatal(err)
		}
	}
	fake.After = func(op, path string) { add(&model, op, path) }
	f, err := os.Open(bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	keys, err := readPublicKeys(fwKeys + "minisign.pub")
	if err != nil {
		t.Fatal(err)
	}
	b, err := fw.Open(f, keys)
	if err != nil {
		t.Fatal(err)
	}
	s, err := fw.OpenStore(fake, slotsPath(d.state))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Install(b, &fw.InstallOptions{Downgrade: true}); err != nil {
		t.Fatal(err)
	}
	p, w := d.startWith(t, args, func(_ *process, c diskcalls.Call) unix.Errno {
		op := string(c.Op)
		switch info, err := os.Stat(c.Path); {
		case c.Op == diskcalls.Open && filepath.Base(c.Path) == "lock":
			return 0
		case c.Op == diskcalls.Open:
			op = "create"
		case c.Op == diskcalls.Sync && err == nil && info.IsDir():
			op = "syncdir"
		}
		add(&real, op, c.Path)
		return 0
	})
	err = p.wait()
	if e := w.Wait(); errors.Is(e, unix.ENOSYS) {
		t.Skip(e)
	} else if e != nil || err != nil {
		t.Fatalf("%v, %v: %s", e, err, d.log)
	}
	// The disk in memory has all folders; what the real one need not make it does not.
	made := func(call string) bool { return strings.HasPrefix(call, "mkdir ") }
	real, model = slices.DeleteFunc(real, made), slices.DeleteFunc(model, made)
	if !slices.Equal(real, model) {
		t.Errorf("the real disk:\n%s\nthe one in memory:\n%s", strings.Join(real, "\n"), strings.Join(model, "\n"))
	}
}
