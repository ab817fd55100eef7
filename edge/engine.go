package edge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
)

// errTakenBack is why a scene or a question has to do without the model that it used.
var errTakenBack = errors.New("the model is taken back")

// engine is a model with those who use it: scenes, and questions that are being answered.
// It outlives none of them (see [Daemon.Release]).
type engine struct {
	Model
	name    string // a copy: what the model returns may lie in its file
	title   string // name, and which model of that name it is
	backend string
	hash    [32]byte

	users sync.WaitGroup // see [scene.use]

	ctx  context.Context // ends when its users are to end
	stop context.CancelFunc

	mu      sync.Mutex
	streams []Stream // of questions, not in use; made when needed, one for each question answered at a time

	// A model on trial proves itself with a caption. Until then its errors end no scene, and what hangs in it is left
	// alone (see [tried]).
	trial  bool
	looked atomic.Bool   // it was shown a frame set
	proof  chan struct{} // closed when proved is there
	once   sync.Once
	proved error
}

func newEngine(m Model, trial bool) *engine {
	e := &engine{Model: m, name: strings.Clone(m.Name()), backend: m.Backend(), hash: m.Fingerprint(), trial: trial, proof: make(chan struct{})}
	if e.title = e.name; m.Origin() != "" {
		e.title += " (" + m.Origin() + ")"
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	if !trial {
		e.settle(nil)
	}
	return e
}

// settle says what became of the trial. The first word counts.
func (e *engine) settle(err error) {
	e.once.Do(func() {
		e.proved = err
		close(e.proof)
	})
}

// forgives is told of an error of the model and says whether the scene goes on all the same:
// while the model is on trial, and when it has failed, since another will take its place.
func (e *engine) forgives(err error) bool {
	e.settle(err)
	return e.proved != nil
}

// settled reports whether it is known what became of the trial.
func (e *engine) settled() bool {
	select {
	case <-e.proof:
		return true
	default:
		return false
	}
}

// failed reports whether the model was on trial and is not to be used any more, and good whether it has proved
// itself.
func (e *engine) failed() bool { return e.settled() && e.proved != nil }
func (e *engine) good() bool   { return e.settled() && e.proved == nil }

// bound returns ctx, which ends with the engine too. free is to be called when it is needed
// no longer.
func (e *engine) bound(ctx context.Context) (_ context.Context, free func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	unbind := context.AfterFunc(e.ctx, func() { cancel(errTakenBack) })
	return ctx, func() {
		unbind()
		cancel(nil)
	}
}

func (e *engine) stream() (Stream, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.streams); n > 0 {
		s := e.streams[n-1]
		e.streams = e.streams[:n-1]
		return s, nil
	}
	return e.NewStream()
}

// putBack takes back what stream gave, unless that is in use for ever.
func (e *engine) putBack(s Stream) {
	if t, ok := s.(*tried); ok && t.left.Load() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streams = append(e.streams, s)
}
