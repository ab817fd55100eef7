package quant

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/kernels"
)

func TestNewPacked(t *testing.T) {
	for _, c := range []struct {
		t                   Type
		rows, cols          int
		data, scale, group  int
		want                string
		wd, wscale, wgroups int
	}{
		{P8, 32, 320, 10240, 128, 0, "", 10240, 128, 0},
		{P4, 32, 320, 5120, 128, 160, "", 5120, 128, 160},
		{P8, 32, 320, 10240, 127, 0, "needs 10240 bytes of weights, 128 of scales and 0 of group scales, have 10240, 127 and 0", 10240, 128, 0},
		{P8, 32, 320, 10240, 128, 1, "and 1", 10240, 128, 0},
		{P4, 32, 320, 5120, 128, 0, "160 of group scales", 5120, 128, 160},
		{P8, 8, 64, 512, 16, 0, "8 x 64 values cannot be int8: rows come in tiles of 16", 0, 0, 0},
		{P4, 16, 96, 1024, 32, 32, "", 1024, 32, 32}, // as 128 columns
		{P8, 16, 4304, 16 * 4352, 2 * 16 * 17, 0, "", 16 * 4352, 2 * 16 * 17, 0},
		{P8, 16, 4304, 16 * 4304, 2 * 16 * 17, 0, "needs 69632 bytes", 16 * 4352, 2 * 16 * 17, 0},
		{P4, 16, 0, 0, 0, 0, "cannot be int4", 0, 0, 0},
		{P8, 16, math.MaxInt, 0, 0, 0, "too large", 0, 0, 0},
		{P4, 16, math.MaxInt - 64, 0, 0, 0, "too large", 0, 0, 0},
		{P4, 0, 64, 0, 0, 0, "cannot be int4", 0, 0, 0},
		{P8, -16, 64, 0, 0, 0, "cannot be int8", 0, 0, 0},
		{P8, math.MaxInt &^ 15, 64, 0, 0, 0, "too large", 0, 0, 0},
		{Q8_0, 16, 64, 0, 0, 0, "q8_0 is not a packed type", 0, 0, 0},
	} {
		m, err := NewPacked(c.t, c.rows, c.cols, make([]byte, c.data), make([]byte, c.scale), make([]byte, c.group))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %dx%d: %v, want %q", c.t, c.rows, c.cols, err, c.want)
			continue
		}
		if d, s, g, _ := c.t.PackedSize(c.rows, c.cols); d != c.wd || s != c.wscale || g != c.wgroups {
			t.Errorf("%v %dx%d: sizes %d, %d, %d", c.t, c.rows, c.cols, d, s, g)
		}
		if err == nil && (m.Rows() != c.rows || m.Cols() != c.cols || m.Type() != c.t || len(m.Bytes()) != c.data) {
			t.Errorf("%+v", m)
		}
	}
	if _, err := NewMatrix(P8, 16, 64, make([]byte, 1024)); err == nil || !strings.Contains(err.Error(), "rows of int8") {
		t.Errorf("rows of a packed type: %v", err)
	}
}

