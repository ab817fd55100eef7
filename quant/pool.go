package quant

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/internal/fault"
)

// Pool is a set of goroutines that help whoever calls Run. Nothing spins at a
// barrier, so a neighbour that takes a core costs its share and no more: who has
// nothing to do looks around for as long as waking a parked goroutine would take,
// then parks. Run may be called from several goroutines at once, and from within a
// strip. A nil *Pool is valid: the caller does all the work.
type Pool struct {
	mu     sync.Mutex
	wake   sync.Cond // a job was added, or the pool was closed
	active []*job    // jobs that may have strips left
	idle   []*job    // jobs to use again
	closed bool

	news atomic.Uint32 // changes with everything that wake tells; under mu

	workers int
	stopped sync.WaitGroup
}

// job is one call of Run in progress.
type job struct {
	f      func(int)
	done   <-chan struct{}
	strips int64
	next   atomic.Int64 // first strip nobody has taken

	helpers atomic.Int32 // workers inside the job; changed under Pool.mu
	left    sync.Cond    // helpers became 0
}

// pollFor is how long a goroutine looks for news before it parks: what waking it
// would cost, tens of microseconds, so that waiting never costs more than twice the
// better choice. Products of one token follow each other in a few microseconds;
// workers that park in between sleep through most of them.
const pollFor = 50 * time.Microsecond

// poll calls done until it returns true, or for pollFor.
func poll(done func() bool) bool {
	for start := time.Now(); !done(); {
		if time.Since(start) > pollFor {
			return false
		}
	}
	return true
}

// NewPool starts a pool in which up to workers goroutines compute, the caller of
// Run included. workers < 1 means one per CPU that the process may use.
func NewPool(workers int) *Pool {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &Pool{workers: workers}
	p.wake.L = &p.mu
	p.stopped.Add(workers - 1)
	for range workers - 1 {
		go p.work()
	}
	return p
}

// Workers returns the number of goroutines that share a Run, the caller included;
// 1 for a nil pool.
func (p *Pool) Workers() int {
	if p == nil {
		return 1
	}
	return p.workers
}

// Close stops the workers and returns when they are gone. A Run in progress is
// completed by its caller, and so is every later one. Close may be called again.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.closed = true
	p.news.Add(1)
	p.wake.Broadcast()
	p.mu.Unlock()
	p.stopped.Wait()
}

// Run calls f once for every strip in [0, strips) and returns when all calls have
// returned. Strips are taken in order by whoever is free, so a faster core takes
// more of them. Run does not allocate, and neither keeps f.
func (p *Pool) Run(strips int, f func(strip int)) { p.RunUntil(nil, strips, f) }

// RunUntil is Run, but once done is closed no further strip is begun: what the strips
// compute is then incomplete. Calls in progress are waited for.
func (p *Pool) RunUntil(done <-chan struct{}, strips int, f func(strip int)) {
	if p == nil || p.workers == 1 || strips <= 1 {
		for i := range strips {
			if closed(done) {
				return
			}
			f(i)
		}
		return
	}
	j := p.add(done, strips, f)
	defer p.remove(j)
	j.run()
}

func (p *Pool) add(done <-chan struct{}, strips int, f func(int)) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	var j *job
	if n := len(p.idle); n > 0 {
		j, p.idle = p.idle[n-1], p.idle[:n-1]
	} else {
		j = &job{}
		j.left.L = &p.mu
	}
	j.f, j.done, j.strips = f, done, int64(strips)
	j.next.Store(0)
	p.active = append(p.active, j)
	p.news.Add(1)
	for range min(strips, p.workers) - 1 {
		p.wake.Signal()
	}
	return j
}

// remove keeps further helpers away, waits for those inside, and frees the job.
func (p *Pool) remove(j *job) {
	p.mu.Lock()
	for i, a := range p.active {
		if a == j {
			last := len(p.active) - 1
			p.active[i], p.active[last] = p.active[last], nil
			p.active = p.active[:last]
			break
		}
	}
	j.next.Store(j.strips) // f may have panicked in the caller
	p.mu.Unlock()
	poll(func() bool { return j.helpers.Load() == 0 })
	p.mu.Lock()
	for j.helpers.Load() > 0 {
		j.left.Wait()
	}
	j.f, j.done = nil, nil
	p.idle = append(p.idle, j)
	p.mu.Unlock()
}

func (j *job) run() {
	for {
		i := j.next.Add(1) - 1
		if i >= j.strips {
			return
		}
		if closed(j.done) {
			j.next.Store(j.strips)
			return
		}
		j.f(int(i))
	}
}

// closed reports whether done was closed, in a few nanoseconds; nil never is.
func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// work is the life of a worker.
func (p *Pool) work() {
	defer p.stopped.Done()
	defer fault.Explain(debug.SetPanicOnFault(true))
	p.mu.Lock() // which is not held where a strip panics
	for !p.closed {
		j := p.pick()
		if j == nil {
			old := p.news.Load()
			p.mu.Unlock()
			poll(func() bool { return p.news.Load() != old })
			p.mu.Lock()
			if p.news.Load() == old {
				p.wake.Wait()
			}
			continue
		}
		j.helpers.Add(1)
		p.mu.Unlock()
		j.run()
		p.mu.Lock()
		if j.helpers.Add(-1) == 0 {
			j.left.Signal()
		}
	}
	p.mu.Unlock()
}

// pick returns a job with strips left; the oldest, since its caller waits longest.
func (p *Pool) pick() *job {
	for _, j := range p.active {
		if j.next.Load() < j.strips {
			return j
		}
	}
	return nil
}
