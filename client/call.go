package client

import (
	"context"
	"sync"

	"github.com/visualrwkv/edged/wire"
)

// maxEvents is how many events wait for a loop that is busy. What a server keeps is
// asked for again then; what it does not is dropped and counted.
const maxEvents = wire.MaxFound

// call is a request in flight: what has arrived for it and was not yet looked at.
type call struct {
	id   uint64
	kept bool // what does not fit can be asked for again
	wake chan struct{}

	mu      sync.Mutex
	queue   []wire.Message
	dropped int64
	over    bool
	err     error
}

// put adds a message. It never waits: other requests share the connection. What
// comes after the end is not looked at.
func (q *call) put(m wire.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return
	}
	switch m := m.(type) {
	case *wire.Event:
		if len(q.queue) >= maxEvents && q.kept {
			q.over, q.err = true, errLate
			return
		}
		if len(q.queue) >= maxEvents {
			q.dropped += 1 + m.Dropped
			return
		}
		m.Dropped += q.dropped
		q.dropped = 0
	case *wire.Piece:
		if n := len(q.queue); n > 0 {
			if p, ok := q.queue[n-1].(*wire.Piece); ok {
				if len(p.Text)+len(m.Text) <= wire.MaxFrame { // the answer could not be longer
					p.Text += m.Text
				}
				return
			}
		}
	default:
		q.over = true
	}
	q.queue = append(q.queue, m)
	q.poke()
}

func (q *call) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.over {
		q.over, q.err = true, err
		q.poke()
	}
}

func (q *call) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// ended reports whether the server is done with the request.
func (q *call) ended() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.over && q.err != errLate
}

// next waits for a message; an [*wire.Error] among them is the error.
func (q *call) next(ctx context.Context) (wire.Message, error) {
	for {
		m, err := q.take()
		if m != nil || err != nil {
			return m, err
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (q *call) take() (wire.Message, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		return nil, q.err
	}
	m := q.queue[0]
	q.queue[0] = nil
	q.queue = q.queue[1:]
	if e, ok := m.(*wire.Error); ok {
		return nil, e
	}
	return m, nil
}
