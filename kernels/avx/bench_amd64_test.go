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

func BenchmarkWKV6(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const heads, size, steps = 32, 64, 16
	c := heads * size
	x, u, y, state := randoms(b, r, steps*c), randoms(b, r, c), make([]float32, steps*c), randoms(b, r, c*size)
	w := make([]float32, steps*c)
	for i := range w {
		w[i] = 0.9
	}
	elements := float64(c * size)
	rate(b, "step/portable", "Gelem/s", elements, func() { portable.WKV6Step(y[:c], state, x[:c], x[:c], x[:c], w[:c], u, heads, size) })
	rate(b, "step/avx2", "Gelem/s", elements, func() { WKV6Step(y[:c], state, x[:c], x[:c], x[:c], w[:c], u, heads, size) })
	rate(b, "many/portable", "Gelem/s", steps*elements, func() { portable.WKV6(y, state, x, x, x, w, u, steps, c, heads, size) })
	rate(b, "many/avx2", "Gelem/s", steps*elements, func() { WKV6(y, state, x, x, x, w, u, steps, c, heads, size) })
	rate(b, "read/portable", "Gelem/s", elements, func() { portable.StateRead(y[:c], state, x[:c], heads, size) })
	rate(b, "read/avx2", "Gelem/s", elements, func() { StateRead(y[:c], state, x[:c], heads, size) })
	if hasVNNI {
		rate(b, "step/avx512", "Gelem/s", elements, func() { WKV6Step512(y[:c], state, x[:c], x[:c], x[:c], w[:c], u, heads, size) })
		rate(b, "many/avx512", "Gelem/s", steps*elements, func() { WKV6x512(y, state, x, x, x, w, u, steps, c, heads, size) })
		rate(b, "read/avx512", "Gelem/s", elements, func() { StateRead512(y[:c], state, x[:c], heads, size) })
	}
}