// TestPackAddsColumns: a matrix whose columns are no whole number of pairs of groups is
// that with zeros in the columns that are missing; what a file has there does not matter.
func TestPackAddsColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := NewScratch(nil)
	for _, typ := range packedTypes {
		for _, cols := range []int{1, 63, 66, 301, 1000} {
			const rows, n = 32, 13
			stored := StoredCols(cols)
			w, x := randoms(r, rows*cols), randoms(r, n*cols)
			whole, wide := make([]float32, rows*stored), make([]float32, n*stored)
			for i := range rows {
				copy(whole[i*stored:], w[i*cols:][:cols])
			}
			for i := range n {
				copy(wide[i*stored:], x[i*cols:][:cols])
			}
			m, ref := pack(t, typ, w, rows, cols), pack(t, typ, whole, rows, stored)
			d, sc, g := m.Parts()
			rd, rs, rg := ref.Parts()
			if !bytes.Equal(d, rd) || !bytes.Equal(sc, rs) || !bytes.Equal(g, rg) {
				t.Fatalf("%v: %d columns are not stored as %d", typ, cols, stored)
			}
			got, want := make([]float32, n*rows), make([]float32, n*rows)
			ref.Mul(s, want, wide, n)
			for range 2 { // the second time with the scratch of a larger product
				m.Mul(s, got, x, n)
				if !slices.Equal(got, want) {
					t.Fatalf("%v: %d columns give another product than %d", typ, cols, stored)
				}
				ref.Mul(s, want, wide, n)
			}
			row, rrow := make([]float32, cols), make([]float32, stored)
			m.Row(row, 17)
			if ref.Row(rrow, 17); !slices.Equal(row, rrow[:cols]) {
				t.Errorf("%v: row 17 of %d columns differs", typ, cols)
			}
			for c := cols; c < stored; c++ {
				for i := range rows {
					if typ == P8 {
						d[i/16*16*stored+c/4*64+i%16*4+c%4] = uint8(r.IntN(255) - 127)
					} else {
						p, high := &d[i/16*8*stored+c/8*64+i%16*4+c%4], c/4%2*4
						*p = *p&(0xf0>>high) | uint8(1+r.IntN(15))<<high
					}
				}
			}
			if m.Mul(s, got, x, n); !slices.Equal(got, want) {
				t.Errorf("%v: what is stored beyond %d columns counts", typ, cols)
			}
			if allocs := testing.AllocsPerRun(5, func() { m.Mul(s, got, x, n) }); allocs != 0 {
				t.Errorf("%v: %v allocations", typ, allocs)
			}
		}
	}
	for cols, want := range map[int]bool{64: true, 63: true, 60: false, 128: true, 96: false, 1000: true, 960: true, 4304: true, 4290: true, 16: false} {
		if Packs(16, cols) != want {
			t.Errorf("%d columns: %v", cols, !want)
		}
	}
}

// TestPackKnown pins values worked out by hand, and with them the order of the bytes.
func TestPackKnown(t *testing.T) {
	const rows, cols = 32, 320
	w := make([]float32, rows*cols)
	for i := range w {
		r, c := i/cols, i%cols
		w[i] = float32((r*7+c*4)%15-7) * float32(1+c/32%5) / 16
	}
	for _, typ := range packedTypes {
		m := pack(t, typ, w, rows, cols)
		data, scale, group := m.Parts()
		row := make([]float32, cols)
		for r := range rows {
			m.Row(row, r)
			for c, v := range row {
				// int4 can hold these values exactly, int8 rounds.
				if math.Abs(float64(v-w[r*cols+c])) > 0.5*35/16/127+1e-3 {
					t.Fatalf("%v: weight %d,%d is %v, want %v", typ, r, c, v, w[r*cols+c])
				}
			}
		}
		const r, c = 19, 300 // row 3 of tile 1, in block 1
		v := kernels.F16ToF32(binary.LittleEndian.Uint16(scale[2*((2+1)*16+3):]))
		if typ == P8 {
			v *= float32(int8(data[16*cols+75*64+3*4]))
		} else {
			// Column 300 is 37*8+4: byte 0 of the high nibbles of unit 37. Its group, 9, is
			// the odd one of pair 4.
			v *= float32(int(data[16*cols/2+37*64+3*4]>>4)-8) * float32(group[16*cols/64+4*16+3]>>4)
		}
		if m.Row(row, r); math.Abs(float64(v-row[c])) > 1e-6 || v == 0 {
			t.Errorf("%v: bytes say %v, Row %v", typ, v, row[c])
		}
	}
}

