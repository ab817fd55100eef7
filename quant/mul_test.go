package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var types = []Type{F32, F16, BF16, Q8_0, Q4_0}

func randoms(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func randomMatrix(t testing.TB, r *rand.Rand, typ Type, rows, cols int) *Matrix {
	t.Helper()
	rb, err := typ.RowBytes(cols)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, rows*rb)
	if err := Quantize(typ, data, randoms(r, rows*cols)); err != nil {
		t.Fatal(err)
	}
	m, err := NewMatrix(typ, rows, cols, data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMulAgainstFloat64 compares with the product of the expanded rows. Quantised
// activations are off by at most half a step: amax/254 per value of a block.
func TestMulAgainstFloat64(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := NewPool(3)
	defer p.Close()
	s := NewScratch(p)
	for _, typ := range types {
		for _, sh := range [][3]int{{1, 32, 1}, {3, 64, 2}, {5, 96, 3}, {33, 320, 5}, {130, 544, 9}, {64, 64, 70}} {
			rows, cols, n := sh[0], sh[1], sh[2]
			m := randomMatrix(t, r, typ, rows, cols)
			x := randoms(r, n*cols)
			dst := make([]float32, n*rows)
			m.Mul(s, dst, x, n)
			row := make([]float32, cols)
			for j := range rows {
				m.Row(row, j)
				for i := range n {
					var want, bound float64
					for k, w := range row {
						v := x[i*cols+k]
						want += float64(w) * float64(v)
						bound += math.Abs(float64(w)*float64(v)) * 1e-6
						if typ == Q8_0 || typ == Q4_0 {
							amax := slices.Max(x[i*cols+k&^31:][:32])
							amax = max(amax, -slices.Min(x[i*cols+k&^31:][:32]))
							bound += math.Abs(float64(w)) * float64(amax) / 253
						}
					}
					if got := dst[i*rows+j]; !(math.Abs(float64(got)-want) <= bound) {
						t.Fatalf("%v %v: dst[%d,%d] = %v, want %v within %v", typ, sh, i, j, got, want, bound)
					}
				}
			}
		}
	}
}
