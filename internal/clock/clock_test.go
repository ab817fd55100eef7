package clock

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	const year = 365 * 24 * time.Hour
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	was := Time{Wall: noon, Trusted: true, Boot: Boot{1}, Up: time.Hour}
	for _, c := range []struct {
		name string
		now  Time
		age  time.Duration
		sure bool
	}{
		{"same start", Time{Wall: noon.Add(time.Minute), Boot: Boot{1}, Up: time.Hour + time.Minute}, time.Minute, true},
		{"clock a year ahead", Time{Wall: noon.Add(year), Trusted: true, Boot: Boot{1}, Up: time.Hour + time.Minute}, time.Minute, true},
		{"clock a year behind", Time{Wall: noon.Add(-year), Trusted: true, Boot: Boot{1}, Up: time.Hour + time.Minute}, time.Minute, true},
		{"started since", Time{Wall: noon.Add(2 * time.Hour), Trusted: true, Boot: Boot{2}, Up: time.Minute}, 2 * time.Hour, true},
		{"started since, no clock", Time{Wall: noon.Add(year), Boot: Boot{2}, Up: time.Minute}, time.Minute, false},
		{"started since, clock behind", Time{Wall: noon.Add(-year), Trusted: true, Boot: Boot{2}, Up: time.Minute}, time.Minute, false},
		{"up for longer than the clocks say", Time{Wall: noon.Add(time.Minute), Trusted: true, Boot: Boot{2}, Up: time.Hour}, time.Hour, false},
	} {
		if age, sure := was.Age(c.now); age != c.age || sure != c.sure {
			t.Errorf("%s: %v %v, want %v %v", c.name, age, sure, c.age, c.sure)
		}
	}
	was.Trusted = false
	if age, sure := was.Age(Time{Wall: noon.Add(2 * time.Hour), Trusted: true, Boot: Boot{2}, Up: time.Minute}); age != time.Minute || sure {
		t.Errorf("from a clock that was wrong: %v %v", age, sure)
	}
}

func TestSystem(t *testing.T) {
	a := System()
	if a.Boot == (Boot{}) {
		t.Error("no boot")
	}
	if d := time.Since(a.Wall); d < 0 || d > time.Minute {
		t.Errorf("wall time is %v off", d)
	}
	time.Sleep(time.Millisecond)
	b := System()
	if age, sure := a.Age(b); age < time.Millisecond || !sure {
		t.Errorf("%v passed, %v", age, sure)
	}
	if a.Up <= 0 {
		t.Errorf("up for %v", a.Up)
	}
}

func TestDay(t *testing.T) {
	var d Day
	now := Time{Boot: Boot{1}, Up: 100*time.Hour + 59*time.Minute}
	d.Add(now, 5)
	now.Up += time.Minute
	d.Add(now, 7)
	sum := func(want int64) {
		t.Helper()
		if got := d.Sum(now); got != want {
			t.Errorf("after %v %d, want %d", now.Up, got, want)
		}
	}
	sum(12)
	now.Up += 22 * time.Hour
	sum(12)
	now = Time{Boot: Boot{2}, Up: 20 * time.Minute} // the device was off, and has run for 22 hours since
	d.Add(now, 1)
	sum(13)
	now.Up += time.Hour
	sum(8)
	now.Up += time.Hour
	sum(1)
	now.Up += 21 * time.Hour
	sum(1)
	now.Up += time.Hour
	sum(0)
	d.Add(now, 3)
	now.Up += 1000 * time.Hour
	sum(0)
	d.Add(now, 4)
	sum(4)
}