// squared returns the squared error that a format makes of w, relative to Σw².
func squared(t testing.TB, typ Type, w []float32, rows, cols int) float64 {
	var m *Matrix
	if typ.Packed() {
		m = pack(t, typ, w, rows, cols)
	} else {
		n, err := typ.RowBytes(len(w))
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, n)
		if err := Quantize(typ, data, w); err != nil {
			t.Fatal(err)
		}
		if m, err = NewMatrix(typ, rows, cols, data); err != nil {
			t.Fatal(err)
		}
	}
	row := make([]float32, cols)
	var e, all float64
	for i := range rows {
		m.Row(row, i)
		for k, v := range row {
			x := float64(w[i*cols+k])
			e += (x - float64(v)) * (x - float64(v))
			all += x * x
		}
	}
	return e / all
}

// TestPackError compares with GGML's formats, which take more bytes.
func TestPackError(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const rows, cols = 64, 1024
	for _, c := range []struct {
		name       string
		value      func() float64
		int8, int4 float64 // at most so many times the error of q8_0 and q4_0
	}{
		{"gaussian", r.NormFloat64, 1.8, 1.02},
		{"laplace", func() float64 { return r.ExpFloat64() * float64(2*r.IntN(2)-1) }, 2.4, 1.05},
		{"student, 4", func() float64 { return student(r, 4) }, 3.5, 1.06},
		{"student, 3", func() float64 { return student(r, 3) }, 5, 1.06},
		{"uniform", func() float64 { return 2*r.Float64() - 1 }, 1.2, 0.95},
		{"very small", func() float64 { return r.NormFloat64() * 1e-5 }, 1, 1.05},
		{"mostly nothing", func() float64 { return r.NormFloat64() * float64(r.IntN(20)/19) }, 5, 0.85},
	} {
		w := make([]float32, rows*cols)
		for i := range w {
			w[i] = float32(c.value())
		}
		e8, q8 := squared(t, P8, w, rows, cols), squared(t, Q8_0, w, rows, cols)
		e4, q4 := squared(t, P4, w, rows, cols), squared(t, Q4_0, w, rows, cols)
		t.Logf("%-15s int8 %.2e (%.2f of q8_0)  int4 %.2e (%.2f of q4_0)", c.name, e8, e8/q8, e4, e4/q4)
		if e8 > c.int8*q8 || e4 > c.int4*q4 {
			t.Errorf("%s: int8 has %.2f times the error of q8_0, int4 %.2f times that of q4_0", c.name, e8/q8, e4/q4)
		}
	}
}

// student returns a value of Student's t distribution, whose tails are heavy.
func student(r *rand.Rand, freedom int) float64 {
	var s float64
	for range freedom {
		v := r.NormFloat64()
		s += v * v
	}
	return r.NormFloat64() / math.Sqrt(s/float64(freedom))
}

// TestPackInPieces: pieces of whole row tiles make the same matrix.
func TestPackInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const rows, cols = 48, 320
	w := randoms(r, rows*cols)
	for _, typ := range packedTypes {
		m := pack(t, typ, w, rows, cols)
		var parts [3][]byte
		for i := 0; i < rows; i += 16 {
			d, s, g := pack(t, typ, w[i*cols:][:16*cols], 16, cols).Parts()
			parts = [3][]byte{append(parts[0], d...), append(parts[1], s...), append(parts[2], g...)}
		}
		d, s, g := m.Parts()
		if !slices.Equal(d, parts[0]) || !slices.Equal(s, parts[1]) || !slices.Equal(g, parts[2]) {
			t.Errorf("%v: pieces differ", typ)
		}
	}
}

