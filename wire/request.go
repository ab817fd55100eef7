package wire

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	maxPending = 256 << 10 // of the text of an answer that a slow client has not taken
	maxMatch   = 1024      // of a regular expression
)

// request is one request in flight and the callbacks that its handler gets.
type request struct {
	s      *session
	id     uint64
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	over    bool
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
	if need := needs(m); r.s.role < need {
		return Errorf(CodeDenied, "%s needs the role %s, yours is %s", m.Kind(), need, r.s.role)
	}
	final, err := r.answer(m)
	if err != nil {
		return r.s.asError(err)
	}
	return final
}

func (r *request) answer(m Message) (Message, error) {
	h, ctx := r.s.h, r.ctx
	switch m := m.(type) {
	case *GetStatus:
		return h.Status(ctx)
	case *GetScenes:
		return h.Scenes(ctx)
	case *Watch:
		err := h.Watch(ctx, m, r.emit)
		if ctx.Err() != nil {
			err = r.s.stop.Err() // nil: the client canceled
		}
		return new(End), err
	case *Search:
		return r.search(m)
	case *Ask:
		return r.ask(m)
	case *GetSnapshots:
		return h.Snapshots(ctx, m)
	case *Admin:
		return new(Done), h.Admin(ctx, m)
	}
	return nil, Errorf(CodeRequest, "%s is not possible now", m.Kind()) // a second hello
}

func (r *request) search(m *Search) (Message, error) {
	if m.Limit <= 0 || m.Limit > MaxFound {
		m.Limit = MaxFound
	}
	if len(m.Match) > maxMatch {
		return nil, Errorf(CodeRequest, "the regular expression has %d bytes, more than %d", len(m.Match), maxMatch)
	}
	var match *regexp.Regexp
	if m.Match != "" {
		var err error
		if match, err = regexp.Compile(m.Match); err != nil {
			return nil, Errorf(CodeRequest, "%v", err)
		}
	}
	next, err := r.s.h.Search(r.ctx, m, match, r.emit)
	return &End{Next: next}, err
}

func (r *request) ask(m *Ask) (Message, error) {
	switch n := len(m.Question); {
	case strings.TrimSpace(m.Question) == "":
		return nil, Errorf(CodeRequest, "the question is empty")
	case n > r.s.o.MaxQuestion:
		return nil, Errorf(CodeRequest, "the question has %d bytes, more than %d", n, r.s.o.MaxQuestion)
	}
	ctx := r.ctx
	if d := time.Duration(m.Deadline * float64(time.Millisecond)); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, Errorf(CodeDeadline, "there was no answer within %v", d))
		defer cancel()
	}
	a, err := r.s.h.Ask(ctx, m, r.piece)
	if e, ok := context.Cause(ctx).(*Error); ok && err != nil && r.ctx.Err() == nil {
		err = e
	}
	return a, err
}

// emit is the callback of a watch and of a search.
func (r *request) emit(e *Event) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return r.s.conn.Send(r.ctx, r.id, e)
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
