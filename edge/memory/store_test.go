package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/internal/faultdisk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// device is a clock that a test moves, and what a store reported.
type device struct {
	mu      sync.Mutex
	now     clock.Time
	reports []string
}

func newDevice() *device {
	return &device{now: clock.Time{Wall: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), Trusted: true, Boot: clock.Boot{1}, Up: time.Minute}}
}

func (d *device) clock() clock.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *device) pass(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.Wall, d.now.Up = d.now.Wall.Add(t), d.now.Up+t
}

// reboot starts the device again after it was off for so long.
func (d *device) reboot(off time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now.Wall, d.now.Up = d.now.Wall.Add(off), 0
	d.now.Boot[0]++
}

func (d *device) report(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports = append(d.reports, text)
}

func (d *device) reported() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.reports...)
}

const testDir = "/state/memory/yard"

func (d *device) config(fs *faultdisk.Disk) Config {
	return Config{Scene: "yard", Model: [32]byte{7}, Dir: testDir, Clock: d.clock, FS: fs, Report: d.report}
}

func open(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// state is what a stream would have after frame, some hundred bytes that follow
// from it.
func state(frame uint64) []byte {
	rng := rand.New(rand.NewPCG(frame, 1))
	b := make([]byte, 700+frame%500)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func moment(d *device, frame uint64) Moment {
	return Moment{Frame: frame, Time: d.clock().Wall, Memories: []Memory{{State: state(frame)}}, Magnitude: 2, Usual: 1}
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func any1(Info) bool          { return true }
func take(*Snapshot) error    { return nil }
func whole(s *Snapshot) error { return check(s) }

// check fails unless a snapshot is what was kept.
func check(s *Snapshot) error {
	if len(s.Memories) != 1 || !bytes.Equal(s.Memories[0].State, state(s.Frame)) {
		return fmt.Errorf("snapshot of frame %d is not what was kept", s.Frame)
	}
	return nil
}

func TestRestart(t *testing.T) {
	d := newDevice()
	c := d.config(nil)
	c.FS, c.Dir = nil, filepath.Join(t.TempDir(), "memory", "yard") // the system's files
	s := open(t, c)
	if _, err := s.Newest(any1, take); !errors.Is(err, ErrNone) {
		t.Errorf("from an empty folder: %v", err)
	}
	for f := range uint64(5) {
		s.Keep(moment(d, f+1))
		d.pass(time.Second)
	}
	want := s.ring[4].Info
	closeStore(t, s)
	if st := s.Status(); st.Disk < 1 || st.Problem != "" {
		t.Errorf("status %+v", st)
	}

	d.reboot(time.Hour)
	d.pass(time.Minute)
	s = open(t, c)
	snap, err := s.Newest(any1, whole)
	if err != nil || snap.Frame != 5 || snap.Seq != 5 || !snap.Time.Equal(want.Time) || snap.Taken.Boot != want.Taken.Boot ||
		snap.Taken.Up != want.Taken.Up || snap.Magnitude != 2 || snap.Usual != 1 {
		t.Errorf("restored %+v, %v, want %+v", snap, err, want)
	}
	if age := s.Age(snap.Info); age != time.Hour+time.Minute+time.Second {
		t.Errorf("age %v", age)
	}
	if ran := s.Ran(); ran != want.Ran+time.Minute {
		t.Errorf("ran %v after %v", ran, want.Ran)
	}
	closeStore(t, s)

	// Another model finds nothing, and says what is there.
	c.Model[0]++
	s = open(t, c)
	if _, err := s.Newest(any1, take); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "other models") {
		t.Errorf("for another model: %v", err)
	}
	closeStore(t, s)
	if r := d.reported(); len(r) > 0 {
		t.Errorf("reports %q", r)
	}
}

// TestInterval watches for two hours and looks every second how old the newest
// snapshot on disk is.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		s := open(t, d.config(fs))
		for f := range uint64(7200) {
			s.Keep(moment(d, f+1))
			synctest.Wait()
			if age := s.Age(s.newestSaved(t)); age > time.Minute-time.Second {
				t.Fatalf("frame %d: the newest on disk is %v old, and a minute before the next", f, age)
			}
			d.pass(time.Second)
		}
		closeStore(t, s)
		if n := s.Status().Disk; n < 60 || n > 80 {
			t.Errorf("%d snapshots of two hours", n)
		}
	})
}

