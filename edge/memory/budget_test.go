package memory

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/faultdisk"
)

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
			d.Pass(time.Second)
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
		written, saves := int64(0), int64(0) // saves since the last start
		fs.After = func(op, path string) {
			if op == "sync" {
				f, err := fs.Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := f.Size()
				written += n
				saves++
			}
		}
		s := open(t, c)
		for f := range uint64(3 * 24 * 60) {
			s.Keep(moment(d, f+1))
			synctest.Wait()
			d.Pass(time.Minute)
			if f%100 == 99 { // starting again and again earns nothing
				closeStore(t, s)
				s, saves = open(t, c), 0
			}
		}
		closeStore(t, s)
		if written < 300<<10 || written > 700<<10 {
			t.Errorf("%d bytes in three days of %d each", written, c.Daily)
		}
		st := s.Status()
		if st.Every < 7*time.Minute || st.Every > 10*time.Minute {
			t.Errorf("every %v", st.Every)
		}
		if st.Daily != c.Daily || st.Written == 0 || st.Written != 4096*saves { // a block for a kilobyte
			t.Errorf("%d of %d written since the last start, with %d snapshots", st.Written, st.Daily, saves)
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
			d.Pass(time.Minute)
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

// TestNothingHappens keeps one snapshot after another in quick succession, and then none
// for an hour: the last one is saved in time all the same.
func TestNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		s := open(t, d.config(fs))
		keepEach(d, s, 5, time.Second)
		if n := s.newestSaved(t).Frame; n != 1 {
			t.Errorf("frame set %d is saved", n)
		}
		fs.Fault = func(op, _ string) error { // the first try fails
			if d.Clock().Up < 2*time.Minute+30*time.Second && op == "sync" {
				return syscall.EIO
			}
			return nil
		}
		for range 4 * 60 {
			time.Sleep(time.Second)
			synctest.Wait()
			d.Pass(time.Second)
			if s.newestSaved(t).Frame == 5 {
				break
			}
		}
		if up := d.Clock().Up; up < 2*time.Minute+30*time.Second || up > 4*time.Minute || s.newestSaved(t).Frame != 5 {
			t.Errorf("frame set %d is saved %v after the start", s.newestSaved(t).Frame, up)
		}
		closeStore(t, s)
		if n := s.Status().Disk; n != 2 {
			t.Errorf("%d snapshots on disk", n)
		}
	})
}

// TestLimits: budgets that become smaller hold from the next snapshot on, in RAM and on disk.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		s := open(t, d.config(fs))
		keep := func(from, to uint64) Status {
			for f := from; f < to; f++ {
				s.Keep(moment(d, f))
				synctest.Wait()
				d.Pass(time.Minute)
			}
			return s.Status()
		}
		before := keep(1, 60)
		size := before.RingBytes / int64(before.Ring)
		s.Limit(Config{Interval: time.Minute, Disk: 4 * size, Daily: 24 * 60 * size / 10, RAM: 2 * size})
		after := keep(60, 80)
		if before.Disk < 20 || before.Ring < 5 || after.DiskBytes > 4*size || after.RingBytes > 3*size || after.Every < 10*time.Minute {
			t.Errorf("%+v, then, with less, %+v", before, after)
		}
		closeStore(t, s)
	})
}

// TestSlowDisk: the interval holds with a disk that takes its time, but for how much longer it
// takes than it did for the snapshot before.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		c := d.config(fs)
		var s *Store
		var takes, oldest time.Duration
		fs.After = func(op, _ string) {
			if op != "sync" {
				return
			}
			d.Pass(takes)
			s.mu.Lock()
			defer s.mu.Unlock()
			if n := len(s.disk); n > 0 {
				oldest = max(oldest, d.Clock().Up-s.disk[n-1].Taken.Up)
			}
		}
		s = open(t, c)
		frame := uint64(0)
		for _, pace := range []struct{ takes, late time.Duration }{{time.Second, time.Second}, {time.Second, 0}, {20 * time.Second, 19 * time.Second}, {20 * time.Second, 0}, {time.Second, 0}} {
			takes, oldest = pace.takes, 0
			before := s.newestSavedSeq()
			for s.newestSavedSeq() < before+100 {
				frame++
				s.Keep(moment(d, frame))
				synctest.Wait()
				d.Pass(time.Second)
			}
			if most := time.Minute + pace.late; oldest > most || oldest < most-25*time.Second {
				t.Errorf("the disk takes %v: the newest on it was %v old, want %v at most", takes, oldest, most)
			}
		}
		takes = 0
		closeStore(t, s)
	})
}

func (s *Store) newestSavedSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved
}
