package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// correlated returns n vectors of size values that lie near a subspace and some of which
// are much larger, as activations are.
func correlated(r *rand.Rand, n, size int) []float32 {
	rank := max(size/4, 1)
	basis := randoms(r, rank*size)
	x := make([]float32, n*size)
	for i := range n {
		row := x[i*size:][:size]
		for k := range rank {
			a := float32(r.NormFloat64())
			for j := range row {
				row[j] += a * basis[k*size+j]
			}
		}
		for j := range row {
			row[j] += 0.3 * float32(r.NormFloat64())
			if j%37 == 5 {
				row[j] *= 8
			}
		}
	}
	return x
}

func compensation(t testing.TB, x []float32, n, size int, p *Pool) *Compensation {
	t.Helper()
	h := NewHessian(size, NewScratch(p))
	for i := 0; i < n; i += 7 { // in pieces
		m := min(7, n-i)
		h.Add(x[i*size:][:m*size], m)
	}
	c, err := NewCompensation(h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func packCompensated(t testing.TB, typ Type, c *Compensation, w []float32, rows, cols int) *Matrix {
	t.Helper()
	nd, ns, ng, err := typ.PackedSize(16, cols)
	if err != nil {
		t.Fatal(err)
	}
	tiles := rows / 16
	data, scale, group := make([]byte, tiles*nd), make([]byte, tiles*ns), make([]byte, tiles*ng)
	p := c.NewPacker()
	for i := range tiles {
		if _, err := p.Pack(typ, data[i*nd:][:nd], scale[i*ns:][:ns], group[i*ng:][:ng], w[i*16*cols:][:16*cols]); err != nil {
			t.Fatal(err)
		}
	}
	m, err := NewPacked(typ, rows, cols, data, scale, group)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// productError returns the squared error of the products of m with x, in single
// precision, relative to that of w.
func productError(m *Matrix, w, x []float32, n int) float64 {
	s := NewScratch(nil)
	rows, cols := m.Rows(), m.Cols()
	d := make([]float32, rows*cols)
	for i := range rows {
		m.Row(d[i*cols:][:cols], i)
	}
	a, b := make([]float32, n*rows), make([]float32, n*rows)
	FromF32(rows, cols, w).Mul(s, a, x, n)
	FromF32(rows, cols, d).Mul(s, b, x, n)
	var e, all float64
	for i := range a {
		e += math.Pow(float64(a[i]-b[i]), 2)
		all += math.Pow(float64(a[i]), 2)
	}
	return e / all
}

// TestHessianBytes: what a pass over a model is planned by is what is held.
func TestHessianBytes(t *testing.T) {
	heap := func() int64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	const size = 1024
	s, x := NewScratch(nil), make([]float32, size)
	before := heap()
	h := NewHessian(size, s)
	h.Add(x, 1)
	got, want := heap()-before, HessianBytes(size)
	if got < want*98/100 || got > want*102/100 {
		t.Errorf("%d bytes are held, %d planned", got, want)
	}
	runtime.KeepAlive(h)
}

// TestCompensation: errors that make up for each other are smaller in the products, on
// vectors that were not seen too.
func TestCompensation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	widths := []int{200, 64, 320, 576}
	if testing.Short() { // the time grows with their squares
		widths = widths[:2]
	}
	for _, cols := range widths {
		const rows, n = 32, 2000
		w := randoms(r, rows*cols)
		x := correlated(r, 2*n, cols)
		seen, unseen := x[:n*cols], x[n*cols:]
		c := compensation(t, seen, n, cols, nil)
		for _, typ := range packedTypes {
			plain, comp := pack(t, typ, w, rows, cols), packCompensated(t, typ, c, w, rows, cols)
			before, after := productError(plain, w, unseen, n), productError(comp, w, unseen, n)
			t.Logf("%v, %d columns: %.3g, compensated %.3g (%.2f)", typ, cols, before, after, after/before)
			if after > 0.6*before {
				t.Errorf("%v, %d columns: error %.3g, compensated %.3g", typ, cols, before, after)
			}
		}
	}
}

// TestPackerErrors: what a packer says of errors is what the products have.
func TestPackerErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	const cols, n = 320, 3000
	w, x := randoms(r, tile*cols), correlated(r, n, cols)
	c := compensation(t, x, n, cols, nil)
	for _, typ := range packedTypes {
		d, s, g, _ := typ.PackedSize(tile, cols)
		p := c.NewPacker()
		e, err := p.Pack(typ, make([]byte, d), make([]byte, s), make([]byte, g), w)
		if err != nil {
			t.Fatal(err)
		}
		nearest, all, err := p.Nearest(typ, w)
		if err != nil {
			t.Fatal(err)
		}
		want := productError(packCompensated(t, typ, c, w, tile, cols), w, x, n)
		wantNearest := productError(pack(t, typ, w, tile, cols), w, x, n)
		t.Logf("%v: %.3g, of products %.3g; to nearest %.3g, %.3g", typ, e/all, want, nearest/all, wantNearest)
		// Damping adds some.
		if e/all < 0.8*want || e/all > 3*want || nearest/all < 0.8*wantNearest || nearest/all > 1.5*wantNearest {
			t.Errorf("%v: error %.3g, of products %.3g; to nearest %.3g, %.3g", typ, e/all, want, nearest/all, wantNearest)
		}
	}
}

// TestCompensationSame: any number of workers gives the same bytes.
func TestCompensationSame(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const rows, cols, n = 16, 300, 700
	w, x := randoms(r, rows*cols), correlated(r, n, cols)
	var first *Matrix
	for _, workers := range []int{1, 2, 5} {
		p := NewPool(workers)
		m := packCompensated(t, P4, compensation(t, x, n, cols, p), w, rows, cols)
		p.Close()
		if first == nil {
			first = m
			continue
		}
		d, s, g := m.Parts()
		fd, fs, fg := first.Parts()
		if !bytes.Equal(d, fd) || !bytes.Equal(s, fs) || !bytes.Equal(g, fg) {
			t.Errorf("%d workers give other bytes", workers)
		}
	}
}

// TestCholesky: the factor multiplied out is the matrix.
func TestCholesky(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1, 2, 127, 128, 129, 300} {
		h := NewHessian(n, NewScratch(nil))
		h.Add(correlated(r, 40, n), 40) // fewer vectors than values: singular
		h.flush()
		_, mean := h.diagonal()
		a := h.sum
		for i := range a {
			a[i] /= float32(mean)
		}
		for i := range n {
			a[at(i, i)] += damping
		}
		l := slices.Clone(a)
		cholesky(l, n, damping, h.scratch)
		for i := range n {
			for j := range i + 1 {
				var sum float64
				for k := range j + 1 {
					sum += float64(l[at(i, k)]) * float64(l[at(j, k)])
				}
				if math.Abs(sum-float64(a[at(i, j)])) > 1e-4*float64(a[at(i, i)]+a[at(j, j)]) {
					t.Fatalf("%d: element %d, %d is %v, want %v", n, i, j, sum, a[at(i, j)])
				}
			}
		}
	}
}

