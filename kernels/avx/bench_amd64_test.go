package avx

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/visualrwkv/edged/kernels/portable"
)

// rate reports work units (in 1e9) per second of f, in the best of many short runs. It
// takes time from the wall: no interval is shorter than the work in it, so that the best
// run is an honest one. Processor time of a thread was tried and is not to be trusted in
// a virtual machine: now and then an interval comes out far too short, and the best of
// many finds it.
func rate(b *testing.B, name, unit string, work float64, f func()) {
	b.Run(name, func(b *testing.B) {
		best := math.Inf(1)
		for b.Loop() {
			start := time.Now()
			f()
			best = min(best, time.Since(start).Seconds())
		}
		if best <= 0 {
			b.Fatal("the clock stood still")
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(work/1e9/best, unit)
	})
}

func BenchmarkMulPacked(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, cols := range []int{2048, 7168} {
		for _, vectors := range allTiles {
			p := newPacked(b, r, 256, cols, vectors)
			dst := make([]float32, vectors*p.rows)
			macs := float64(p.rows * p.cols * p.t)
			run := func(name string, f func()) {
				rate(b, fmt.Sprintf("%d/t=%d/%s", cols, vectors, name), "GMAC/s", macs, f)
			}
			run("p8/portable", func() { p.mul8(dst, p.rows, portable.MulP8) })
			run("p4/portable", func() { p.mul4(dst, p.rows, portable.MulP4) })
			if hasAVX2 && vectors != 8 {
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
	rate(b, "step/portable", "Gelem/s", elements, func() { portable.WKV6(y, state, x, x, x, w, u, 1, c, heads, size) })
	rate(b, "step/avx2", "Gelem/s", elements, func() { WKV6(y, state, x, x, x, w, u, 1, c, heads, size) })
	rate(b, "many/portable", "Gelem/s", steps*elements, func() { portable.WKV6(y, state, x, x, x, w, u, steps, c, heads, size) })
	rate(b, "many/avx2", "Gelem/s", steps*elements, func() { WKV6(y, state, x, x, x, w, u, steps, c, heads, size) })
	rate(b, "read/portable", "Gelem/s", elements, func() { portable.StateRead(y[:c], state, x[:c], heads, size) })
	rate(b, "read/avx2", "Gelem/s", elements, func() { StateRead(y[:c], state, x[:c], heads, size) })
	if hasVNNI {
		rate(b, "step/avx512", "Gelem/s", elements, func() { WKV6x512(y, state, x, x, x, w, u, 1, c, heads, size) })
		rate(b, "many/avx512", "Gelem/s", steps*elements, func() { WKV6x512(y, state, x, x, x, w, u, steps, c, heads, size) })
		rate(b, "read/avx512", "Gelem/s", elements, func() { StateRead512(y[:c], state, x[:c], heads, size) })
	}
}

func BenchmarkUnary(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	x, dst := randoms(b, r, 2048), make([]float32, 2048)
	for _, u := range unary {
		rate(b, u.name+"/portable", "Gelem/s", float64(len(x)), func() { u.portable(dst, x) })
		rate(b, u.name+"/avx2", "Gelem/s", float64(len(x)), func() { u.f(dst, x) })
		if hasVNNI {
			rate(b, u.name+"/avx512", "Gelem/s", float64(len(x)), func() { u.wide(dst, x) })
		}
	}
}

func BenchmarkAttention(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const queries, keys, dim, stride = 16, 196, 64, 3 * 768
	q, k, v := randoms(b, r, queries*stride), randoms(b, r, keys*stride), randoms(b, r, keys*stride)
	dst, scores := make([]float32, queries*dim), make([]float32, queries*keys)
	macs := 2.0 * queries * keys * dim
	run := func(name string, f func(dst []float32, dstStride int, q []float32, qStride int, k, v []float32, kvStride int, queries, keys, dim int, scale float32, scores []float32)) {
		rate(b, name, "GMAC/s", macs, func() { f(dst, dim, q, stride, k, v, stride, queries, keys, dim, 0.125, scores) })
	}
	run("portable", portable.Attention)
	run("avx2", Attention)
	if hasVNNI {
		run("avx512", Attention512)
	}
}

func BenchmarkNorm(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	x, w, y := randoms(b, r, 2048), randoms(b, r, 2048), make([]float32, 2048)
	const work = 2048
	rate(b, "LayerNorm/portable", "Gelem/s", work, func() { portable.LayerNorm(y, x, w, w, 1e-5) })
	rate(b, "LayerNorm/avx2", "Gelem/s", work, func() { LayerNorm(y, x, w, w, 1e-5) })
	rate(b, "GroupNorm/portable", "Gelem/s", work, func() { portable.GroupNorm(y, x, w, w, 32, 1e-5) })
	rate(b, "GroupNorm/avx2", "Gelem/s", work, func() { GroupNorm(y, x, w, w, 32, 1e-5) })
	rate(b, "Softmax/portable", "Gelem/s", work, func() { copy(y, x); portable.Softmax(y) })
	rate(b, "Softmax/avx2", "Gelem/s", work, func() { copy(y, x); Softmax(y) })
	if hasVNNI {
		rate(b, "Softmax/avx512", "Gelem/s", work, func() { copy(y, x); Softmax512(y) })
	}
	rate(b, "Lerp/portable", "Gelem/s", work, func() { portable.Lerp(y, x, w, x) })
	rate(b, "Lerp/avx2", "Gelem/s", work, func() { Lerp(y, x, w, x) })
	rate(b, "Blend/portable", "Gelem/s", work, func() { portable.Blend(y, x, w, x) })
	rate(b, "Blend/avx2", "Gelem/s", work, func() { Blend(y, x, w, x) })
	rate(b, "SquaredReLU/portable", "Gelem/s", work, func() { portable.SquaredReLU(y, x) })
	rate(b, "SquaredReLU/avx2", "Gelem/s", work, func() { SquaredReLU(y, x) })
}

func BenchmarkMulRows(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const rows, cols = 64, 2048
	// Numbers of a usual size: random bits are subnormal often, and those are slow.
	w32, w16, wb, wq := make([]byte, 4*rows*cols), make([]byte, 2*rows*cols), make([]byte, 2*rows*cols), make([]byte, rows*cols/32*q8Bytes)
	for i := range rows * cols {
		v := float32(r.NormFloat64())
		binary.LittleEndian.PutUint32(w32[4*i:], math.Float32bits(v))
		binary.LittleEndian.PutUint16(w16[2*i:], portable.F32ToF16(v))
		binary.LittleEndian.PutUint16(wb[2*i:], portable.F32ToBF16(v))
	}
	for i := range wq {
		wq[i] = byte(r.Uint32()) &^ 0x44
	}
	x, dst := randoms(b, r, 12*cols), make([]float32, 12*rows)
	q, scale, sum := make([]int8, 12*cols), make([]float32, 12*cols/32), make([]int32, 12*cols/32)
	portable.QuantizeActs(q, scale, sum, x)
	for _, n := range []int{1, 4, 12} {
		macs := float64(rows * cols * n)
		for _, f := range []struct {
			name                  string
			w                     []byte
			plain, assembly, wide func(dst []float32, stride int, w []byte, x []float32, rows, cols, n int)
		}{{"F32", w32, portable.MulF32, MulF32, MulF32x512}, {"F16", w16, portable.MulF16, MulF16, MulF16x512}, {"BF16", wb, portable.MulBF16, MulBF16, MulBF16x512}} {
			rate(b, fmt.Sprintf("%s/n=%d/portable", f.name, n), "GMAC/s", macs, func() { f.plain(dst, rows, f.w, x[:n*cols], rows, cols, n) })
			rate(b, fmt.Sprintf("%s/n=%d/avx2", f.name, n), "GMAC/s", macs, func() { f.assembly(dst, rows, f.w, x[:n*cols], rows, cols, n) })
			if hasVNNI {
				rate(b, fmt.Sprintf("%s/n=%d/avx512", f.name, n), "GMAC/s", macs, func() { f.wide(dst, rows, f.w, x[:n*cols], rows, cols, n) })
			}
		}
		for _, f := range []struct {
			name            string
			bytes           int
			plain, assembly func(dst []float32, stride int, w []byte, q []int8, scale []float32, sum []int32, rows, cols, n int)
		}{{"Q8", q8Bytes, portable.MulQ8, MulQ8}, {"Q4", q4Bytes, portable.MulQ4, MulQ4}} {
			w := wq[:f.bytes*rows*cols/32]
			rate(b, fmt.Sprintf("%s/n=%d/portable", f.name, n), "GMAC/s", macs, func() { f.plain(dst, rows, w, q, scale, sum, rows, cols, n) })
			rate(b, fmt.Sprintf("%s/n=%d/avx2", f.name, n), "GMAC/s", macs, func() { f.assembly(dst, rows, w, q, scale, sum, rows, cols, n) })
		}
	}
}

func BenchmarkWKV7(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const heads, size = 32, 64
	c := heads * size
	x, y, state, zero := randoms(b, r, c), make([]float32, c), randoms(b, r, c*size), make([]float32, c)
	elements := float64(c * size)
	rate(b, "portable", "Gelem/s", elements, func() { portable.WKV7(y, state, x, x, x, zero, zero, x, 1, c, heads, size) })
	rate(b, "avx2", "Gelem/s", elements, func() { WKV7(y, state, x, x, x, zero, zero, x, 1, c, heads, size) })
	if hasVNNI {
		rate(b, "avx512", "Gelem/s", elements, func() { WKV7x512(y, state, x, x, x, zero, zero, x, 1, c, heads, size) })
	}
}
