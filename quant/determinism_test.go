package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/visualrwkv/edged/kernels"
)

// TestMulDeterministic checks that each row of a product has one value: alone or
// among many vectors, with any number of workers, aligned or not.
func TestMulDeterministic(t *testing.T) {
	for _, b := range kernels.Backends() {
		t.Run(b, func(t *testing.T) {
			defer func(was string) { _ = kernels.Select(was) }(kernels.Backend())
			if err := kernels.Select(b); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			for _, typ := range types {
				for _, sh := range [][3]int{{7, 64, 5}, {97, 320, 29}, {130, 1056, 14}} {
					checkDeterministic(t, r, typ, sh[0], sh[1], sh[2])
				}
			}
			for _, typ := range packedTypes {
				for _, sh := range [][3]int{{16, 64, 5}, {96, 320, 29}, {144, 1088, 14}, {16, 64, 150}, {48, 333, 27}} {
					checkDeterministic(t, r, typ, sh[0], sh[1], sh[2])
				}
			}
		})
	}
}

func checkDeterministic(t *testing.T, r *rand.Rand, typ Type, rows, cols, n int) {
	m := randomMatrix(t, r, typ, rows, cols)
	shift := func(b []byte) []byte { return append(make([]byte, 1, 1+len(b)), b...)[1:] }
	unaligned, err := NewMatrix(typ, rows, cols, shift(m.Bytes()))
	if typ.Packed() {
		data, scale, group := m.Parts()
		unaligned, err = NewPacked(typ, rows, cols, shift(data), shift(scale), shift(group))
	}
	if err != nil {
		t.Fatal(err)
	}
	x := randoms(r, n*cols)
	want := make([]float32, n*rows)
	alone := NewScratch(nil)
	for i := range n {
		m.Mul(alone, want[i*rows:][:rows], x[i*cols:][:cols], 1)
	}
	got := make([]float32, n*rows)
	check := func(what string, n int) {
		t.Helper()
		for i, v := range got[:n*rows] {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Fatalf("%v %dx%d n=%d, %s: value %d is %v, alone %v", typ, rows, cols, n, what, i, v, want[i])
			}
		}
		clear(got)
	}
	for k := 1; k <= n; k++ {
		m.Mul(alone, got[:k*rows], x[:k*cols], k)
		check("no pool", k)
	}
	unaligned.Mul(alone, got, x, n)
	check("unaligned", n)
	for workers := 1; workers <= 4; workers++ {
		p := NewPool(workers)
		m.Mul(NewScratch(p), got, x, n)
		p.Close()
		check(fmt.Sprintf("%d workers", workers), n)
	}
}

func TestMulEdges(t *testing.T) {
	s := NewScratch(nil)
	if s.Pool() != nil {
		t.Error("a pool from nowhere")
	}
	empty := FromF32(0, 4, nil)
	empty.Mul(s, nil, make([]float32, 8), 2)
	dst := []float32{1, 1, 1, 1}
	narrow := FromF32(2, 0, nil)
	if narrow.Mul(s, dst, nil, 2); dst[0] != 0 || dst[3] != 0 {
		t.Errorf("sums of nothing are %v", dst)
	}
	m := FromF32(2, 2, []float32{1, 2, 3, 4})
	panics(t, func() { m.Mul(s, dst, dst, 0) })
	panics(t, func() { m.Mul(s, dst[:3], dst, 2) })
	panics(t, func() { m.Mul(s, make([]float32, 4), dst[:3], 2) })
}

// TestMulUnpacked: int4 that is unpacked first has the bits of int4 that is not, without
// allocating.
func TestMulUnpacked(t *testing.T) {
	defer func() { unpackFrom = kernels.UnpackFrom }()
	r := rand.New(rand.NewPCG(1, 2))
	p := NewPool(3)
	defer p.Close()
	s := NewScratch(p)
	for _, sh := range [][3]int{{16, 64, 5}, {144, 1088, 14}, {64, 320, 100}, {2048, 64, 30}} {
		rows, cols, n := sh[0], sh[1], sh[2]
		m := randomMatrix(t, r, P4, rows, cols)
		x := randoms(r, n*cols)
		want, got := make([]float32, n*rows), make([]float32, n*rows)
		unpackFrom = func() int { return math.MaxInt }
		m.Mul(s, want, x, n)
		unpackFrom = func() int { return 1 }
		m.Mul(s, got, x, n)
		if a := testing.AllocsPerRun(10, func() { m.Mul(s, got, x, n) }); a != 0 {
			t.Errorf("%v: %v allocations", sh, a)
		}
		for i, v := range got {
			if math.Float32bits(v) != math.Float32bits(want[i]) {
				t.Fatalf("%v: value %d is %v, want %v", sh, i, v, want[i])
			}
		}
	}
}

// TestMulNaN: a bad activation must show, and only where it belongs.
func TestMulNaN(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range allTypes {
		m := randomMatrix(t, r, typ, 16, 128)
		x := randoms(r, 2*128)
		x[128+40] = float32(math.Inf(1))
		dst := make([]float32, 32)
		m.Mul(NewScratch(nil), dst, x, 2)
		for i, v := range dst {
			if finite := v-v == 0; finite != (i < 16) {
				t.Errorf("%v: value %d is %v", typ, i, v)
			}
		}
	}
}

func TestMulDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := NewPool(2)
	defer p.Close()
	for _, typ := range allTypes {
		m := randomMatrix(t, r, typ, 256, 256)
		x, dst := randoms(r, 30*256), make([]float32, 30*256)
		s := NewScratch(p)
		m.Mul(s, dst, x, 30)
		for _, n := range []int{1, 5, 30} {
			if a := testing.AllocsPerRun(20, func() { m.Mul(s, dst[:n*256], x[:n*256], n) }); a != 0 {
				t.Errorf("%v, n=%d: %v allocations", typ, n, a)
			}
		}
	}
}

// TestGCBesideMul: the collector stops every goroutine, so it would wait for ever for
// one that it cannot stop between two strips. Products follow each other without a
// pause while whole collections come and go.
func TestGCBesideMul(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := NewPool(2)
	defer p.Close()
	m := randomMatrix(t, r, Q8_0, 1024, 1024)
	var products atomic.Int64
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := NewScratch(p)
		x, dst := randoms(r, 32*1024), make([]float32, 32*1024)
		for !stop.Load() {
			m.Mul(s, dst, x, 32)
			products.Add(1)
		}
	}()
	for range 5 {
		for before := products.Load(); products.Load() == before; {
			runtime.Gosched()
		}
		runtime.GC()
	}
	stop.Store(true)
	<-done
}

// TestStripsAreShort: what the collector waits for at most is one strip.
func TestStripsAreShort(t *testing.T) {
	for _, cols := range []int{1, 32, 768, 4096, 14336, 65536} {
		for _, rows := range []int{1, 8, 1000, 65536} {
			for _, n := range []int{1, 8, 12, 13, 729, 100000} {
				for _, workers := range []int{1, 4, 64} {
					p := product{m: &Matrix{rows: rows, cols: cols}, n: n}
					p.split(workers)
					if most := max(stripWork, 8*12*cols); p.rows*p.vectors*cols > most {
						t.Errorf("%d x %d by %d, %d workers: strips of %d x %d rows and vectors", rows, cols, n, workers, p.rows, p.vectors)
					}
				}
			}
		}
	}
}