// TestCompensationRefuses: inputs that tell nothing, and values that cannot be packed.
func TestCompensationRefuses(t *testing.T) {
	for want, x := range map[string][]float32{
		"no inputs in 0 vectors":  {},
		"no inputs in 1 vectors":  make([]float32, 64),
		"inputs are not finite":   append(make([]float32, 63), float32(math.NaN())),
		"inputs are not finite  ": append(make([]float32, 63), 3e38),
	} {
		h := NewHessian(64, NewScratch(nil))
		h.Add(x, len(x)/64)
		if _, err := NewCompensation(h); err == nil || err.Error() != strings.TrimSpace(want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	r := rand.New(rand.NewPCG(7, 8))
	const cols = 320
	p := compensation(t, randoms(r, 100*cols), 100, cols, nil).NewPacker()
	w := randoms(r, tile*cols)
	w[3*cols+290] = float32(math.Inf(1))
	for _, typ := range packedTypes {
		d, s, g, _ := typ.PackedSize(tile, cols)
		_, err := p.Pack(typ, make([]byte, d), make([]byte, s), make([]byte, g), w)
		if want := "row 3: columns 256 to 319: +Inf cannot be quantised"; err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", typ, err, want)
		}
		if _, err := p.Pack(typ, make([]byte, d), make([]byte, s), make([]byte, g), w[cols:]); err == nil {
			t.Errorf("%v: a wrong length was accepted", typ)
		}
	}
}

// TestObserved: an observer sees what a matrix is multiplied with, and changes nothing.
func TestObserved(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const rows, cols, n = 16, 64, 3
	x := randoms(r, n*cols)
	s := NewScratch(nil)
	for _, typ := range packedTypes {
		m := pack(t, typ, randoms(r, rows*cols), rows, cols)
		var seen []float32
		o := m.Observed(func(x []float32, k int) { seen = append(seen, x...) })
		want, got := make([]float32, n*rows), make([]float32, n*rows)
		m.Mul(s, want, x, n)
		if seen != nil {
			t.Error("the matrix itself is observed")
		}
		o.Mul(s, got, x, n)
		if !slices.Equal(seen, x) || !slices.Equal(got, want) {
			t.Errorf("%v: %d values observed, products equal: %v", typ, len(seen), slices.Equal(got, want))
		}
	}
}

// TestOutliers: where the inputs or the weights of some channels are many times larger than
// the others, calibrated rounding needs no help of a factor per channel, folded into the
// weights, by which other quantisers even them out.
func TestOutliers(t *testing.T) {
	const rows, cols, n = 32, 320, 1000
	for name, c := range map[string]struct{ inputs, weights float32 }{
		"none": {1, 1}, "inputs": {30, 1}, "weights": {1, 30}, "inputs of small weights": {30, 1. / 30},
	} {
		r := rand.New(rand.NewPCG(3, 4))
		w, x := randoms(r, rows*cols), correlated(r, 2*n, cols)
		for j := 11; j < cols; j += 100 { // one channel in a hundred
			scaleColumn(w, cols, j, c.weights)
			scaleColumn(x, cols, j, c.inputs)
		}
		calibrated := func(w, x []float32) float64 {
			m := packCompensated(t, P4, compensation(t, x[:n*cols], n, cols, nil), w, rows, cols)
			return productError(m, w, x[n*cols:], n)
		}
		nearest, plain := productError(pack(t, P4, w, rows, cols), w, x[n*cols:], n), calibrated(w, x)
		t.Logf("%s: to nearest %.3g, calibrated %.3g (%.3f)", name, nearest, plain, plain/nearest)
		if plain > 0.2*nearest {
			t.Errorf("%s: error %.3g, calibrated %.3g", name, nearest, plain)
		}
		for _, power := range []float64{0.1, 0.25, 0.5} {
			evenW, evenX := slices.Clone(w), slices.Clone(x)
			for j := range cols {
				var sum float64
				for i := range n {
					sum += math.Pow(float64(x[i*cols+j]), 2)
				}
				f := float32(math.Pow(sum/n, power/2))
				scaleColumn(evenW, cols, j, f)
				scaleColumn(evenX, cols, j, 1/f)
			}
			got := calibrated(evenW, evenX)
			t.Logf("%s, factors of power %.2f: calibrated %.3g (%.2f)", name, power, got, got/plain)
			if got < 0.7*plain {
				t.Errorf("%s: calibrated %.3g, with factors of power %.2f %.3g", name, plain, power, got)
			}
		}
	}
}

// scaleColumn multiplies column j of the rows of m by f.
func scaleColumn(m []float32, cols, j int, f float32) {
	for ; j < len(m); j += cols {
		m[j] *= f
	}
}
