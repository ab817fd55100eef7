package edge

import (
	"context"
	"sync"
	"time"
)

// Texts that are written at the same time: together they fill one pass of the
// model's decoder, which serves eight.
const (
	captionsTogether = 4
	answersTogether  = 4
)

// turns shares the machine among scenes and questions.
//
// Looking, which is towers and encoder, is bound by arithmetic: two scenes that
// look at once take twice as long each. They take turns in the order in which
// they come (a channel's senders are served in order), so that a scene waits for
// one look of each other at most. Texts are bound by memory bandwidth and are
// decoded together; questions have places of their own and never wait for
// captions.
type turns struct {
	looks    chan struct{}
	captions chan struct{}
	answers  chan struct{}

	mu    sync.Mutex
	asked map[chan struct{}]struct{} // one for each question being answered, closed at its end
}

func newTurns() *turns {
	return &turns{
		looks:    make(chan struct{}, 1),
		captions: make(chan struct{}, captionsTogether),
		answers:  make(chan struct{}, answersTogether),
		asked:    map[chan struct{}]struct{}{},
	}
}

// take waits for a place; the caller frees it by receiving.
func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// look waits for the right to look. Questions that are being answered then go
// first, but hold up a scene no longer than its look before took: with any
// number of questions it sees at least half as often as with none.
func (t *turns) look(ctx context.Context, before time.Duration) (done func(), err error) {
	if err := take(ctx, t.looks); err != nil {
		return nil, err
	}
	done = func() { <-t.looks }
	if err := t.yield(ctx, before); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

func (t *turns) yield(ctx context.Context, patience time.Duration) error {
	t.mu.Lock()
	var asked []chan struct{}
	for a := range t.asked {
		asked = append(asked, a)
	}
	t.mu.Unlock()
	if len(asked) == 0 || patience <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for _, a := range asked {
		select {
		case <-a:
		case <-timer.C:
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// answer waits for a place to answer a question.
func (t *turns) answer(ctx context.Context) (done func(), err error) {
	if err := take(ctx, t.answers); err != nil {
		return nil, err
	}
	a := make(chan struct{})
	t.mu.Lock()
	t.asked[a] = struct{}{}
	t.mu.Unlock()
	return func() {
		t.mu.Lock()
		delete(t.asked, a)
		t.mu.Unlock()
		close(a)
		<-t.answers
	}, nil
}
