package procmem

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestProcessors: four times as many threads as processors, all of which compute, wait for
// most of the time.
func TestProcessors(t *testing.T) {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		if p := ProcessorsSoFar(); p != (Processors{}) {
			t.Errorf("%v from nowhere", p)
		}
		t.Skip(err)
	}
	n := 4 * runtime.NumCPU()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	var threads sync.WaitGroup
	var stop atomic.Bool
	for range n {
		threads.Go(func() {
			for !stop.Load() {
			}
		})
	}
	before := ProcessorsSoFar()
	time.Sleep(200 * time.Millisecond)
	after := ProcessorsSoFar()
	stop.Store(true)
	threads.Wait()
	if share := after.ShareSince(before); share <= 0 || share > 0.7 {
		t.Errorf("a share of %.2f: %+v, then %+v", share, before, after)
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		ran, waited time.Duration
		want        float64
	}{{3, 1, 0.75}, {5, 0, 1}, {0, 5, 0}, {-1, 0, 0}, {4, -2, 1}} {
		before := Processors{100, 50}
		if got := (Processors{100 + c.ran, 50 + c.waited}).ShareSince(before); got != c.want {
			t.Errorf("ran %d, waited %d: %g, want %g", c.ran, c.waited, got, c.want)
		}
	}
}
