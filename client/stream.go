package client

import (
	"context"
	"fmt"
	"iter"

	"github.com/visualrwkv/edged/wire"
)

// Watch yields the events of a scene, or of all (nil), from now on. It ends without
// an error when there will be no more, else with one error: ctx's, the server's or
// the connection's. A loop that is too slow loses events: Event.Dropped counts them.
func (c *Client) Watch(ctx context.Context, w *wire.Watch) iter.Seq2[*wire.Event, error] {
	if w == nil {
		w = new(wire.Watch)
	}
	return func(yield func(*wire.Event, error) bool) {
		q, err := c.start(ctx, w)
		if err != nil {
			yield(nil, err)
			return
		}
		defer c.end(q)
		for {
			m, err := q.next(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			switch m := m.(type) {
			case *wire.Event:
				if !yield(m, nil) {
					return
				}
			case *wire.End:
				return
			default:
				yield(nil, fmt.Errorf("%w: %s in a watch", wire.ErrFormat, m.Kind()))
				return
			}
		}
	}
}

// Part is what [Client.Ask] yields: text of the answer as it is generated, and at
// the end, with Text empty, the answer.
type Part struct {
	Text   string
	Answer *wire.Answer // nil but in the last part
}

// Ask asks a question and yields the answer as it is generated. The loop ends after
// the part that has the Answer, or with one error.
func (c *Client) Ask(ctx context.Context, a *wire.Ask) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		q, err := c.start(ctx, a)
		if err != nil {
			yield(Part{}, err)
			return
		}
		defer c.end(q)
		for {
			m, err := q.next(ctx)
			if err != nil {
				yield(Part{}, err)
				return
			}
			switch m := m.(type) {
			case *wire.Piece:
				if !yield(Part{Text: m.Text}, nil) {
					return
				}
			case *wire.Answer:
				yield(Part{Answer: m}, nil)
				return
			default:
				yield(Part{}, fmt.Errorf("%w: %s in an answer", wire.ErrFormat, m.Kind()))
				return
			}
		}
	}
}
