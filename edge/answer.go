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
	turns *turns
	limit int64

	waiting atomic.Int64 // questions taken in and not answered

	mu     sync.Mutex // guards what follows, and busy.Add against stop
	closed bool
	busy   sync.WaitGroup

	ctx    context.Context // ends with the daemon
	cancel context.CancelFunc
}

// defaultQuestions lets sixteen clients ask a few each.
const defaultQuestions = 64

func newAnswerer(t *turns, limit int) *answerer {
	if limit <= 0 {
		limit = defaultQuestions
	}
	return &answerer{turns: t, limit: int64(limit)}
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
	scene  *scene
	text   string
	prompt string // for a caption
	at     int64  // see [past.recall]
	diff   int64  // compared with an earlier memory; 0: with none

	// span is what the log adds, and the text with it; nil: nothing.
	span func(context.Context, Model, *memory.Snapshot) (*wire.Span, string, error)
}

// ask answers q from what its scene remembers when its turn comes.
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
	from, err := q.scene.use()
	if err != nil {
		return nil, err
	}
	defer from.letGo()
	ctx, free := from.model.bound(ctx)
	defer free()
	snap, err := from.recall(q.at)
	if err != nil {
		return nil, err
	}
	var then *memory.Snapshot
	if q.diff != 0 {
		if then, err = from.recall(q.diff); err != nil {
			return nil, err
		}
	}
	stream, err := from.model.stream()
	if err != nil {
		return nil, err
	}
	defer from.model.putBack(stream)
	r := &wire.Answer{Scene: q.scene.cfg.Name, Time: snap.Time.UnixMilli(), Frame: int64(snap.Frame), AgeMS: ms(from.age(snap.Info))}
	text := q.text
	if q.span != nil {
		if r.Span, text, err = q.span(ctx, from.model, snap); err != nil {
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
		c := &wire.Change{Time: then.Time.UnixMilli(), Frame: int64(then.Frame), AgeMS: ms(from.age(then.Info))}
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

// why tells the end of the daemon, and of a model, from the end of the request.
func (a *answerer) why(ctx context.Context) error {
	switch {
	case a.ctx.Err() != nil:
		return wire.Errorf(wire.CodeClosing, "the daemon is stopping")
	case context.Cause(ctx) == errTakenBack:
		return wire.Errorf(wire.CodeBusy, "the model was exchanged meanwhile; ask again")
	}
	return ctx.Err()
}
