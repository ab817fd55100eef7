package client

import (
	"context"
	"errors"
	"testing"

	"github.com/visualrwkv/edged/wire"
)

// TestCallDrops: events that a busy loop has no room for are counted, those that the server has dropped before
// them included, and what comes after the end of a request is not looked at.
func TestCallDrops(t *testing.T) {
	q := &call{wake: make(chan struct{}, 1)}
	for range maxEvents {
		q.put(new(wire.Event))
	}
	q.put(&wire.Event{Dropped: 5})
	q.put(new(wire.Event))
	for range maxEvents {
		if m, err := q.next(t.Context()); err != nil || m.(*wire.Event).Dropped != 0 {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	q.put(&wire.Event{Dropped: 2})
	q.put(new(wire.End))
	q.put(new(wire.Event))
	q.fail(ErrClosed)
	if m, err := q.next(t.Context()); err != nil || m.(*wire.Event).Dropped != 9 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := q.next(t.Context()); err != nil || m.Kind() != "end" {
		t.Errorf("%+v, %v", m, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := q.next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %+v, %v", m, err)
	}
}

// TestCallLate: where the server keeps events, one that does not fit ends the request, which the server has yet
// to be told.
func TestCallLate(t *testing.T) {
	q := &call{kept: true, wake: make(chan struct{}, 1)}
	for range maxEvents + 2 {
		q.put(new(wire.Event))
	}
	for range maxEvents {
		if m, err := q.next(t.Context()); m == nil || err != nil {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	if _, err := q.next(t.Context()); err != errLate || q.ended() {
		t.Errorf("%v, ended at the server: %v", err, q.ended())
	}
}

// TestFirstReason: what ended the connection first is why later requests fail, and requests that could not be
// sent are forgotten.
func TestFirstReason(t *testing.T) {
	c := connect(t, house{})
	first := errors.New("first")
	c.fail(first)
	c.fail(errors.New("second"))
	if _, err := c.Status(t.Context()); err != first {
		t.Errorf("%v", err)
	}
	other := connect(t, house{})
	if err := other.Admin(t.Context(), &wire.Admin{Scene: string(make([]byte, wire.MaxRequest))}); err == nil {
		t.Error("a request that is too large was sent")
	}
	if n := len(other.calls); n != 0 {
		t.Errorf("%d requests are kept", n)
	}
}
