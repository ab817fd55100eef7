package wire

import (
	"context"
	"strings"
	"sync"
	"time"
)

// maxPending bounds the text of an answer that a slow client has not taken.
const maxPending = 256 << 10

// request is one request in flight and the callbacks that its handler gets.
type request struct {
	s      *session
	id     uint64
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	over    bool
	dropped int64  // events since the last that was sent
	pending string // text of pieces that were not sent
}

// run lets the handler do the request and sends its end.
func (r *request) run(m Message) {
	defer r.cancel()
	final := r.handle(m)

	r.mu.Lock()
	r.over = true
	pending := r.pending
	r.mu.Unlock()

	// The client may use the id again as soon as it has the end.
	s := r.s
	s.mu.Lock()
	delete(s.active, r.id)
	s.last = time.Now()
	s.mu.Unlock()

	// Not with r.ctx: a canceled request has an end too. A client that does not
	// read ends the connection, and with it this.
	ctx := context.Background()
	if _, ok := final.(*Answer); ok && pending != "" {
		if s.conn.Send(ctx, r.id, &Piece{Text: pending}) != nil {
			return
		}
	}
	err := s.conn.Send(ctx, r.id, final)
	if err != nil {
		// A message of the handler that cannot be sent still needs an end.
		if s.conn.Send(ctx, r.id, &Error{Code: CodeInternal, Message: strings.ToValidUTF8(err.Error(), "?")}) == nil {
			s.log(err)
		}
	}
}

func (r *request) handle(m Message) Message {
	var final Message
	var err error
	switch m := m.(type) {
	case *GetStatus:
		var st *Status
		st, err = r.s.h.Status(r.ctx)
		final = st
	case *GetScenes:
		var sc *Scenes
		sc, err = r.s.h.Scenes(r.ctx)
		final = sc
	case *Watch:
		err = r.s.h.Watch(r.ctx, m, r.emit)
		if r.ctx.Err() != nil {
			err = r.s.stop.Err() // nil: the client canceled
		}
		final = new(End)
	case *Ask:
		switch n := len(m.Question); {
		case strings.TrimSpace(m.Question) == "":
			err = Errorf(CodeRequest, "the question is empty")
		case n > r.s.o.MaxQuestion:
			err = Errorf(CodeRequest, "the question has %d bytes, more than %d", n, r.s.o.MaxQuestion)
		default:
			var a *Answer
			a, err = r.s.h.Ask(r.ctx, m, r.piece)
			final = a
		}
	default: // a second hello
		err = Errorf(CodeRequest, "%s is not possible now", m.Kind())
	}
	if err != nil {
		return r.s.asError(err)
	}
	return final
}

// emit is the callback of a watch.
func (r *request) emit(e *Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return errOver
	}
	ev := *e
	ev.Dropped += r.dropped
	err := r.s.conn.TrySend(r.id, &ev)
	switch err {
	case nil:
		r.dropped = 0
	case ErrFull:
		r.dropped++
		return nil
	}
	return err
}

// piece is the callback of a question.
func (r *request) piece(text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return errOver
	}
	if len(r.pending)+len(text) > maxPending {
		return Errorf(CodeBusy, "the client does not take the answer")
	}
	r.pending += text
	if r.pending == "" {
		return nil
	}
	err := r.s.conn.TrySend(r.id, &Piece{Text: r.pending})
	switch err {
	case nil:
		r.pending = ""
	case ErrFull:
		return nil
	}
	return err
}
