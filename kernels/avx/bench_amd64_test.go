package avx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/kernels/portable"
)

// rate reports work units (in 1e9) per second of f: of the thread's CPU time, in the
// best of many short runs, so that a busy machine disturbs it little.
func rate(b *testing.B, name, unit string, work float64, f func()) {
	b.Run(name, func(b *testing.B) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		best := math.Inf(1)
		for b.Loop() {
			start := threadTime()
			f()
			best = min(best, threadTime()-start)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(work/1e9/best, unit)
	})
}

func threadTime() float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return float64(t.Nano()) / 1e9
}

func BenchmarkMulPacked(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, cols := range []int{2048, 7168} {
		for _, vectors := range tiles {
			p := newPacked(b, r, 256, cols, vectors)
			dst := make([]float32, vectors*p.rows)
			macs := float64(p.rows * p.cols * p.t)
			run := func(name string, f func()) {
				rate(b, fmt.Sprintf("%d/t=%d/%s", cols, vectors, name), "GMAC/s", macs, f)
			}
			run("p8/portable", func() { p.mul8(dst, p.rows, portable.MulP8) })
			run("p4/portable", func() { p.mul4(dst, p.rows, portable.MulP4) })
			if hasAVX2 {
				run("p8/avx2", func() { p.mul8(dst, p.rows, MulP8) })
				run("p4/avx2", func() { p.mul4(dst, p.rows, MulP4) })
			}
			if hasVNNI {
				run("p8/vnni", func() { p.mul8(dst, p.rows, MulP8VNNI) })
				run("p4/vnni", func() { p.mul4(dst, p.rows, MulP4VNNI) })
			}
		}
	}
}
