package edge

import (
	"context"
	"fmt"
	"image"
	"iter"
	"slices"
	"sync/atomic"
	"time"
)

// What hangs.
const (
	// silence is how many looks in a row, one a second, may see no sign of life of a model on trial before it is
	// given up. Between two signs is a layer or a tower, of a model that has captioned a simulated room
	// here. Looks are counted rather than time, as by package watchdog.
	silence = 60

	// letGo is how long what was told to end is waited for before it is left alone.
	letGo = 500 * time.Millisecond
)

// leftAlone is an error of what still runs: what it was given is not to be used again.
type leftAlone struct{ error }

func (l leftAlone) Unwrap() error { return l.error }

// tried is a stream of a model on trial. Until that has proved itself a goroutine of its own does what the stream
// is asked for, and is left alone when it hangs: scenes go on with another model, and questions end. It remains
// a user of the model, which is not closed then.
type tried struct {
	Stream
	e    *engine
	left atomic.Bool // the stream is in use for ever
}

// NewStream implements [Model].
func (e *engine) NewStream() (Stream, error) {
	s, err := e.Model.NewStream()
	if err != nil || !e.trial {
		return s, err
	}
	return &tried{Stream: s, e: e}, nil
}

// signs counts how often who was given it asks whether to go on: each time is a sign of life.
type signs struct {
	context.Context
	asked atomic.Uint64
}

func (s *signs) Err() error {
	s.asked.Add(1)
	return s.Context.Err()
}

// await runs f, which is given ctx, and returns nil when that has returned. Else it still runs, and its results are not to be
// looked at: ctx has ended, or f hangs, which ends the trial. Should f return all the same, late is called.
func (s *tried) await(ctx *signs, f, late func()) error {
	if s.left.Load() {
		return leftAlone{errTakenBack}
	}
	if s.e.good() {
		f()
		return nil
	}
	done := make(chan struct{})
	var decided atomic.Bool // by who comes first: f returns, or is left alone
	s.e.users.Add(1)        // as who waits here is one, too, nobody waits for the last one yet
	go func() {
		defer s.e.users.Done()
		defer close(done)
		if f(); decided.Swap(true) {
			late()
		}
	}()
	leave := func(why error) error {
		if decided.Swap(true) {
			<-done
			return nil
		}
		s.left.Store(true)
		return leftAlone{why}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for silent, seen := 0, uint64(0); ; {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			select {
			case <-done:
				return nil
			case <-time.After(letGo):
				return leave(ctx.Context.Err())
			}
		case <-tick.C:
		}
		err := ctx.Context.Err() // of which a watchdog hears that this goroutine moves
		if n := ctx.asked.Load(); n != seen || err != nil {
			silent, seen = 0, n
			continue
		}
		if silent++; silent == silence {
			why := fmt.Errorf("it hangs: no sign of life for %v", silence*time.Second)
			err := leave(why)
			if err != nil {
				s.e.settle(why)
			}
			return err
		}
	}
}

func nothing() {}

// See implements [Stream].
func (s *tried) See(ctx context.Context, views []image.Image) (vision, encode time.Duration, err error) {
	var r struct {
		vision, encode time.Duration
		err            error
	}
	life := &signs{Context: ctx}
	views = slices.Clone(views) // who calls uses it again
	if err := s.await(life, func() { r.vision, r.encode, r.err = s.Stream.See(life, views) }, nothing); err != nil {
		return 0, 0, err
	}
	return r.vision, r.encode, r.err
}

// SeeWith implements [Stream].
func (s *tried) SeeWith(ctx context.Context, o Stream) (encode time.Duration, err error) {
	var r struct {
		encode time.Duration
		err    error
	}
	life := &signs{Context: ctx}
	if err := s.await(life, func() { r.encode, r.err = s.Stream.SeeWith(life, o.(*tried).Stream) }, nothing); err != nil {
		return 0, err
	}
	return r.encode, r.err
}

// Answers implements [Stream].
func (s *tried) Answers(ctx context.Context, questions []string) ([]string, error) {
	var r struct {
		texts []string
		err   error
	}
	life := &signs{Context: ctx}
	questions = slices.Clone(questions)
	if err := s.await(life, func() { r.texts, r.err = s.Stream.Answers(life, questions) }, nothing); err != nil {
		return nil, err
	}
	return r.texts, r.err
}

// Generate implements [Stream].
func (s *tried) Generate(ctx context.Context, question string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		life := &signs{Context: ctx}
		next, stop := iter.Pull2(s.Stream.Generate(life, question))
		for {
			var r struct {
				piece string
				err   error
				more  bool
			}
			if err := s.await(life, func() { r.piece, r.err, r.more = next() }, stop); err != nil {
				yield("", err)
				return
			}
			if !r.more || !yield(r.piece, r.err) {
				_ = s.await(life, stop, nothing) // what is left alone there has said all
				return
			}
		}
	}
}

// Restore implements [Stream]. What is in use for ever is not changed.
func (s *tried) Restore(snapshot []byte) error {
	if s.left.Load() {
		return leftAlone{errTakenBack}
	}
	return s.Stream.Restore(snapshot)
}
