package tensors_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// gguf writes a file of tensors filled with arbitrary bytes and opens it.
func gguf(t *testing.T, infos ...weights.TensorInfo) *weights.File {
	t.Helper()
	return ggufOf(t, infos, func(name string, b []byte) {
		if strings.HasSuffix(name, tensors.ColumnsSuffix) {
			binary.LittleEndian.PutUint32(b, oddColumns)
		}
	})
}

// oddColumns are stored as 320.
const oddColumns = 301

// ggufOf is gguf; edit may change the bytes of each tensor.
func ggufOf(t *testing.T, infos []weights.TensorInfo, edit func(name string, b []byte)) *weights.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.gguf")
	r := rand.New(rand.NewPCG(1, 2))
	err := weights.WriteGGUF(path, nil, infos, func(g *weights.GGUFWriter) error {
		for _, info := range infos {
			n, err := info.Type.Size(info.Shape)
			if err != nil {
				return err
			}
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.IntN(64))
			}
			edit(info.Name, b)
			if err := g.Begin(info.Name); err != nil {
				return err
			}
			if _, err := g.Write(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func parts(name string, typ quant.Type, rows, cols int) []weights.TensorInfo {
	infos := tensors.Parts(typ, rows, cols)
	for i := range infos {
		infos[i].Name = name + infos[i].Name
	}
	return infos
}

func TestPacked(t *testing.T) {
	infos := append(parts("a", quant.P8, 32, 320), parts("b", quant.P4, 16, 64)...)
	infos = append(infos, weights.TensorInfo{Name: "c.scale", Type: weights.F32, Shape: []int{7}})
	infos = append(append(infos, parts("d", quant.P8, 16, oddColumns)...), parts("e", quant.P4, 32, oddColumns)...)
	f := gguf(t, infos...)
	l := tensors.New(f)
	list := tensors.List(f)
	if len(list) != 5 || list[0].TypeName() != "INT8" || list[1].TypeName() != "INT4" || list[2].Name != "c.scale" || list[3].TypeName() != "INT8" || list[4].TypeName() != "INT4" {
		t.Fatalf("%+v", list)
	}
	// 8 bits and 16 of scale per 256 values, the second block being short; 4 bits, 16 of
	// scale, 8 of two group scales per 64 values.
	if list[0].Len() != 32*320 || list[0].Size() != 32*320+32*2*2 || list[1].Size() != 16*64/2+16*2+16 {
		t.Errorf("%d values in %d bytes, %d bytes", list[0].Len(), list[0].Size(), list[1].Size())
	}
	// Those of 320 columns and the number of columns.
	if list[3].Len() != 16*oddColumns || list[3].Size() != 16*320+16*2*2+4 || list[4].Size() != 32*320/2+32*2*2+32*5+4 {
		t.Errorf("%d values in %d bytes, %d bytes", list[3].Len(), list[3].Size(), list[4].Size())
	}
	for name, want := range map[string][]int{"a": {32, 320}, "b": {16, 64}, "c.scale": {7}, "d": {16, oddColumns}, "e": {32, oddColumns}} {
		if got := l.Shape(name); !slices.Equal(got, want) {
			t.Errorf("%s: shape %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"a", "b", "d", "e"} {
		m, err := l.Matrix(name, -1, -1)
		if err != nil || !m.Type().Packed() {
			t.Fatalf("%s: %+v, %v", name, m, err)
		}
		v, err := l.Vector(name, m.Rows()*m.Cols())
		if err != nil {
			t.Fatal(err)
		}
		row := make([]float32, m.Cols())
		m.Row(row, 5)
		if !slices.Equal(row, v[5*m.Cols():][:m.Cols()]) {
			t.Errorf("%s: row 5 differs", name)
		}
	}
	if _, err := l.Matrix("a", 32, 64); err == nil || !strings.Contains(err.Error(), "shape [32 320], want [32, 64]") {
		t.Errorf("other columns: %v", err)
	}
}

// TestPackedErrors: parts that do not belong together.
func TestPackedErrors(t *testing.T) {
	set := func(i int, typ weights.DType, shape ...int) func([]weights.TensorInfo) {
		return func(infos []weights.TensorInfo) { infos[i].Type, infos[i].Shape = typ, shape }
	}
	for want, change := range map[string]func([]weights.TensorInfo){
		"tensor w: I8 of shape [2 16 16 2], want I8 of shape [2 16 16 4]":   set(0, weights.I8, 2, 16, 16, 2),
		"tensor w: shape [2 16 64]":                                         set(0, weights.I8, 2, 16, 64),
		"tensor w: shape [2 15 16 4]":                                       set(0, weights.I8, 2, 15, 16, 4),
		"tensor w: shape [0 16 16 4]":                                       set(0, weights.I8, 0, 16, 16, 4),
		"tensor w.scale: F16 of shape [2 2 16], want F16 of shape [2 1 16]": set(1, weights.F16, 2, 2, 16),
		"tensor w.scale: F32 of shape [2 1 16], want F16":                   set(1, weights.F32, 2, 1, 16),
		"tensor w.group: I8 of shape [2 1 16], want I8 of shape [2 2 16]":   set(2, weights.I8, 2, 1, 16),
		"tensor w.group: F16 of shape [2 2 16], want I8":                    set(2, weights.F16, 2, 2, 16),
		"tensor w of type I8: unsupported weight type 24":                   func(infos []weights.TensorInfo) { infos[1].Name = "other" },
	} {
		infos := parts("w", quant.P4, 32, 128)
		change(infos)
		f := gguf(t, infos...)
		l := tensors.New(f)
		_, err := l.Matrix("w", -1, -1)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if len(tensors.List(f)) != 3 || l.Shape("w") == nil {
			t.Errorf("%s: %d weights of shape %v", want, len(tensors.List(f)), l.Shape("w"))
		}
	}
}

// TestColumnsErrors: numbers of columns that cannot be.
func TestColumnsErrors(t *testing.T) {
	for _, c := range []struct {
		columns uint32
		change  func(*weights.TensorInfo)
		want    string
	}{
		{301, nil, ""},
		{257, nil, ""},
		{319, nil, ""},
		{256, nil, "tensor w.columns: 256 columns cannot be those of a matrix stored with 320"},
		{320, nil, "320 columns cannot be"},
		{321, nil, "321 columns cannot be"},
		{0, nil, "0 columns cannot be"},
		{1 << 31, nil, "-2147483648 columns cannot be"},
		{1<<32 - 1, nil, "-1 columns cannot be"},
		{301, func(i *weights.TensorInfo) { i.Type = weights.F32 }, "tensor w.columns: F32 of shape [1], want I32 of shape [1]"},
		{301, func(i *weights.TensorInfo) { i.Shape = nil }, "tensor w.columns: I32 of shape []"},
		{301, func(i *weights.TensorInfo) { i.Shape = []int{2} }, "tensor w.columns: I32 of shape [2]"},
		{301, func(i *weights.TensorInfo) { i.Shape = []int{0} }, "tensor w.columns: I32 of shape [0]"},
	} {
		infos := parts("w", quant.P4, 16, 301)
		if c.change != nil {
			c.change(&infos[3])
		}
		l := tensors.New(ggufOf(t, infos, func(name string, b []byte) {
			if name == "w.columns" && len(b) >= 4 {
				binary.LittleEndian.PutUint32(b, c.columns)
			}
		}))
		m, err := l.Matrix("w", -1, -1)
		if c.want == "" {
			if err != nil || m.Cols() != int(c.columns) {
				t.Errorf("%d columns: %+v, %v", c.columns, m, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d columns: %v, want %q", c.columns, err, c.want)
		}
	}
}

// TestPackedDamaged: whatever is done to a file of packed matrices, they are refused or
// can be used, and do not cost more memory than the file.
func TestPackedDamaged(t *testing.T) {
	infos := append(parts("a", quant.P8, 32, 128), parts("b", quant.P4, 16, oddColumns)...)
	good, err := os.ReadFile(gguf(t, infos...).Tensors()[0].File())
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	s := quant.NewScratch(nil)
	use := func(f *weights.File) (used int) {
		l := tensors.New(f)
		for _, w := range tensors.List(f) {
			m, err := l.Matrix(w.Name, -1, -1)
			if err != nil || m.Rows()*m.Cols() > 1<<20 {
				continue
			}
			used++
			if _, err := l.Vector(w.Name, -1); err != nil {
				t.Errorf("%s: a matrix, but %v", w.Name, err)
			}
			m.Mul(s, make([]float32, 2*m.Rows()), make([]float32, 2*m.Cols()), 2)
		}
		return used
	}
	var opened, used int
	for range 1000 {
		bad := hostile.Damage(r, good, "\x10\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x10", "a.scale", "b.group", "b.columns", "\x18\x00\x00\x00", "\x2d\x01\x00\x00")
		n := hostile.Allocated(hostile.Budget(len(bad)), func() {
			f, err := weights.OpenBytes("bad", bad)
			if err != nil {
				return
			}
			defer f.Close()
			opened++
			used += use(f)
		})
		if n > hostile.Budget(len(bad)) {
			t.Fatalf("%d bytes for a file of %d", n, len(bad))
		}
	}
	t.Logf("%d of 1000 files opened, %d matrices used", opened, used)
}

// TestPlainBesideScale: a tensor that is not I8 is no packed matrix, whatever its
// neighbours are called.
func TestPlainBesideScale(t *testing.T) {
	infos := parts("w", quant.P4, 32, 128)
	infos[0].Type = weights.F16
	f := gguf(t, infos...)
	m, err := tensors.New(f).Matrix("w", 2, -1)
	if err != nil || m.Type() != quant.F16 || len(tensors.List(f)) != 3 {
		t.Errorf("%+v, %v, %d weights", m, err, len(tensors.List(f)))
	}
}
