package tensors_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

const dir = "../../../weights/testdata/"

func open(t *testing.T, files ...string) *weights.File {
	t.Helper()
	for i := range files {
		files[i] = dir + files[i]
	}
	f, err := weights.OpenAll(files...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

var _ quant.Loader = (*tensors.Loader)(nil)

func TestLoader(t *testing.T) {
	l := tensors.New(open(t, "hm21_small.bf16.pth"))
	const w2 = "rwkv.blocks.0.att.time_maa_w2"
	shape := l.Shape(w2)
	if len(shape) != 3 || shape[0] != 5 || shape[2] != 64 {
		t.Fatalf("shape %v", shape)
	}
	v, err := l.Vector(w2, 5*shape[1]*64)
	if err != nil {
		t.Fatal(err)
	}
	// Of a tensor of more dimensions, the first counts the rows.
	m, err := l.Matrix(w2, 5, -1)
	if err != nil || m.Rows() != 5 || m.Cols() != shape[1]*64 || m.Type() != quant.BF16 {
		t.Fatalf("matrix %+v, %v", m, err)
	}
	row := make([]float32, m.Cols())
	for i := range 5 {
		m.Row(row, i)
		if !slices.Equal(row, v[i*len(row):(i+1)*len(row)]) {
			t.Errorf("row %d differs", i)
		}
	}
	if l.Shape("nothing") != nil {
		t.Error("a shape of nothing")
	}
}

func TestLoaderErrors(t *testing.T) {
	l := tensors.New(open(t, "hm21_small.bf16.pth"))
	const key = "rwkv.blocks.0.att.key.weight"
	if _, err := l.Matrix("nothing", -1, -1); !errors.Is(err, tensors.ErrMissing) || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("missing matrix: %v", err)
	}
	if _, err := l.Vector("nothing", -1); !errors.Is(err, tensors.ErrMissing) {
		t.Errorf("missing vector: %v", err)
	}
	for _, c := range [][2]int{{63, -1}, {-1, 63}, {64, 65}} {
		if _, err := l.Matrix(key, c[0], c[1]); err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "[64 64]") {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, err := l.Vector(key, 64); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("short vector: %v", err)
	}
}

// The halves of an export are one model.
func TestSplit(t *testing.T) {
	l := tensors.New(open(t, "hm21_small_rwkv.fp16.pth", "hm21_small_visual.fp16.pth"))
	for _, name := range []string{"rwkv.head.weight", "proj.weight", "state_encoder.blocks.0.att.key.weight"} {
		if _, err := l.Matrix(name, -1, -1); err != nil {
			t.Error(err)
		}
	}
}
