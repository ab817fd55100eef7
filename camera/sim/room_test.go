package sim

import (
	"image"
	"testing"
	"time"
)

func TestRoomIsDeterministic(t *testing.T) {
	// Whatever the order in which the views are asked, and with live views that
	// skip: instant n looks the same.
	a, b := NewRoom(7, 2, 0, false), NewRoom(7, 2, 0, false)
	av, bv := a.Views(), b.Views()
	pixels := map[[2]uint64]string{}
	for i := range uint64(10) {
		for k, v := range av {
			f, err := v.Next(t.Context())
			if err != nil || f.Seq != i {
				t.Fatal(f.Seq, err)
			}
			pixels[[2]uint64{i, uint64(k)}] = string(f.Image.(*image.RGBA).Pix)
			f.Release()
		}
	}
	for k, v := range bv {
		for i := range uint64(10) {
			f, err := v.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if pixels[[2]uint64{i, uint64(k)}] != string(f.Image.(*image.RGBA).Pix) {
				t.Fatalf("instant %d, view %d looks different", i, k)
			}
			f.Release()
		}
	}
	for i := range uint64(10) {
		x, ok := a.Truth(i)
		y, _ := b.Truth(i)
		if !ok || x != y || x == "" {
			t.Errorf("truth of %d: %q and %q", i, x, y)
		}
	}
	for range keepInstants + 5 {
		f, _ := av[0].Next(t.Context())
		f.Release()
	}
	if _, ok := a.Truth(0); ok || len(a.past) != keepInstants {
		t.Errorf("%d instants kept", len(a.past))
	}
}

func TestRoomLive(t *testing.T) {
	r := NewRoom(1, 1, 10*time.Millisecond, true)
	v := r.Views()[0]
	f, _ := v.Next(t.Context())
	time.Sleep(55 * time.Millisecond)
	asked := time.Now()
	g, err := v.Next(t.Context())
	if err != nil || g.Seq < f.Seq+4 {
		t.Errorf("after a pause the view went on with %d: %v", g.Seq, err)
	}
	if g.Time.Before(asked.Add(-10*time.Millisecond)) || g.Time.After(time.Now()) {
		t.Errorf("asked at %v, picture of %v", asked, g.Time)
	}
}

// TestRoomSleeps: after a day's sleep the world goes on from where it was.
func TestRoomSleeps(t *testing.T) {
	r := NewRoom(1, 2, time.Second, true)
	views := r.Views()
	last, err := views[0].Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.start = r.start.Add(-24 * time.Hour)
	woke := time.Now()
	for _, v := range views {
		f, err := v.Next(t.Context())
		if err != nil || f.Seq > last.Seq+2*keepInstants || f.Seq < keepInstants {
			t.Errorf("view %s went on with %d after %d: %v", v.Name, f.Seq, last.Seq, err)
		}
		if f.Time.Before(woke.Add(-time.Second)) {
			t.Errorf("view %s: woke at %v, picture of %v", v.Name, woke, f.Time)
		}
	}
}
