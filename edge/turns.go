package edge

import (
	"context"
	"sync"
	"time"

	"github.com/visualrwkv/edged/camera"
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
	captions chan struct{} // a place for each text
	places   chan struct{} // the right to take some of captions
	answers  chan struct{}

	duty func() float64 // share of the time for work, in (0, 1]

	mu      sync.Mutex                 // guards what follows
	asked   map[chan struct{}]struct{} // one for each question being answered, closed at its end
	working int                        // looks, texts and answers being made
	counted time.Time                  // up to then work is in rest
	rest    time.Time                  // until then nobody looks
}

// longestRest bounds how long a device that is too hot sees nothing, and what rest it owes.
const longestRest = time.Minute

func newTurns(duty func() float64) *turns {
	return &turns{
		duty:     duty,
		looks:    make(chan struct{}, 1),
		captions: make(chan struct{}, captionsTogether),
		places:   make(chan struct{}, 1),
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
	if err := t.yield(ctx, before); err != nil {
		<-t.looks
		return nil, err
	}
	if err := t.cool(ctx); err != nil {
		<-t.looks
		return nil, err
	}
	rest := t.work()
	return func() {
		rest()
		<-t.looks
	}, nil
}

// caption waits for the right to write n texts at the same time: for places for all of them,
// or all places where there are fewer. One scene at a time takes places, so that no two wait
// for those of each other.
func (t *turns) caption(ctx context.Context, n int) (done func(), err error) {
	if err := take(ctx, t.places); err != nil {
		return nil, err
	}
	defer func() { <-t.places }()
	taken := 0
	free := func() {
		for range taken {
			<-t.captions
		}
	}
	for range min(n, captionsTogether) {
		if err := take(ctx, t.captions); err != nil {
			free()
			return nil, err
		}
		taken++
	}
	rest := t.work()
	return func() {
		rest()
		free()
	}, nil
}

// work begins work that lasts until done. However many work at the same time, the machine is at work then:
// at a duty of a quarter it owes three times as long of rest, in which it does not work.
func (t *turns) work() (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.account()
	t.working++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.account()
		t.working--
	}
}

// account adds to the rest what is owed for the time since it was called last. It is called with mu held.
func (t *turns) account() {
	now := time.Now()
	if t.working > 0 {
		if t.rest.Before(t.counted) {
			t.rest = t.counted
		}
		t.rest = t.rest.Add(time.Duration(float64(now.Sub(t.counted)) / t.duty()))
		if latest := now.Add(longestRest); t.rest.After(latest) {
			t.rest = latest
		}
	}
	t.counted = now
}

// cool waits until the device has rested, but not for answers without end. It asks ctx every second, which
// tells whoever watches over it that it lives.
func (t *turns) cool(ctx context.Context) error {
	latest := time.Now().Add(longestRest)
	for {
		t.mu.Lock()
		until := t.rest
		t.mu.Unlock()
		if until.After(latest) {
			until = latest
		}
		d := time.Until(until)
		if d <= 0 {
			return ctx.Err()
		}
		if err := camera.SleepUntil(ctx, time.Now().Add(min(d, time.Second))); err != nil {
			return err
		}
	}
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
	rest := t.work()
	a := make(chan struct{})
	t.mu.Lock()
	t.asked[a] = struct{}{}
	t.mu.Unlock()
	return func() {
		t.mu.Lock()
		delete(t.asked, a)
		t.mu.Unlock()
		close(a)
		rest()
		<-t.answers
	}, nil
}
