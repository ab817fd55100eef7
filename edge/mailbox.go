package edge

import (
	"context"
	"sync"
)

// Mailbox hands values from one goroutine to another and holds at most one. It
// either lets the newest value win (the waiting one is dropped and counted) or,
// in lock step, makes Put wait until the waiting one was taken.
type Mailbox[T any] struct {
	lockStep bool
	drop     func(T) // told of each value that nobody will take

	mu      sync.Mutex
	value   T
	full    bool
	closed  bool
	err     error
	skipped uint64

	filled  chan struct{} // holds a token when the taker has something to look at
	emptied chan struct{} // holds a token when the putter has
}

// NewMailbox makes an empty mailbox. drop may be nil. filled, a channel with room for one
// token, gets one whenever the taker has something to look at; who takes from several
// mailboxes gives the same to all.
func NewMailbox[T any](lockStep bool, filled chan struct{}, drop func(T)) *Mailbox[T] {
	if drop == nil {
		drop = func(T) {}
	}
	return &Mailbox[T]{lockStep: lockStep, drop: drop, filled: filled, emptied: make(chan struct{}, 1)}
}

// Put leaves v, which now belongs to the mailbox whatever happens. In lock step
// it waits for room first and returns the context's error when that ends before.
// One goroutine puts.
func (m *Mailbox[T]) Put(ctx context.Context, v T) error { return m.put(ctx, v, true) }

// Offer is Put of a value that matters less than any other: it is dropped, and not counted, where one
// waits that Put would replace.
func (m *Mailbox[T]) Offer(ctx context.Context, v T) error { return m.put(ctx, v, false) }

func (m *Mailbox[T]) put(ctx context.Context, v T, replace bool) error {
	for {
		m.mu.Lock()
		switch {
		case m.closed || m.full && !m.lockStep && !replace:
			m.mu.Unlock()
			m.drop(v)
			return nil
		case !m.full || !m.lockStep:
			old, had := m.value, m.full
			m.value, m.full = v, true
			if had {
				m.skipped++
			}
			m.mu.Unlock()
			signal(m.filled)
			if had {
				m.drop(old)
			}
			return nil
		}
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			m.drop(v)
			return ctx.Err()
		case <-m.emptied:
		}
	}
}

// End returns the error given to Close once no value waits or will come; nil before.
func (m *Mailbox[T]) End() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full || !m.closed {
		return nil
	}
	return m.err
}

// Take takes the value that waits, if one does.
func (m *Mailbox[T]) Take() (v T, ok bool) {
	m.mu.Lock()
	v, ok = m.value, m.full
	var zero T
	m.value, m.full = zero, false
	m.mu.Unlock()
	signal(m.emptied)
	return v, ok
}

// Close says that no more values come, and why, which is not nil. A value that waits can still be
// taken. Only the first call counts.
func (m *Mailbox[T]) Close(err error) {
	m.mu.Lock()
	if !m.closed {
		m.closed, m.err = true, err
	}
	m.mu.Unlock()
	signal(m.filled)
	signal(m.emptied)
}

// Skipped is the number of values that a newer one replaced.
func (m *Mailbox[T]) Skipped() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.skipped
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
