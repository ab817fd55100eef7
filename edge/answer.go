package edge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/wire"
)

// answerer answers one question at a time from snapshots, on a stream of its
// own. Questions wait in the order of the lock, no more than a few.
type answerer struct {
	model  Model
	newest func() *snapshot
	limit  int64

	waiting atomic.Int64  // questions taken in and not answered
	turn    chan struct{} // holds one token: the right to use stream
	stream  Stream        // made with the first question

	ctx    context.Context // ends with the daemon
	cancel context.CancelFunc
	busy   sync.WaitGroup
	mu     sync.Mutex // guards busy.Add against stop
	closed bool
}

const defaultQuestions = 8

func newAnswerer(m Model, newest func() *snapshot, limit int) *answerer {
	if limit <= 0 {
		limit = defaultQuestions
	}
	a := &answerer{model: m, newest: newest, limit: int64(limit), turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	return a
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

// ask answers from the snapshot that is newest when its turn comes.
func (a *answerer) ask(ctx context.Context, question string, piece func(string) error) (*wire.Answer, error) {
	arrived := time.Now()
	if err := a.enter(); err != nil {
		return nil, err
	}
	defer a.busy.Done()
	defer a.waiting.Add(-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()

	select {
	case <-ctx.Done():
		return nil, a.why(ctx)
	case <-a.turn:
	}
	defer func() { a.turn <- struct{}{} }()

	snap := a.newest()
	if snap == nil {
		return nil, wire.Errorf(wire.CodeNotReady, "nothing has been seen yet")
	}
	if a.stream == nil {
		s, err := a.model.NewStream()
		if err != nil {
			return nil, err
		}
		a.stream = s
	}
	if err := a.stream.Restore(snap.memory); err != nil {
		return nil, err
	}
	r := &wire.Answer{Time: snap.time.UnixMilli(), Frame: int64(snap.number)}
	var text strings.Builder
	for p, err := range a.stream.Answer(ctx, question) {
		if err != nil {
			switch {
			case ctx.Err() != nil:
				err = a.why(ctx)
			case errors.Is(err, vlm.ErrQuestion):
				err = wire.Errorf(wire.CodeRequest, "%v", err)
			}
			return nil, err
		}
		if r.Tokens == 0 {
			r.MS.First = ms(time.Since(arrived))
		}
		r.Tokens++
		text.WriteString(p)
		if err := piece(p); err != nil {
			return nil, err
		}
	}
	r.Text = strings.TrimSpace(text.String())
	r.MS.Total = ms(time.Since(arrived))
	return r, nil
}

// why tells the end of the daemon from the end of the request.
func (a *answerer) why(ctx context.Context) error {
	if a.ctx.Err() != nil {
		return wire.Errorf(wire.CodeClosing, "the daemon is stopping")
	}
	return ctx.Err()
}
