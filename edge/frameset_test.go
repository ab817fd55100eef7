package edge

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/visualrwkv/edged/camera"
)

func box(times ...int) *Mailbox[camera.Frame] {
	b := NewMailbox[camera.Frame](true, nil)
	go func() {
		for i, ms := range times {
			b.Put(context.Background(), camera.NewFrame(nil, time.UnixMilli(int64(ms)), uint64(i), nil))
		}
		b.Close(io.EOF)
	}()
	return b
}

func TestCollectorMatchesByTime(t *testing.T) {
	// The second view misses 1000, the first 3000; 10 ms of skew are allowed.
	c := newCollector([]*Mailbox[camera.Frame]{box(0, 1000, 2000, 4000), box(4, 2007, 3000, 4010)}, 10*time.Millisecond)
	var got [][2]int64
	for {
		s, err := c.next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		a, b := s.Frames[0].Time.UnixMilli(), s.Frames[1].Time.UnixMilli()
		if s.Skew != time.Duration(max(a-b, b-a))*time.Millisecond || s.Time.UnixMilli() != max(a, b) {
			t.Errorf("set %d: skew %v at %v", s.Number, s.Skew, s.Time)
		}
		got = append(got, [2]int64{a, b})
	}
	want := [][2]int64{{0, 4}, {2000, 2007}, {4000, 4010}}
	if len(got) != len(want) {
		t.Fatalf("sets %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("set %d: %v, want %v", i, got[i], want[i])
		}
	}
	if n := c.unmatched.Load(); n != 2 {
		t.Errorf("%d frames without a partner, want 2", n)
	}
}

func TestCollectorReleasesUnfinishedSet(t *testing.T) {
	released := 0
	a, b := NewMailbox[camera.Frame](false, nil), NewMailbox[camera.Frame](false, nil)
	frame := func(ms int) camera.Frame {
		return camera.NewFrame(nil, time.UnixMilli(int64(ms)), 0, func() { released++ })
	}
	a.Put(t.Context(), frame(1000))
	b.Put(t.Context(), frame(0)) // too old for the other
	b.Close(io.EOF)
	a.Close(io.EOF)
	c := newCollector([]*Mailbox[camera.Frame]{a, b}, time.Millisecond)
	if _, err := c.next(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatalf("error %v", err)
	}
	if released != 2 {
		t.Errorf("%d frames released, want 2", released)
	}
}