func (s *Store) newestSaved(t testing.TB) Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.disk) == 0 {
		t.Fatal("nothing saved")
	}
	return s.disk[len(s.disk)-1]
}

func TestDailyBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		c := d.config(fs)
		c.Daily = 200 << 10
		written := int64(0)
		fs.After = func(op, path string) {
			if op == "sync" {
				f, err := fs.Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := f.Size()
				written += n
			}
		}
		s := open(t, c)
		for f := range uint64(3 * 24 * 60) {
			s.Keep(moment(d, f+1))
			synctest.Wait()
			d.pass(time.Minute)
			if f%100 == 99 { // starting again and again earns nothing
				closeStore(t, s)
				s = open(t, c)
			}
		}
		closeStore(t, s)
		if written < 300<<10 || written > 700<<10 {
			t.Errorf("%d bytes in three days of %d each", written, c.Daily)
		}
		if e := s.Status().Every; e < 7*time.Minute || e > 10*time.Minute {
			t.Errorf("every %v", e)
		}
	})
}

func TestAtAndBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		s := open(t, d.config(fs))
		start := d.clock().Wall
		run := func(from, to uint64) {
			for f := from; f <= to; f++ {
				s.Keep(moment(d, f))
				synctest.Wait()
				d.pass(10 * time.Second)
			}
		}
		run(1, 360)
		for _, c := range []struct {
			ago  time.Duration
			most time.Duration
		}{{0, 10 * time.Second}, {30 * time.Second, 20 * time.Second}, {25 * time.Minute, 90 * time.Second}, {59 * time.Minute, 90 * time.Second}} {
			snap, err := s.Before(c.ago)
			if err != nil {
				t.Fatal(err)
			}
			age := s.Age(snap.Info)
			if age < c.ago || age > c.ago+c.most || check(snap) != nil {
				t.Errorf("%v ago: %v ago, %v", c.ago, age, check(snap))
			}
			other, err := s.At(d.clock().Wall.Add(-c.ago))
			if err != nil || other.Seq != snap.Seq {
				t.Errorf("at the time %v ago: %+v, %v", c.ago, other, err)
			}
		}
		if _, err := s.Before(2 * time.Hour); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "1h0m0s ago") {
			t.Errorf("before the first: %v", err)
		}
		if _, err := s.At(start.Add(-time.Second)); !errors.Is(err, ErrNone) {
			t.Errorf("before the first: %v", err)
		}

		// The clock jumps; minutes stay minutes, and times are what it shows now.
		for _, jump := range []time.Duration{365 * 24 * time.Hour, -2 * 365 * 24 * time.Hour} {
			n := s.Status().Disk
			d.mu.Lock()
			d.now.Wall = d.now.Wall.Add(jump)
			d.mu.Unlock()
			last := s.List()[len(s.List())-1].Frame
			run(last+1, last+12)
			snap, err := s.Before(25 * time.Minute)
			if err != nil || s.Age(snap.Info) < 25*time.Minute || s.Age(snap.Info) > 27*time.Minute {
				t.Errorf("after a jump: %v, %v", s.Age(snap.Info), err)
			}
			if at, err := s.At(d.clock().Wall.Add(-25 * time.Minute)); err != nil || at.Seq != snap.Seq {
				t.Errorf("after a jump, by time: %v, %v", at.Seq, err)
			}
			if s.Status().Disk < n-3 { // which became older than an hour
				t.Errorf("a jump of the clock deleted snapshots: %d, before %d", s.Status().Disk, n)
			}
		}
		// Nothing is deleted by age while the device is off.
		n := s.Status().Disk
		closeStore(t, s)
		d.reboot(1000 * time.Hour)
		s = open(t, d.config(fs))
		run(2000, 2003)
		if s.Status().Disk < n {
			t.Errorf("%d snapshots after a long rest, before %d", s.Status().Disk, n)
		}
		closeStore(t, s)
	})
}

