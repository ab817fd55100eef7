package vlm_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// TestConvertAddsColumns: a matrix of 304 columns is packed as 320, like that of 4304 in
// SigLIP so400m, and has 304 everywhere but in the file.
func TestConvertAddsColumns(t *testing.T) {
	spec := base
	spec.Width, spec.MLP, spec.Vocab = 64, 304, 128
	const name = "vit.siglip_featurizer.blocks.0.mlp.fc2.weight"
	for _, typ := range []quant.Type{quant.P8, quant.P4} {
		path := convertTiny(t, spec, typ)
		f, err := weights.OpenBytes(path, readFile(t, path)) // of no origin
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l := tensors.New(f)
		m, err := l.Matrix(name, 64, 304)
		if err != nil || m.Type() != quant.P8 || !slices.Equal(l.Shape(name), []int{64, 304}) {
			t.Fatalf("%v: %+v, shape %v, %v", typ, m, l.Shape(name), err)
		}
		if c := f.Lookup(name + tensors.ColumnsSuffix); c == nil || f.Lookup(name).Shape[1] != 80 {
			t.Errorf("%v: %+v, %+v", typ, f.Lookup(name), c)
		}
		c, err := vlm.Describe(f, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, wide := filepath.Join(t.TempDir(), "again.gguf"), filepath.Join(t.TempDir(), "wide.gguf")
		if err := convertFile(t, again, f, c, typ); err != nil {
			t.Fatal(err)
		}
		a, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(again); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%v: converting to the same type changed the file, %v", typ, err)
		}
		if err := convertFile(t, wide, f, c, quant.F32); err != nil {
			t.Fatal(err)
		}
		g, err := weights.Open(wide)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		got, err := tensors.New(g).Vector(name, 64*304)
		if err != nil {
			t.Fatal(err)
		}
		want, err := l.Vector(name, 64*304)
		if err != nil || !slices.Equal(got, want) || g.Lookup(name+tensors.ColumnsSuffix) != nil {
			t.Errorf("%v: other values as f32, %v", typ, err)
		}
		model, err := vlm.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer model.Close()
		s := stream(t, model)
		see(t, s, 1, 2)
		if ask(t, s, "what?") == "" {
			t.Errorf("%v: no answer", typ)
		}
	}
}
