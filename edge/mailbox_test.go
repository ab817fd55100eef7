package edge

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"
)

func one() chan struct{} { return make(chan struct{}, 1) }

func TestMailboxNewestWins(t *testing.T) {
	var dropped []int
	m := NewMailbox(false, one(), func(v int) { dropped = append(dropped, v) })
	for i := range 4 {
		if err := m.Put(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if v, ok := m.Take(); v != 3 || !ok {
		t.Errorf("took %d %v, want 3", v, ok)
	}
	if _, ok := m.Take(); ok {
		t.Error("took twice")
	}
	if len(dropped) != 3 || m.Skipped() != 3 {
		t.Errorf("dropped %v, counted %d, want 3", dropped, m.Skipped())
	}
	for i, offer := range []func(context.Context, int) error{m.Offer, m.Offer, m.Put, m.Offer} {
		if err := offer(t.Context(), 10+i); err != nil {
			t.Fatal(err)
		}
	}
	if v, ok := m.Take(); v != 12 || !ok || !slices.Equal(dropped[3:], []int{11, 10, 13}) || m.Skipped() != 4 {
		t.Errorf("took %d %v, want 12; dropped %v, counted %d", v, ok, dropped, m.Skipped())
	}
}

func TestMailboxClose(t *testing.T) {
	dropped := 0
	m := NewMailbox(false, one(), func(int) { dropped++ })
	m.Put(t.Context(), 1)
	m.Close(io.EOF)
	m.Close(errors.New("second"))
	if err := m.End(); err != nil {
		t.Errorf("a value waits, but: %v", err)
	}
	m.Take()
	if err := m.End(); err != io.EOF {
		t.Errorf("closed and empty: %v", err)
	}
	m.Put(t.Context(), 2)
	if dropped != 1 {
		t.Errorf("value put after close: dropped %d times", dropped)
	}
}

func TestMailboxLockStepWaits(t *testing.T) {
	dropped := 0
	m := NewMailbox(true, one(), func(int) { dropped++ })
	m.Put(t.Context(), 1)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if err := m.Put(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second put: %v", err)
	}
	if dropped != 1 || m.Skipped() != 0 {
		t.Errorf("dropped %d, skipped %d", dropped, m.Skipped())
	}
	if v, _ := m.Take(); v != 1 {
		t.Errorf("took %d", v)
	}
}

// TestMailboxConcurrent counts that each value is taken or dropped, once, and
// that values never go backwards.
func TestMailboxConcurrent(t *testing.T) {
	for _, lockStep := range []bool{false, true} {
		const n = 20000
		var mu sync.Mutex
		seen := make([]int, n)
		see := func(v int) {
			mu.Lock()
			seen[v]++
			mu.Unlock()
		}
		filled := one()
		m := NewMailbox(lockStep, filled, see)
		go func() {
			for i := range n {
				m.Put(t.Context(), i)
			}
			m.Close(io.EOF)
		}()
		last, taken := -1, 0
		for m.End() == nil {
			v, ok := m.Take()
			if !ok {
				<-filled
				continue
			}
			if v <= last {
				t.Fatalf("took %d after %d", v, last)
			}
			last = v
			taken++
			see(v)
		}
		if last != n-1 {
			t.Errorf("the newest was lost: ended with %d", last)
		}
		for v, c := range seen {
			if c != 1 {
				t.Fatalf("value %d was seen %d times", v, c)
			}
		}
		if lockStep && taken != n || uint64(n-taken) != m.Skipped() {
			t.Errorf("lock step %v: took %d of %d, skipped %d", lockStep, taken, n, m.Skipped())
		}
	}
}