func TestPackEdges(t *testing.T) {
	const rows, cols = 16, 320
	for _, typ := range packedTypes {
		row := make([]float32, cols)
		check := func(what string, value float32, want func(float32) bool) {
			t.Helper()
			w := make([]float32, rows*cols)
			w[3*cols+290] = value
			m := pack(t, typ, w, rows, cols)
			m.Row(row, 3)
			if !want(row[290]) {
				t.Errorf("%v, %s: %v came back as %v", typ, what, value, row[290])
			}
			row[290] = 0
			for i, v := range row {
				if v != 0 {
					t.Errorf("%v, %s: column %d is %v", typ, what, i, v)
				}
			}
		}
		is := func(want float32) func(float32) bool { return func(v float32) bool { return v == want } }
		check("zeros", 0, is(0))
		check("too small", math.SmallestNonzeroFloat32, is(0))
		check("one", 1, func(v float32) bool { return math.Abs(float64(v-1)) < 1e-3 })
		check("small", -3e-6, func(v float32) bool { return math.Abs(float64(v+3e-6)) < 1e-6 })
		check("largest", 5e6, func(v float32) bool { return math.Abs(float64(v-5e6)) < 5e3 })

		sizes := func(w []float32, rows int) error {
			d, s, g, err := typ.PackedSize(16, cols)
			if err != nil {
				t.Fatal(err)
			}
			return Pack(typ, make([]byte, d), make([]byte, s), make([]byte, g), w, rows, cols)
		}
		for want, v := range map[string]float32{
			"row 3: columns 256 to 319: NaN cannot be quantised": float32(math.NaN()),
			"-Inf cannot be quantised":                           float32(math.Inf(-1)),
			"overflows half precision":                           3e38,
			"row 3: columns 256 to 319: scale":                   1e9,
		} {
			w := make([]float32, rows*cols)
			w[3*cols+290] = v
			if err := sizes(w, 16); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, %v: %v, want %q", typ, v, err, want)
			}
		}
		if sizes(make([]float32, 5), 16) == nil || sizes(make([]float32, 32*cols), 32) == nil {
			t.Errorf("%v: wrong lengths were accepted", typ)
		}
	}
	if err := Quantize(P4, nil, nil); err == nil {
		t.Error("rows of int4 were written")
	}
}

// FuzzPack: whatever the values, an error or a matrix near them.
func FuzzPack(f *testing.F) {
	f.Add(make([]byte, 256), uint64(3))
	f.Add(bytes.Repeat([]byte{0x00, 0x00, 0x80, 0x3f}, 1024), uint64(1))            // ones
	f.Add(bytes.Repeat([]byte{0xff, 0xff, 0x7f, 0x33}, 70), uint64(7))              // near the smallest half
	f.Add(bytes.Repeat([]byte{0, 0, 0, 0, 0x00, 0x00, 0xe0, 0xc0}, 64), uint64(11)) // 0 and -7
	f.Add(bytes.Repeat([]byte{0x01, 0x00, 0x00, 0x00}, 1024), uint64(2))            // the smallest float
	f.Add([]byte{0, 0, 0x80, 0x7f, 1, 0, 0, 0, 0xff, 0xff, 0x7f, 0x7f}, uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		const rows, cols = 16, 64
		r := rand.New(rand.NewPCG(seed, 0))
		w := make([]float32, rows*cols)
		size := math.Ldexp(1, r.IntN(60)-40)
		for i := range w {
			w[i] = float32(r.NormFloat64() * size)
		}
		given := make([]float32, min(len(b)/4, len(w)))
		if err := Dequantize(F32, given, b[:4*len(given)]); err != nil {
			t.Fatal(err)
		}
		copy(w, given)
		for _, typ := range packedTypes {
			d, s, g, _ := typ.PackedSize(rows, cols)
			data, scale, group := make([]byte, d), make([]byte, s), make([]byte, g)
			if Pack(typ, data, scale, group, w, rows, cols) != nil {
				continue
			}
			m, err := NewPacked(typ, rows, cols, data, scale, group)
			if err != nil {
				t.Fatal(err)
			}
			row := make([]float32, cols)
			for i := range rows {
				m.Row(row, i)
				x := w[i*cols:][:cols]
				limit := float64(maxAbs(x)) * 0.2
				if typ == P8 {
					limit = float64(maxAbs(x)) * 0.006
				}
				for k, v := range row {
					if !(math.Abs(float64(v-x[k])) <= limit+4e-6) {
						t.Fatalf("%v: %v came back as %v in a row up to %v", typ, x[k], v, maxAbs(x))
					}
				}
			}
		}
	})
}
