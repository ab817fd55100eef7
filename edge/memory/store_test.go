package memory

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/faultdisk"
)

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
		d.Pass(time.Second)
	}
	want := s.ring[4].Info
	closeStore(t, s)
	if st := s.Status(); st.Disk < 1 || st.Problem != "" {
		t.Errorf("status %+v", st)
	}

	d.Reboot(time.Hour)
	d.Pass(time.Minute)
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

// TestLastMinutes: what was saved often can be asked about after a power cut, which the RAM does
// not outlast, as closely for ten minutes, and by the minute before that. A small budget costs
// closeness, not the past.
func TestLastMinutes(t *testing.T) {
	for _, budget := range []int64{0, 40 << 10} {
		synctest.Test(t, func(t *testing.T) {
			d, fs := newDevice(), faultdisk.New()
			c := d.config(fs)
			c.Interval, c.Disk = 2*time.Second, budget
			s := open(t, c)
			keepEach(d, s, 1800, 2*time.Second) // an hour
			closeStore(t, s)
			d.Reboot(0)
			s = open(t, c)
			defer closeStore(t, s)
			n := s.Status().Disk
			for age := 10 * time.Second; age < 55*time.Minute; age += 7 * time.Second {
				snap, err := s.Before(age)
				if err != nil {
					t.Fatal(err)
				}
				off := 8 * time.Second
				switch {
				case budget > 0:
					off += age / 2
				case age > 9*time.Minute:
					off = time.Minute + 2*time.Second
				}
				if got := s.Age(snap.Info) - age; got < 0 || got > off {
					t.Errorf("%d bytes, %d snapshots: %v ago, the nearest is %v older", budget, n, age, got)
				}
			}
		})
	}
}

func TestAtAndBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		s := open(t, d.config(fs))
		start := d.Clock().Wall
		run := func(from, to uint64) {
			for f := from; f <= to; f++ {
				s.Keep(moment(d, f))
				synctest.Wait()
				d.Pass(10 * time.Second)
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
			other, err := s.At(d.Clock().Wall.Add(-c.ago))
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
			d.Jump(jump, true)
			last := s.List()[len(s.List())-1].Frame
			run(last+1, last+12)
			snap, err := s.Before(25 * time.Minute)
			if err != nil || s.Age(snap.Info) < 25*time.Minute || s.Age(snap.Info) > 27*time.Minute {
				t.Errorf("after a jump: %v, %v", s.Age(snap.Info), err)
			}
			if at, err := s.At(d.Clock().Wall.Add(-25 * time.Minute)); err != nil || at.Seq != snap.Seq {
				t.Errorf("after a jump, by time: %v, %v", at.Seq, err)
			}
			if s.Status().Disk < n-3 { // which became older than an hour
				t.Errorf("a jump of the clock deleted snapshots: %d, before %d", s.Status().Disk, n)
			}
		}
		// Nothing is deleted by age while the device is off.
		n := s.Status().Disk
		closeStore(t, s)
		d.Reboot(1000 * time.Hour)
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
		d.Jump(0, false)
		s := open(t, d.config(fs))
		keepEach(d, s, 60, time.Minute)
		closeStore(t, s)
		d.Reboot(-2000 * time.Hour)
		s = open(t, d.config(fs))
		defer closeStore(t, s)
		d.Pass(10 * time.Minute)
		snap, err := s.Before(30 * time.Minute)
		if err != nil || snap.Frame < 37 || snap.Frame > 41 {
			t.Errorf("half an hour ago: %+v, %v", snap, err)
		}
	})
}

// TestSetModel: snapshots of the model before are saved and not found, and found when it is back.
func TestSetModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fs := newDevice(), faultdisk.New()
		c := d.config(fs)
		s := open(t, c)
		keep := func(from, to uint64) {
			for f := from; f < to; f++ {
				s.Keep(moment(d, f))
				synctest.Wait()
				d.Pass(time.Second)
			}
		}
		newest := func(want uint64) {
			t.Helper()
			snap, err := s.Newest(func(Info) bool { return true }, func(*Snapshot) error { return nil })
			if want == 0 && !errors.Is(err, ErrNone) || want > 0 && (err != nil || snap.Frame != want) {
				t.Errorf("%+v, %v, want frame set %d", snap, err, want)
			}
		}
		keep(1, 4)
		other := c.Model
		other[0]++
		s.SetModel(other)
		synctest.Wait()
		newest(0)
		if n := len(s.List()); n != 0 {
			t.Errorf("%d snapshots of the model before", n)
		}
		keep(4, 6)
		newest(5)
		s.SetModel(c.Model)
		newest(3)
		closeStore(t, s)
		s = open(t, c)
		newest(3)
		closeStore(t, s)
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
			d.Pass(time.Minute)
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
		d.Pass(time.Minute)
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
		d.Pass(time.Second)
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
