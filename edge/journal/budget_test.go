package journal

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
)

// TestDailyBudget: an event a second, which two-second batches would write far too much for.
func TestDailyBudget(t *testing.T) {
	const hours = 6
	written := func(t *testing.T, daily int64, each time.Duration) (bytes int64, longest int) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			j := open(t, t.TempDir(), &Options{Daily: daily, Clock: func() clock.Time {
				return clock.Time{Wall: time.Now(), Trusted: true, Boot: clock.Boot{1}, Up: time.Since(begin)}
			}})
			for i := range int(hours * time.Hour / each) {
				j.Append(caption(i))
				time.Sleep(each)
				synctest.Wait()
				longest = max(longest, j.Status().Pending)
			}
			s := j.Status()
			bytes = s.Written
			if s.Daily != daily || s.Lost > 0 || s.Error != "" {
				t.Errorf("%+v", s)
			}
			closed(t, j)
		})
		return bytes, longest
	}
	free, n := written(t, 0, 10*time.Second)
	if least := int64(hours * 360 * 4 * pageSize); free < least || n > 1 {
		t.Fatalf("%d bytes without a budget, %d waited", free, n)
	}
	for daily, each := range map[int64]time.Duration{4 << 20: 10 * time.Second, 40 << 20: 10 * time.Second, 25 << 20: time.Second} {
		got, n := written(t, daily, each)
		t.Logf("%d a day, an event every %v: %d in %d hours, %d events waited at most", daily, each, got, hours, n)
		if most := daily * hours / 24; got > most+most/20 || got < most/2 {
			t.Errorf("%d bytes in %d hours, want up to %d", got, hours, most)
		}
		if n > batchSize {
			t.Errorf("%d events waited", n)
		}
	}
}

// TestBudgetTooSmall: what the budget cannot hold is written all the same, as rarely as can be.
func TestBudgetTooSmall(t *testing.T) {
	var b budget
	b.daily, b.cost = 1000, firstCost
	now := clock.Time{Boot: clock.Boot{1}, Up: time.Hour}
	b.at = now
	if d := b.wait(now); d != maxWait {
		t.Errorf("wait %v", d)
	}
	for range 5 {
		b.commit(now, 100<<10)
	}
	if d := b.wait(now); d != maxWait || b.written.Sum(now) != 500<<10 {
		t.Errorf("wait %v, %d written", d, b.written.Sum(now))
	}
	b.daily = 0
	if d := b.wait(now); d != 0 {
		t.Errorf("wait %v without a budget", d)
	}
}

// TestWrittenIsKept: what was written counts on after a start, whatever the clock shows, how long
// the device was off and how the process ended, and so does what was written too much.
func TestWrittenIsKept(t *testing.T) {
	dir, d := t.TempDir(), newDevice()
	o := &Options{Clock: d.Clock, Daily: 24 << 20}
	written := int64(0)
	start := func(what string, crashes bool) {
		t.Helper()
		j := open(t, dir, o)
		for range 40 {
			j.Append(caption(0))
			save(t, j)
		}
		if s := j.Status(); s.Written < written+40*2*pageSize || s.Written > written+45*firstCost {
			t.Errorf("%s: %d bytes, and before %d", what, s.Written, written)
		} else {
			written = s.Written
		}
		if crashes {
			crash(t, j)
		} else {
			closed(t, j)
		}
	}
	start("new", false)
	start("again", true)
	d.Jump(-365*24*time.Hour, false)
	start("a year back", true)
	d.Reboot(time.Hour)
	d.Jump(2*365*24*time.Hour, true)
	start("another start of the device", false)
	j := open(t, dir, o)
	if wait := j.delay(); wait < time.Second {
		t.Errorf("after too much was written a record waits for %v", wait)
	}
	closed(t, j)
	d.Pass(25 * time.Hour)
	j = open(t, dir, o)
	defer closed(t, j)
	if s := j.Status(); s.Written > 8*pageSize {
		t.Errorf("%d bytes after a day", s.Written)
	}
	// What is no such record changes nothing.
	b, now := budget{daily: 1 << 20, cost: firstCost}, d.Clock()
	b.commit(now, 5<<10)
	whole := b.encode(now)
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 0x80
		own := budget{daily: 1 << 20, cost: firstCost}
		own.goOn(bad, now)
		if n := own.written.Sum(now); n < 0 || own.wait(now) > maxWait {
			t.Errorf("byte %d: %d written, wait %v", i, n, own.wait(now))
		}
		own.commit(now, firstCost)
	}
}

// TestWrittenBytes compares what is counted with what the kernel counts of this process.
func TestWrittenBytes(t *testing.T) {
	handed := func() (n int64) {
		b, err := os.ReadFile("/proc/self/io")
		if err != nil {
			t.Skip(err)
		}
		var read int64
		if _, err := fmt.Sscanf(string(b), "rchar: %d\nwchar: %d\n", &read, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	j := open(t, t.TempDir(), &Options{MaxBytes: 100 << 10})
	defer j.Close()
	save(t, j)
	for _, batch := range []int{1, 10, 300} {
		kernel, ours := handed(), j.Status().Written
		for i := range 30 * batch { // beyond what is kept, so that old records are deleted too
			j.Append(caption(i))
			if i%batch == 0 {
				save(t, j)
			}
		}
		save(t, j)
		kernel, ours = handed()-kernel, j.Status().Written-ours
		t.Logf("batches of %d: %d bytes a commit, the kernel says %d", batch, ours/31, kernel/31)
		if ours < kernel-kernel/50 || ours > kernel+kernel/50 {
			t.Errorf("batches of %d: %d bytes counted, and the kernel %d", batch, ours, kernel)
		}
	}
}
