package edge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/edge/memory"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

// answerer answers questions from memories, a few at a time and each on a stream
// of its own. More wait in the order in which they came, up to a limit.
type answerer struct {
	model Model
	turns *turns
	limit int64

	waiting atomic.Int64 // questions taken in and not answered

	mu      sync.Mutex // guards what follows, and busy.Add against stop
	streams []Stream   // not in use; made when needed, one for each question answered at a time
	closed  bool
	busy    sync.WaitGroup

	ctx    context.Context // ends with the daemon
	cancel context.CancelFunc
}

// defaultQuestions lets sixteen clients ask a few each.
const defaultQuestions = 64

func newAnswerer(m Model, t *turns, limit int) *answerer {
	if limit <= 0 {
		limit = defaultQuestions
	}
	return &answerer{model: m, turns: t, limit: int64(limit)}
}

func (a *answerer) start(context.Context) error {
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return nil
}

func (a *answerer) stop() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancel()
	a.busy.Wait()
	return nil
}

// enter takes a question in, or says why not.
func (a *answerer) enter() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.ctx == nil {
		return wire.Errorf(wire.CodeClosing, "the daemon is not running")
	}
	if n := a.waiting.Add(1); n > a.limit {
		a.waiting.Add(-1)
		return wire.Errorf(wire.CodeBusy, "%d questions are waiting already, try again in a moment", n-1)
	}
	a.busy.Add(1)
	return nil
}

// question is what an answer needs to know.
type question struct {
	text    string
	prompt  string // for a caption
	from    func() (*memory.Snapshot, error)
	compare func() (*memory.Snapshot, error)                                    // with an earlier memory; nil: with none
	span    func(context.Context, *memory.Snapshot) (*wire.Span, string, error) // what the log adds, and the text with it; nil: nothing
	age     func(memory.Info) time.Duration
}

// ask answers q from what its functions return when its turn comes.
func (a *answerer) ask(ctx context.Context, q *question, piece func(string) error) (*wire.Answer, error) {
	arrived := time.Now()
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.busy.Done()
	defer a.waiting.Add(-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()

	done, err := a.turns.answer(ctx)
	if err != nil {
		return nil, a.why(ctx)
	}
	defer done()
	snap, err := q.from()
	if err != nil {
		return nil, err
	}
	var then *memory.Snapshot
	if q.compare != nil {
		if then, err = q.compare(); err != nil {
			return nil, err
		}
	}
	stream, err := a.stream()
	if err != nil {
		return nil, err
	}
	defer a.putBack(stream)
	r := &wire.Answer{Time: snap.Time.UnixMilli(), Frame: int64(snap.Frame), AgeMS: ms(q.age(snap.Info))}
	text := q.text
	if q.span != nil {
		if r.Span, text, err = q.span(ctx, snap); err != nil {
			return nil, err
		}
	}
	if r.Text, err = a.say(ctx, stream, snap, text, func(p string) error {
		if r.Tokens == 0 {
			r.MS.First = ms(time.Since(arrived))
		}
		r.Tokens++
		return piece(p)
	}); err != nil {
		return nil, err
	}
	if then != nil {
		c := &wire.Change{Time: then.Time.UnixMilli(), Frame: int64(then.Frame), AgeMS: ms(q.age(then.Info))}
		quiet := func(string) error { return nil }
		if c.Now, err = a.say(ctx, stream, snap, q.prompt, quiet); err != nil {
			return nil, err
		}
		if c.Then, err = a.say(ctx, stream, then, q.prompt, quiet); err != nil {
			return nil, err
		}
		c.Gone, c.New = compare(c.Then, c.Now)
		r.Change = c
	}
	r.MS.Total = ms(time.Since(arrived))
	return r, nil
}

// say restores a memory and returns what the model says to the question, stripped.
func (a *answerer) say(ctx context.Context, s Stream, from *memory.Snapshot, question string, piece func(string) error) (string, error) {
	if err := s.Restore(from.Memories[0].State); err != nil {
		return "", err
	}
	var text strings.Builder
	for p, err := range s.Generate(ctx, question) {
		if err != nil {
			switch {
			case ctx.Err() != nil:
				err = a.why(ctx)
			case errors.Is(err, vlm.ErrQuestion):
				err = wire.Errorf(wire.CodeRequest, "%v", err)
			}
			return "", err
		}
		text.WriteString(p)
		if err := piece(p); err != nil {
			return "", err
		}
	}
	return strings.TrimSpace(text.String()), nil
}

func (a *answerer) stream() (Stream, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.streams); n > 0 {
		s := a.streams[n-1]
		a.streams = a.streams[:n-1]
		return s, nil
	}
	return a.model.NewStream()
}

func (a *answerer) putBack(s Stream) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams = append(a.streams, s)
}

// why tells the end of the daemon from the end of the request.
func (a *answerer) why(ctx context.Context) error {
	if a.ctx.Err() != nil {
		return wire.Errorf(wire.CodeClosing, "the daemon is stopping")
	}
	return ctx.Err()
}
