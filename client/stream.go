package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/visualrwkv/edged/wire"
)

// Watch yields the events of a scene, or of all (nil), from w.From or from now on.
// It ends without an error when there will be no more, else with one error: ctx's, the
// server's or the connection's. A loop may be as slow as it likes where the server keeps
// events; where it does not, Event.Dropped counts those that were lost.
func (c *Client) Watch(ctx context.Context, w *wire.Watch) iter.Seq2[*wire.Event, error] {
	return func(yield func(*wire.Event, error) bool) {
		var own wire.Watch
		if w != nil {
			own = *w
		}
		err := errLate
		for err == errLate {
			if err = c.catchUp(ctx, &own, yield); err == nil {
				err = c.watch(ctx, &own, yield)
			}
		}
		if err != nil && err != errStop {
			yield(nil, err)
		}
	}
}

var (
	errStop = errors.New("the loop was left")
	errLate = errors.New("events did not fit into the queue; the server has them")
)

// catchUp yields the events from w.From on that the server has, and moves w.From
// behind them. They are searched, as a search goes at the pace of the loop.
func (c *Client) catchUp(ctx context.Context, w *wire.Watch, yield func(*wire.Event, error) bool) error {
	if w.From == 0 || !c.welcome.Log {
		return nil
	}
	first := w.From
	for e, err := range c.Search(ctx, &wire.Search{Scene: w.Scene, Lang: w.Lang, From: first}) {
		if _, ok := errors.AsType[*wire.Error](err); ok && w.From == first {
			return nil // the log cannot be searched now; the watch may still have them
		}
		if err != nil {
			return err
		}
		w.From = e.Seq + 1
		if !yield(e, nil) {
			return errStop
		}
	}
	return nil
}

// watch yields what a watch gives and moves w.From behind that.
func (c *Client) watch(ctx context.Context, w *wire.Watch, yield func(*wire.Event, error) bool) error {
	q, err := c.start(ctx, w)
	if err != nil {
		return err
	}
	defer c.end(q)
	for {
		m, err := q.next(ctx)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Event:
			if m.Seq > 0 {
				w.From = m.Seq + 1
			}
			if !yield(m, nil) {
				return errStop
			}
		case *wire.End:
			return nil
		default:
			return fmt.Errorf("%w: %s in a watch", wire.ErrFormat, m.Kind())
		}
	}
}

// Search yields events that the server keeps: all that s is about, or s.Limit of
// them if that is not 0. It ends as Watch does.
func (c *Client) Search(ctx context.Context, s *wire.Search) iter.Seq2[*wire.Event, error] {
	return func(yield func(*wire.Event, error) bool) {
		page, left := *s, s.Limit
		for {
			if page.Limit = maxEvents; left > 0 {
				page.Limit = min(left, maxEvents)
			}
			if s.Newest {
				page.Limit = s.Limit
			}
			found, next, err := c.page(ctx, &page)
			for _, e := range found {
				if !yield(e, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if left -= int64(len(found)); next == 0 || s.Limit > 0 && left <= 0 {
				return
			}
			page.From = next
		}
	}
}

// page does one search.
func (c *Client) page(ctx context.Context, s *wire.Search) (found []*wire.Event, next uint64, err error) {
	q, err := c.start(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	defer c.end(q)
	for {
		m, err := q.next(ctx)
		if err != nil {
			return found, 0, err
		}
		switch m := m.(type) {
		case *wire.Event:
			found = append(found, m)
		case *wire.End:
			return found, m.Next, nil
		default:
			return found, 0, fmt.Errorf("%w: %s in a search", wire.ErrFormat, m.Kind())
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
// the part that has the Answer, or with one error. A deadline of ctx is told to the
// server, unless the question has one of its own.
func (c *Client) Ask(ctx context.Context, a *wire.Ask) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		own := *a
		if t, ok := ctx.Deadline(); ok && own.Deadline == 0 {
			own.Deadline = max(1, float64(time.Until(t).Milliseconds()))
		}
		q, err := c.start(ctx, &own)
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