// TestUntrustedClock starts a device without a clock again: what was is older
// than the time since the start, whatever the clock shows.
func TestUntrustedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		d.now.Trusted = false
		s := open(t, d.config(fs))
		for f := range uint64(60) {
			s.Keep(moment(d, f+1))
			synctest.Wait()
			d.pass(time.Minute)
		}
		closeStore(t, s)
		d.reboot(-2000 * time.Hour)
		s = open(t, d.config(fs))
		defer closeStore(t, s)
		d.pass(10 * time.Minute)
		snap, err := s.Before(30 * time.Minute)
		if err != nil || snap.Frame < 37 || snap.Frame > 41 {
			t.Errorf("half an hour ago: %+v, %v", snap, err)
		}
	})
}

// TestFaults makes each operation fail in turn, for a while.
func TestFaults(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EROFS} {
		for _, op := range []string{"mkdir", "names", "open", "read", "create", "write", "sync", "rename", "syncdir", "remove"} {
			t.Run(op+" "+errno.Error(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { fail(t, op, errno) })
			})
		}
	}
}

func fail(t *testing.T, op string, errno syscall.Errno) {
	d, fs := newDevice(), faultdisk.New()
	s := open(t, d.config(fs))
	frame := uint64(0)
	run := func(s *Store, n int) {
		for range n {
			frame++
			s.Keep(moment(d, frame))
			synctest.Wait()
			d.pass(20 * time.Second)
		}
	}
	run(s, 400)
	closeStore(t, s)
	bad := true
	fs.Fault = func(o, _ string) error {
		if bad && o == op {
			return errno
		}
		return nil
	}
	s = open(t, d.config(fs))
	snap, err := s.Newest(any1, whole)
	if unreadable := op == "mkdir" || op == "names" || op == "open" || op == "read"; unreadable == (err == nil) {
		t.Fatalf("newest %v, %v", snap, err)
	}
	run(s, 12)
	saves := op != "remove" // which is not needed for each
	if st := s.Status(); saves && (st.Problem == "" || !strings.Contains(st.Problem, "yard")) {
		t.Errorf("status %+v", st)
	}
	if snap, err := s.Before(time.Minute); err != nil || check(snap) != nil {
		t.Errorf("the RAM's: %v", err)
	}
	bad = false
	run(s, 12)
	if st := s.Status(); st.Problem != "" {
		t.Errorf("after the disk works again: %+v", st)
	}
	r := d.reported()
	if saves && (len(r) != 2 || !strings.Contains(r[0], "cannot be saved") || !strings.Contains(r[1], "saved again")) {
		t.Errorf("reports %q", r)
	}
	// Everything is there again, in one order.
	for i, info := range s.List() {
		if i > 0 && (info.Frame <= s.List()[i-1].Frame || info.Ran < s.List()[i-1].Ran) {
			t.Errorf("frame %d at %v comes after %d at %v", info.Frame, info.Ran, s.List()[i-1].Frame, s.List()[i-1].Ran)
		}
	}
	if snap, err := s.Before(2 * time.Hour); err != nil || check(snap) != nil {
		t.Errorf("two hours ago: %v", err)
	}
	closeStore(t, s)
	s = open(t, d.config(fs))
	defer closeStore(t, s)
	if snap, err := s.Newest(any1, whole); err != nil || snap.Frame != frame {
		t.Errorf("restored %v, %v, want frame %d", snap, err, frame)
	}
}

