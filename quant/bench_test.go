package quant

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// cpuTime returns the processor time of this process: on a shared machine it says
// more about the code than the clock does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMul sweeps formats, shapes and numbers of vectors on one core. GOP/cpu-s
// counts a multiplication and an addition per weight and vector.
func BenchmarkMul(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range allTypes {
		for _, dim := range [][2]int{{256, 256}, {768, 768}, {2048, 2048}} {
			m := randomMatrix(b, r, typ, dim[0], dim[1])
			for _, n := range []int{1, 2, 4, 8, 64} {
				b.Run(fmt.Sprintf("%v/%dx%d/n=%d", typ, dim[0], dim[1], n), func(b *testing.B) {
					s := NewScratch(nil)
					x := randoms(r, n*dim[1])
					dst := make([]float32, n*dim[0])
					m.Mul(s, dst, x, n)
					b.ReportAllocs()
					start := cpuTime()
					for b.Loop() {
						m.Mul(s, dst, x, n)
					}
					ops := 2 * float64(dim[0]) * float64(dim[1]) * float64(n) * float64(b.N)
					b.ReportMetric(ops/float64(cpuTime()-start), "GOP/cpu-s")
				})
			}
		}
	}
}

// BenchmarkCompensate measures the parts of calibrated rounding at the widths of a 1.6B
// model: taking in a vector, the factor, and a row tile of int4.
func BenchmarkCompensate(b *testing.B) {
	pool := NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for _, cols := range []int{2048, 7168} {
		const n = hessianWaiting
		x, w := randoms(r, n*cols), randoms(r, tile*cols)
		s := NewScratch(pool)
		var c *Compensation
		b.Run(fmt.Sprintf("%d/vectors", cols), func(b *testing.B) {
			h := NewHessian(cols, s)
			for b.Loop() {
				h.Add(x, n)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/vector")
		})
		b.Run(fmt.Sprintf("%d/factor", cols), func(b *testing.B) {
			for b.Loop() {
				h := NewHessian(cols, s)
				h.Add(x, n)
				var err error
				if c, err = NewCompensation(h); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/tile", cols), func(b *testing.B) {
			d, sc, g, _ := P4.PackedSize(tile, cols)
			data, scale, group := make([]byte, d), make([]byte, sc), make([]byte, g)
			p := c.NewPacker()
			for b.Loop() {
				if _, err := p.Pack(P4, data, scale, group, w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
