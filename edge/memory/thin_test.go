package memory

import (
	"slices"
	"testing"
	"time"

	"github.com/visualrwkv/edged/internal/faultdisk"
)

// everything is a budget that suffices.
const everything = 1 << 60

// left returns those of the snapshots that thin leaves.
func left(all []Info, now time.Duration, budget int64, model [32]byte) []Info {
	gone := map[uint64]bool{}
	for _, d := range thin(all, now, budget, model) {
		gone[d.Seq] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(i Info) bool { return gone[i.Seq] })
}

// TestThinByAge: of a snapshot each half minute for ten days all are left of the last ten minutes, one in a minute of
// the last hour, one in ten minutes of the last day, one in an hour of the last week, and one in a day of those
// before; it is the same whether they are thinned at the end or all the time.
func TestThinByAge(t *testing.T) {
	const days, step = 10, 30 * time.Second
	var all, steadily []Info
	now := time.Duration(0)
	for ; now <= days*24*time.Hour; now += step {
		i := Info{Seq: uint64(now/step) + 1, Ran: now, Bytes: 1}
		all = append(all, i)
		if steadily = append(steadily, i); i.Seq%10 == 1 {
			steadily = left(steadily, now, everything, i.Model)
		}
	}
	now -= step
	got := left(all, now, everything, [32]byte{})
	if !slices.Equal(got, steadily) {
		t.Errorf("%d are left, and %d of those that were thinned all the time", len(got), len(steadily))
	}
	if newest := got[len(got)-1]; newest.Ran != now {
		t.Errorf("the newest is from %v before", now-newest.Ran)
	}
	var counts [5]int
	for _, i := range got {
		switch age := now - i.Ran; {
		case age <= 10*time.Minute:
			counts[0]++
		case age <= time.Hour:
			counts[1]++
		case age <= 24*time.Hour:
			counts[2]++
		case age <= 7*24*time.Hour:
			counts[3]++
		default:
			counts[4]++
		}
	}
	for k, want := range []int{20, 50, 23 * 6, 6 * 24, 3} {
		if n := counts[k]; n < want || n > want+2 { // of the stretches at both ends parts
			t.Errorf("%d are left of age %d, want %d", n, k, want)
		}
	}
}

// TestThinModels: the newest of each model is spared where ages thin, and what is of another model than the
// present goes first where bytes do.
func TestThinModels(t *testing.T) {
	a, b := [32]byte{1}, [32]byte{2}
	var all []Info
	for k, model := range [][32]byte{a, b, b, b, a, a} { // within a minute
		all = append(all, Info{Seq: uint64(k + 1), Ran: time.Duration(k) * time.Second, Model: model, Bytes: 10})
	}
	for _, c := range []struct {
		budget int64
		want   []uint64
	}{{everything, []uint64{1, 2, 4, 5, 6}}, {40, []uint64{1, 4, 5, 6}}, {30, []uint64{1, 5, 6}}, {20, []uint64{1, 6}}, {10, []uint64{6}}, {5, []uint64{6}}} {
		var got []uint64
		for _, i := range left(all, time.Hour, c.budget, a) {
			got = append(got, i.Seq)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("with %d bytes %v are left, want %v", c.budget, got, c.want)
		}
	}
}

// TestRestartsWithinDaily: a device that is started again each minute writes no more than it may in a day, though
// each end of a scene saves its memory; nor does one that has written nothing for a day.
func TestRestartsWithinDaily(t *testing.T) {
	d := newDevice()
	c := d.config(faultdisk.New())
	c.Daily = 24 * 2400 // two of a thousand bytes in an hour, and as many that are saved up
	frame := uint64(0)
	saved := func(minutes int) (bytes int64) {
		for range minutes {
			s := open(t, c)
			before := s.Status().Saved.Seq
			frame++
			s.Keep(moment(d, frame))
			closeStore(t, s)
			if now := s.Status().Saved; now.Seq != before {
				bytes += now.Bytes
			}
			d.Pass(time.Minute)
		}
		return bytes
	}
	if n := saved(120); n < 2*2400 || n > 3*2400 {
		t.Errorf("%d bytes were saved in two hours", n)
	}
	d.Pass(24 * time.Hour)
	if n := saved(30); n < 1200 || n > 3*1200 {
		t.Errorf("%d bytes were saved in half an hour after a day", n)
	}
}
