package quant

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/kernels"
)

var (
	types       = []Type{F32, F16, BF16, Q8_0, Q4_0}
	packedTypes = []Type{P8, P4}
	allTypes    = append(append([]Type(nil), types...), packedTypes...)
)

func randoms(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func randomMatrix(t testing.TB, r *rand.Rand, typ Type, rows, cols int) *Matrix {
	t.Helper()
	if typ.Packed() {
		return pack(t, typ, randoms(r, rows*cols), rows, cols)
	}
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

func pack(t testing.TB, typ Type, w []float32, rows, cols int) *Matrix {
	t.Helper()
	nd, ns, ng, err := typ.PackedSize(rows, cols)
	if err != nil {
		t.Fatal(err)
	}
	data, scale, group := make([]byte, nd), make([]byte, ns), make([]byte, ng)
	if err := Pack(typ, data, scale, group, w, rows, cols); err != nil {
		t.Fatal(err)
	}
	m, err := NewPacked(typ, rows, cols, data, scale, group)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// actBlock is the number of activations that share a scale in products with typ, 0
// where they are not quantised.
func actBlock(typ Type) int {
	switch typ {
	case Q8_0, Q4_0:
		return kernels.Block
	case P8, P4:
		return kernels.PackBlock
	}
	return 0
}

// shapes of matrices and numbers of vectors; those of packed ones are whole tiles.
func shapes(typ Type) [][3]int {
	if typ.Packed() {
		return [][3]int{{16, 64, 1}, {32, 320, 5}, {16, 1088, 9}, {144, 576, 29}, {64, 64, 70},
			{16, 1, 3}, {32, 63, 2}, {32, 301, 14}, {48, 4304, 30}}
	}
	return [][3]int{{1, 32, 1}, {3, 64, 2}, {5, 96, 3}, {33, 320, 5}, {130, 544, 9}, {64, 64, 70}}
}

// TestMulAgainstFloat64 compares with the product of the expanded rows. Quantised
// activations are off by at most half a step: amax/254 per value of a block.
func TestMulAgainstFloat64(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := NewPool(3)
	defer p.Close()
	s := NewScratch(p)
	for _, typ := range allTypes {
		block := actBlock(typ)
		for _, sh := range shapes(typ) {
			rows, cols, n := sh[0], sh[1], sh[2]
			m := randomMatrix(t, r, typ, rows, cols)
			x := randoms(r, n*cols)
			dst := make([]float32, n*rows)
			m.Mul(s, dst, x, n)
			amax := make([]float32, len(x)) // of the block that a value is in
			for i := range amax {
				first := i % cols / max(block, 1) * block
				acts := x[i-i%cols+first : i-i%cols+min(first+max(block, 1), cols)]
				if i%cols == first {
					amax[i] = max(slices.Max(acts), -slices.Min(acts))
				} else {
					amax[i] = amax[i-1]
				}
			}
			row := make([]float32, cols)
			for j := range rows {
				m.Row(row, j)
				for i := range n {
					var want, bound float64
					for k, w := range row {
						v := x[i*cols+k]
						want += float64(w) * float64(v)
						bound += math.Abs(float64(w)*float64(v)) * 1e-6
						if block > 0 {
							bound += math.Abs(float64(w)) * float64(amax[i*cols+k]) / 253
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
