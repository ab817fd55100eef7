package quant

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPoolRunsEachStripOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8} {
		p := NewPool(workers)
		if p.Workers() != workers {
			t.Errorf("%d workers, want %d", p.Workers(), workers)
		}
		for _, strips := range []int{0, 1, 2, 7, 1000} {
			count := make([]atomic.Int32, strips)
			p.Run(strips, func(i int) { count[i].Add(1) })
			for i := range count {
				if n := count[i].Load(); n != 1 {
					t.Fatalf("%d workers: strip %d of %d ran %d times", workers, i, strips, n)
				}
			}
		}
		p.Close()
		p.Close()
		ran := 0
		p.Run(3, func(int) { ran++ }) // by the caller, hence without a race
		if ran != 3 {
			t.Errorf("a closed pool ran %d strips of 3", ran)
		}
	}
	var none *Pool
	ran := 0
	none.Run(4, func(int) { ran++ })
	none.Close()
	if ran != 4 || none.Workers() != 1 {
		t.Errorf("a nil pool ran %d strips of 4 with %d workers", ran, none.Workers())
	}
}

func TestPoolDefaultSize(t *testing.T) {
	p := NewPool(0)
	defer p.Close()
	if p.Workers() != runtime.GOMAXPROCS(0) {
		t.Errorf("%d workers", p.Workers())
	}
}

// TestPoolHelps waits in one strip for another, which only a second goroutine can run.
func TestPoolHelps(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	var both sync.WaitGroup
	both.Add(2)
	p.Run(2, func(int) {
		both.Done()
		both.Wait()
	})
}

// TestPoolStops ends a run while its first strips compute, with helpers and without.
func TestPoolStops(t *testing.T) {
	for _, workers := range []int{1, 3} {
		p := NewPool(workers)
		done := make(chan struct{})
		var once sync.Once
		var ran atomic.Int64
		p.RunUntil(done, 1000, func(int) {
			once.Do(func() { close(done) })
			<-done
			ran.Add(1)
		})
		if n := ran.Load(); n < 1 || n > int64(workers) {
			t.Errorf("%d workers: %d strips ran, want one each at most", workers, n)
		}
		ran.Store(0)
		p.RunUntil(make(chan struct{}), 100, func(int) { ran.Add(1) })
		p.Close()
		if ran.Load() != 100 {
			t.Errorf("%d workers: %d of 100 strips ran after a run that was ended", workers, ran.Load())
		}
	}
}

func TestPoolShared(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var total atomic.Int64
	var callers sync.WaitGroup
	for range 5 {
		callers.Go(func() {
			for range 200 {
				p.Run(7, func(int) {
					p.Run(3, func(int) { total.Add(1) }) // from within a strip
				})
			}
		})
	}
	callers.Wait()
	if got, want := total.Load(), int64(5*200*7*3); got != want {
		t.Errorf("%d strips ran, want %d", got, want)
	}
}

// TestPoolClosedBeside closes the pool while others use it.
func TestPoolClosedBeside(t *testing.T) {
	for range 50 {
		p := NewPool(3)
		var total atomic.Int64
		var callers sync.WaitGroup
		for range 2 {
			callers.Go(func() {
				for range 20 {
					p.Run(5, func(int) { total.Add(1) })
				}
			})
		}
		p.Close()
		callers.Wait()
		if total.Load() != 200 {
			t.Fatalf("%d strips ran, want 200", total.Load())
		}
	}
}

// TestPoolSurvivesPanic: a strip that panics in the caller leaves the pool usable.
func TestPoolSurvivesPanic(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	caller := make(chan struct{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was lost")
			}
		}()
		p.Run(2, func(i int) {
			if i == 0 && onCaller() {
				close(caller)
				panic("strip")
			}
			if i == 0 { // a helper came first: make the caller panic instead
				<-caller
				return
			}
			if onCaller() {
				close(caller)
				panic("strip")
			}
		})
	}()
	ran := atomic.Int32{}
	p.Run(9, func(int) { ran.Add(1) })
	if ran.Load() != 9 {
		t.Errorf("%d strips ran, want 9", ran.Load())
	}
}

// onCaller reports whether the strip runs under the test function.
func onCaller() bool {
	pc := make([]uintptr, 32)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	for {
		f, more := frames.Next()
		if f.Function == "testing.tRunner" {
			return true
		}
		if !more {
			return false
		}
	}
}

func TestPoolDoesNotAllocate(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	f := func(int) {}
	p.Run(8, f)
	if n := testing.AllocsPerRun(200, func() { p.Run(8, f) }); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

func BenchmarkPool(b *testing.B) {
	p := NewPool(2)
	defer p.Close()
	f := func(int) {}
	for b.Loop() {
		p.Run(8, f)
	}
}
