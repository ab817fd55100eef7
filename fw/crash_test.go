package fw

import (
	"context"
	"maps"
	"strings"
	"syscall"
	"testing"

	"github.com/visualrwkv/edged/internal/disk"
	"github.com/visualrwkv/edged/internal/faultdisk"
)

// event is something that happens to a device, each in a process of its own.
type event struct {
	name string
	do   func(fsys disk.FS) error
	part bool // it is cut off in the middle, and an error
}

// life is what happens to a device: an update that proves itself over one that ran, which brings keys; one that is
// cut off, is begun again and does not prove itself; one in its place that is replaced on trial; one that is given up
// after three starts that count; one after which the device goes back; a downgrade; going back to what the binary brings.
func life(t testing.TB) []event {
	old, both := keys(t, "minisign.pub"), keys(t, "minisign.pub", "other.pub")
	put := func(name string, bundle []byte, trusted []PublicKey, o InstallOptions) event {
		return event{name: name, do: func(fsys disk.FS) error { return install(fsys, bundle, trusted, o) }}
	}
	on := func(name string, f func(s *Store) error) event {
		return event{name: name, do: func(fsys disk.FS) error {
			s, err := OpenStore(fsys, folder)
			if err != nil {
				return err
			}
			return f(s)
		}}
	}
	start := on("start", func(s *Store) error { s.Start(context.Background(), ""); return nil }) // what is given up is told
	stop := on("stop", (*Store).Stop)
	commit := on("commit", (*Store).Commit)
	back := on("rollback", func(s *Store) error { return s.Rollback("for a test") })
	one, three := version(t, 1), version(t, 3)
	cut := put("part of 3", three[:len(three)/2], both, InstallOptions{})
	cut.part = true
	return []event{
		put("install 1", one, old, InstallOptions{}), start, commit,
		put("install 2, with keys", version(t, 2, both...), old, InstallOptions{}), start, commit,
		cut, put("install 3", three, both, InstallOptions{}), start, back,
		put("install 4 over a bad one", version(t, 4), both, InstallOptions{}), start,
		put("install 5 over one on trial", version(t, 5), both, InstallOptions{}), start, stop, start, start, start, start,
		put("install 6", version(t, 6), both, InstallOptions{}), start, commit, back,
		put("install 1 again", one, both, InstallOptions{Downgrade: true}), start, commit, back, back,
	}
}

// mayRun adds the versions that a start may find.
func mayRun(t testing.TB, fsys disk.FS, may map[uint64]bool) {
	t.Helper()
	s := store(t, fsys).State()
	may[s.slot(s.Active).Version] = s.Active != ""
	may[0] = may[0] || s.Active == ""
	if s.Trial != "" && s.Starts < MaxStarts {
		may[s.slot(s.Trial).Version] = true
	}
}

// cuts looks at disks that power cuts may leave.
type cuts struct {
	t            *testing.T
	last         []byte // a bundle that can be installed on any of them
	trusted      []PublicKey
	may          map[uint64]bool
	states, deep int
}

// during does something and cuts the power at every operation of the disk: whatever arrived, a
// version that may run before or after does, and is whole, and another version can be installed.
func (c *cuts) during(d *faultdisk.Disk, e event) {
	t := c.t
	t.Helper()
	// What it is to be afterwards is seen on a disk of its own.
	after := d.Clone()
	if err := e.do(after); (err != nil) != e.part {
		t.Fatalf("%s: %v", e.name, err)
	}
	c.may = map[uint64]bool{}
	mayRun(t, d, c.may)
	mayRun(t, after, c.may)
	d.After = func(op, path string) {
		d.States(func(up *faultdisk.Disk) bool { c.check(e.name, op, path, up); return true })
	}
	if err := e.do(d); (err != nil) != e.part {
		t.Fatalf("%s: %v", e.name, err)
	}
	d.After = nil
}

func (c *cuts) check(during, op, path string, up *faultdisk.Disk) {
	t := c.t
	t.Helper()
	c.states++
	if v, _ := running(t, up); !c.may[v] {
		t.Fatalf("%s, power cut after %s %s: version %d runs, not one of %v", during, op, path, v, c.may)
	}
	if c.states%100 == 0 {
		c.deep++
		heals(t, up, c.last, c.trusted, 9)
	}
}

// heals installs a version, which runs and is kept.
func heals(t *testing.T, d disk.FS, bundle []byte, trusted []PublicKey, version uint64) {
	t.Helper()
	must(t, install(d, bundle, trusted, InstallOptions{}))
	want(t, d, version, true)
	must(t, store(t, d).Commit())
	want(t, d, version, false)
}