// TestNothingHappens keeps one snapshot after another in quick succession, and then none
// for an hour: the last one is saved in time all the same.
func TestNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		s := open(t, d.config(fs))
		for f := range uint64(5) {
			s.Keep(moment(d, f+1))
			synctest.Wait()
			d.pass(time.Second)
		}
		if n := s.newestSaved(t).Frame; n != 1 {
			t.Errorf("frame set %d is saved", n)
		}
		fs.Fault = func(op, _ string) error { // the first try fails
			if d.clock().Up < 2*time.Minute+30*time.Second && op == "sync" {
				return syscall.EIO
			}
			return nil
		}
		for range 4 * 60 {
			time.Sleep(time.Second)
			synctest.Wait()
			d.pass(time.Second)
			if s.newestSaved(t).Frame == 5 {
				break
			}
		}
		if up := d.clock().Up; up < 2*time.Minute+30*time.Second || up > 4*time.Minute || s.newestSaved(t).Frame != 5 {
			t.Errorf("frame set %d is saved %v after the start", s.newestSaved(t).Frame, up)
		}
		closeStore(t, s)
		if n := s.Status().Disk; n != 2 {
			t.Errorf("%d snapshots on disk", n)
		}
	})
}

// TestDamage changes files behind the store's back.
func TestDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		s := open(t, d.config(fs))
		for f := range uint64(10) {
			s.Keep(moment(d, f+1))
			synctest.Wait()
			d.pass(time.Minute)
		}
		closeStore(t, s)
		list := s.List()
		file := func(back int) string { return filepath.Join(testDir, fileName(list[len(list)-back].Seq)) }
		fs.Edit(file(1), func(b []byte) []byte { b[len(b)-10] ^= 1; return b })
		fs.Edit(file(2), func(b []byte) []byte { return b[:len(b)-1] })
		fs.Edit(file(3), func(b []byte) []byte { return nil })
		other := d.config(fs)
		other.Scene = "hall"
		foreign := &Snapshot{Info: Info{Seq: list[len(list)-4].Seq}, Memories: []Memory{{State: state(1)}}}
		fs.Edit(file(4), func([]byte) []byte { return bytes.Join(foreign.encode("hall"), nil) })

		s = open(t, d.config(fs))
		snap, err := s.Newest(any1, whole)
		if err != nil || snap.Seq != list[len(list)-5].Seq {
			t.Errorf("newest %+v, %v", snap, err)
		}
		if r := d.reported(); len(r) != 4 {
			t.Errorf("reports %q", r)
		}
		closeStore(t, s)
		s = open(t, d.config(fs))
		if _, err := s.Newest(any1, whole); err != nil || len(d.reported()) != 4 {
			t.Errorf("again: %v, reports %q", err, d.reported())
		}
		// What the model refuses is set aside too.
		refused := errors.New("not finite")
		snap, err = s.Newest(any1, func(s *Snapshot) error {
			if s.Frame > 3 {
				return refused
			}
			return nil
		})
		if err != nil || snap.Frame != 3 {
			t.Errorf("newest that is taken: %+v, %v", snap, err)
		}
		closeStore(t, s)
		names, _ := fs.Names(testDir)
		bad := 0
		for _, n := range names {
			if strings.HasSuffix(n, aside) {
				bad++
			}
		}
		if bad != maxAside {
			t.Errorf("%d bad files left: %v", bad, names)
		}
	})
}

func TestTooSmallBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		c := d.config(fs)
		c.Disk = 1000
		s := open(t, c)
		s.Keep(moment(d, 400))
		synctest.Wait()
		if p := s.Status().Problem; !strings.Contains(p, "budget") || !strings.Contains(p, "1000") {
			t.Errorf("problem %q", p)
		}
		if err := s.Close(context.Background()); err == nil {
			t.Error("closed without an error")
		}
	})
}

