package quant

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestType(t *testing.T) {
	for _, c := range []struct {
		t     Type
		name  string
		cols  int
		bytes int
	}{
		{F32, "f32", 3, 12}, {F16, "f16", 3, 6}, {BF16, "bf16", 3, 6}, {Q8_0, "q8_0", 64, 68}, {Q4_0, "q4_0", 64, 36}, {Q4_0, "q4_0", 0, 0},
	} {
		got, err := c.t.RowBytes(c.cols)
		if err != nil || got != c.bytes || c.t.String() != c.name {
			t.Errorf("%v: %d bytes, %v; want %s, %d", c.t, got, err, c.name, c.bytes)
		}
	}
	for _, c := range []struct {
		t    Type
		cols int
		want string
	}{
		{Type(99), 32, "unsupported weight type 99"},
		{Q8_0, 33, "33 columns are not a multiple of 32"},
		{F32, -1, "-1 columns"},
		{F32, math.MaxInt / 2, "too large"},
	} {
		if _, err := c.t.RowBytes(c.cols); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %d columns: %v, want %q", c.t, c.cols, err, c.want)
		}
	}
}

func TestNewMatrix(t *testing.T) {
	for _, c := range []struct {
		t          Type
		rows, cols int
		bytes      int
		want       string
	}{
		{F16, 2, 3, 11, "matrix of 2 x 3 in f16 needs 12 bytes, have 11"},
		{F16, -1, 3, 0, "too large"},
		{F32, math.MaxInt / 8, 1024, 0, "too large"},
		{Q4_0, 1, 16, 9, "not a multiple of 32"},
		{Type(3), 1, 32, 20, "unsupported"},
	} {
		if _, err := NewMatrix(c.t, c.rows, c.cols, make([]byte, c.bytes)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	data := make([]byte, 2*34)
	m, err := NewMatrix(Q8_0, 2, 32, data)
	if err != nil || m.Rows() != 2 || m.Cols() != 32 || m.Type() != Q8_0 || &m.Bytes()[0] != &data[0] {
		t.Errorf("got %+v, %v", m, err)
	}
}

// TestLengthened multiplies with values in the place of the added columns too: they meet zeros.
func TestLengthened(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []Type{F32, F16, BF16} {
		for _, cols := range []int{1, 15, 16, 17, 588} {
			const rows, n = 5, 3
			m := randomMatrix(t, r, typ, rows, cols)
			long := m.Lengthened()
			if long.Cols()%FloatColumns != 0 || long.Cols() < cols || long.Cols() >= cols+FloatColumns || (long == m) != (cols%FloatColumns == 0) {
				t.Fatalf("%v: %d columns became %d", typ, cols, long.Cols())
			}
			x, longX := randoms(r, n*cols), randoms(r, n*long.Cols())
			for i := range n {
				copy(longX[i*long.Cols():], x[i*cols:][:cols])
			}
			want, got := make([]float32, n*rows), make([]float32, n*rows)
			m.Mul(NewScratch(nil), want, x, n)
			long.Mul(NewScratch(nil), got, longX, n)
			for i, w := range want {
				if d := math.Abs(float64(got[i] - w)); !(d <= 1e-4*float64(cols)) {
					t.Fatalf("%v, %d columns: product %d is %v, want %v", typ, cols, i, got[i], w)
				}
			}
		}
	}
	if m := randomMatrix(t, r, Q8_0, 4, 32); m.Lengthened() != m {
		t.Error("a matrix of blocks was lengthened")
	}
}

func TestFromF32(t *testing.T) {
	w := []float32{1, 2, 3, 4, 5, 6}
	m := FromF32(2, 3, w)
	row := make([]float32, 3)
	m.Row(row, 1)
	if row[0] != 4 || row[2] != 6 || len(m.Bytes()) != 24 {
		t.Errorf("row %v, %d bytes", row, len(m.Bytes()))
	}
	w[5] = 7
	if m.Row(row, 1); row[2] != 7 {
		t.Error("the values were copied")
	}
	panics(t, func() { FromF32(2, 2, w) })
	panics(t, func() { m.Row(row, 2) })
	panics(t, func() { m.Row(row, -1) })
	panics(t, func() { m.Row(row[:2], 0) })
	if e := FromF32(0, 3, nil); e.Rows() != 0 || len(e.Bytes()) != 0 {
		t.Error("an empty matrix has bytes")
	}
}

func panics(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if msg, ok := recover().(string); !ok || !strings.HasPrefix(msg, "quant: ") {
			t.Errorf("recovered %q", msg)
		}
	}()
	f()
}