// TestPowerCuts cuts the power in such a life, and in an installation that goes on where another was
// killed, at each place where that may have been.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	both := keys(t, "minisign.pub", "other.pub")
	c := &cuts{t: t, last: makeVersion(t, 9, 0), trusted: both}
	d := faultdisk.New()
	events := life(t)
	for _, e := range events {
		c.during(d, e)
	}
	lived := c.states
	if testing.Short() {
		return
	}
	places := 0
	for n := 0; ; n++ {
		d := faultdisk.New()
		for _, e := range events[:6] {
			must(t, e.do(d))
		}
		third := events[7]
		if !killed(d, n, func() { must(t, third.do(d)) }) {
			break
		}
		if n%8 == 0 && store(t, d).State().Trial == "" { // with that it was done
			places++
			c.during(d, third)
		}
	}
	t.Logf("%d states in a life of %d events, %d in installations that %d others, killed, were before; another version installed in %d of them",
		lived, len(events), c.states-lived, places, c.deep)
	if c.states < 20000 {
		t.Errorf("%d states", c.states)
	}
}

// dies is how a process of a test dies.
type dies struct{}

// killed runs f, which ends before the n-th operation of the disk that changes something, as when it is killed. It
// reports whether there were that many.
func killed(d *faultdisk.Disk, n int, f func()) (was bool) {
	defer func() { d.Fault = nil }()
	d.Fault = func(op, path string) error {
		if op == "open" || op == "names" || op == "free" || op == "read" {
			return nil
		}
		if n--; n < 0 {
			panic(dies{})
		}
		return nil
	}
	return ends(f)
}

// ends runs f and reports whether it was killed.
func ends(f func()) (was bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, was = r.(dies); !was {
				panic(r)
			}
		}
	}()
	f()
	return false
}

// TestFaults lets each operation of the disk fail in such a life, once, or from then on and in the next event: the
// event says so or does what it should, what ran before runs or what was installed does, and once the disk is well all can be done.
func TestFaults(t *testing.T) {
	t.Parallel()
	trusted := keys(t, "minisign.pub", "other.pub")
	last := makeVersion(t, 9, 0)
	events := life(t)
	problems := []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS}
	step := 1 // between the operations that fail
	if testing.Short() {
		problems, step = problems[1:2], 5
	}
	tried := 0
	before := faultdisk.New()
	for i, e := range events {
		for _, problem := range problems {
			for _, always := range []bool{false, true} {
				if !always && problem != problems[0] {
					continue // EIO meets each operation that the others do, and only what is told of them differs
				}
				for n, ended := 0, false; !ended; n += step {
					d, ops := before.Clone(), 0
					d.Fault = func(op, path string) error {
						reads := op == "open" || op == "names" || op == "free" || op == "read"
						if problem != syscall.EIO && (reads || op == "remove" && problem == syscall.ENOSPC) {
							return nil
						}
						if ops++; ops == n+1 || always && ops > n {
							return problem
						}
						return nil
					}
					e.do(d)
					ended = ops <= n // nothing failed
					if i+1 < len(events) {
						events[i+1].do(d)
					}
					d.Fault = nil
					tried++
					running(t, d)
					heals(t, d, last, trusted, 9)
				}
			}
		}
		if err := e.do(before); (err != nil) != e.part {
			t.Fatalf("%s: %v", e.name, err)
		}
	}
	t.Logf("%d faults", tried)
}

// TestDiskTooSmall installs on disks of every size: where there is no room that is said before anything
// changes, and where there is, there is enough.
func TestDiskTooSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine's work at length")
	}
	trusted := keys(t, "minisign.pub")
	one, two := makeVersion(t, 1, 7), makeVersion(t, 2, 7)
	d := faultdisk.New()
	heals(t, d, one, trusted, 1)
	before, refused, last := store(t, d).State(), 0, false
	for room := d.Bytes(); !last; room += 1 << 10 {
		up := d.Clone()
		up.Room = room
		err := install(up, two, trusted, InstallOptions{})
		if last = err == nil; last {
			want(t, up, 2, true)
			break
		}
		refused++
		if !strings.Contains(err.Error(), " MB, and there is room for 0.") {
			t.Fatal(err)
		}
		if s := store(t, up).State(); !maps.Equal(s.Highest, before.Highest) || s.A != before.A || s.B != before.B {
			t.Fatalf("%d bytes: refused, and the slots have changed: %+v", room, s)
		}
		want(t, up, 1, false)
	}
	if refused < 10 {
		t.Errorf("refused %d times", refused)
	}
}