// TestNeverMoreThanTheBudget looks at the disk after each operation.
func TestNeverMoreThanTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		c := d.config(fs)
		c.Disk, c.RAM = 20<<10, 10<<10
		var most int64
		fs.After = func(string, string) { most = max(most, fs.Bytes()) }
		s := open(t, c)
		for f := range uint64(5000) {
			s.Keep(moment(d, f+1))
			synctest.Wait()
			d.pass(time.Minute)
			if st := s.Status(); st.RingBytes > c.RAM+1300 || st.DiskBytes > c.Disk {
				t.Fatalf("status %+v", st)
			}
		}
		closeStore(t, s)
		if most > c.Disk || most < c.Disk*3/4 {
			t.Errorf("%d bytes on disk of %d", most, c.Disk)
		}
		// From minutes to days, something is left.
		for _, age := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 10 * time.Hour, 3 * 24 * time.Hour} {
			snap, err := s.Before(age)
			if err != nil {
				t.Errorf("%v ago: %v", age, err)
			} else if got := s.Age(snap.Info); got > 2*age+time.Minute {
				t.Errorf("%v ago: the nearest is from %v ago", age, got)
			}
		}
	})
}

// TestStuckDisk lets a save hang: nobody waits for it but Close, and not for ever.
func TestStuckDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		stuck := make(chan struct{})
		fs.Fault = func(op, _ string) error {
			if op == "sync" {
				<-stuck
			}
			return nil
		}
		s := open(t, d.config(fs))
		for f := range uint64(1000) {
			s.Keep(moment(d, f+1))
			d.pass(time.Minute)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		close(stuck)
		closeStore(t, s)
		if snap, err := s.Newest(any1, whole); err != nil || snap.Frame != 1000 {
			t.Errorf("newest %v, %v", snap, err)
		}
	})
}

// TestForget: nothing is left, neither in RAM nor on disk, but what comes later.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		other := d.config(fs)
		other.Model[0]++
		s := open(t, other)
		s.Keep(moment(d, 1))
		closeStore(t, s)
		s = open(t, d.config(fs))
		for f := range uint64(10) {
			s.Keep(moment(d, f+2))
			synctest.Wait()
			d.pass(time.Minute)
		}
		fs.Edit(filepath.Join(testDir, fileName(s.newestSaved(t).Seq)), func([]byte) []byte { return nil })
		closeStore(t, s)
		s = open(t, d.config(fs)) // which sets that one aside
		s.Keep(moment(d, 12))
		erase := s.Forget()
		if _, err := s.Before(0); !errors.Is(err, ErrNone) || len(s.List()) > 0 {
			t.Errorf("after forgetting: %v, %d in the list", err, len(s.List()))
		}
		if err := erase(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		names, _ := fs.Names(testDir)
		if len(names) > 0 {
			t.Errorf("left: %v", names)
		}
		fs.States(func(up *faultdisk.Disk) bool {
			if n := up.Bytes(); n > 0 {
				t.Errorf("%d bytes come back after a power cut", n)
			}
			return true
		})
		d.pass(time.Minute)
		s.Keep(moment(d, 13))
		synctest.Wait()
		closeStore(t, s)
		s = open(t, d.config(fs))
		if snap, err := s.Newest(any1, whole); err != nil || snap.Frame != 13 || len(s.List()) != 1 {
			t.Errorf("what came later: %+v, %v", snap, err)
		}
		if _, err := s.Newest(any1, take); err != nil {
			t.Error(err)
		}
		closeStore(t, s)
		c := d.config(nil)
		c.Dir = ""
		s = open(t, c)
		s.Keep(moment(d, 1))
		if err := s.Forget()(); err != nil || len(s.List()) != 0 {
			t.Errorf("in RAM: %v", err)
		}
	})
}

func TestRAMOnly(t *testing.T) {
	d := newDevice()
	c := d.config(nil)
	c.Dir, c.RAM = "", 20<<10
	s := open(t, c)
	for f := range uint64(3000) {
		s.Keep(moment(d, f+1))
		d.pass(time.Second)
	}
	for _, age := range []time.Duration{2 * time.Second, time.Minute, 10 * time.Minute} {
		if snap, err := s.Before(age); err != nil || s.Age(snap.Info) > 2*age {
			t.Errorf("%v ago: %v, %v", age, s.Age(snap.Info), err)
		}
	}
	closeStore(t, s)
	if _, err := Open(Config{Scene: strings.Repeat("x", 256)}); err == nil {
		t.Error("a name of 256 bytes was taken")
	}
}
