package watchdog

import (
	"context"
	"sync"
	"sync/atomic"
)

// Pulse is the sign of life of one part. Its methods may be called from anywhere.
type Pulse struct {
	name  string
	beats atomic.Uint64 // even while the part rests
	seen  uint64        // beats when last looked at
	still int           // looks in a row that saw no beat
}

// Beat says that the part moves, and wakes it when it rested.
func (p *Pulse) Beat() {
	// By one or two to the next odd number.
	for {
		n := p.beats.Load()
		if p.beats.CompareAndSwap(n, n+1+n&1) {
			return
		}
	}
}

// Rest says that the part has nothing to do until it beats again: it waits for a
// picture, or for its turn.
func (p *Pulse) Rest() {
	for {
		n := p.beats.Load()
		if p.beats.CompareAndSwap(n, n+2-n&1) {
			return
		}
	}
}

// Context is ctx for calls that take long: each question whether to go on, a call of
// its Err, is a beat. Who can be cancelled anywhere so shows everywhere that it lives.
// Contexts made of it by package context do not beat.
func (p *Pulse) Context(ctx context.Context) context.Context { return beating{ctx, p} }

type beating struct {
	context.Context
	pulse *Pulse
}

func (b beating) Err() error {
	b.pulse.Beat()
	return b.Context.Err()
}

// Watchdog looks at the pulses of parts. The zero value has none.
type Watchdog struct {
	mu    sync.Mutex
	parts []*Pulse
}

// Watch adds a part, which rests; name is what people read when it froze.
func (w *Watchdog) Watch(name string) *Pulse {
	p := &Pulse{name: name}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parts = append(w.parts, p)
	return p
}

// Forget ends the watch over a part that is no more.
func (w *Watchdog) Forget(p *Pulse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, q := range w.parts {
		if q == p {
			w.parts = append(w.parts[:i:i], w.parts[i+1:]...)
			return
		}
	}
}

// patience is how many looks may see a part neither beat nor rest before it is frozen.
// Looks are counted rather than time: a machine that slept, or a process that was
// stopped, took the looks with it.
const patience = 2

// look names the parts that are frozen.
func (w *Watchdog) look() (frozen []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.parts {
		n := p.beats.Load()
		if n != p.seen || n%2 == 0 {
			p.seen, p.still = n, 0
			continue
		}
		if p.still++; p.still >= patience {
			frozen = append(frozen, p.name)
		}
	}
	return frozen
}
