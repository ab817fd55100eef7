package vlm_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// source makes a source of files in memory, each a list of tensors.
func source(t testing.TB, files ...[]tinymodel.Tensor) *vlm.Source {
	t.Helper()
	s, err := sourceOf(files...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sourceOf(files ...[]tinymodel.Tensor) (*vlm.Source, error) {
	var open []*weights.File
	for i, list := range files {
		f, err := weights.OpenBytes(fmt.Sprintf("file%d", i), (&tinymodel.Model{Tensors: list}).Safetensors())
		if err != nil {
			return nil, err
		}
		open = append(open, f)
	}
	return vlm.NewSource(open...)
}

// converted converts s to f32 and returns the tensors of the file.
func converted(t testing.TB, s *vlm.Source, config []byte) (map[string][]float32, error) {
	t.Helper()
	c, err := s.Describe(config, nil)
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x.gguf")
	if err := s.Convert(t.Context(), path, c, quant.F32, nil); err != nil {
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("a refused conversion left %v", left)
		}
		return nil, err
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := map[string][]float32{}
	for _, x := range f.Tensors() {
		v := make([]float32, x.Len())
		if err := x.Float32(v); err != nil {
			t.Fatal(err)
		}
		got[x.Name] = v
	}
	return got, nil
}

func find(t testing.TB, list []tinymodel.Tensor, name string) *tinymodel.Tensor {
	t.Helper()
	i := slices.IndexFunc(list, func(x tinymodel.Tensor) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("no tensor %s", name)
	}
	return &list[i]
}

// Whatever is wrong with a checkpoint is one error, and no file is left.
func TestProblems(t *testing.T) {
	m := tinymodel.New(base).Tensors
	key := find(t, m, "rwkv.blocks.1.att.key.weight")
	key.Shape = []int{32, 128}
	find(t, m, "state_encoder.blocks.1.ffn.value.weight").Data[7] = float32(math.NaN())
	inf := find(t, m, "rwkv.emb.weight")
	inf.Data[0], inf.Data[3] = float32(math.Inf(1)), float32(math.Inf(-1))
	find(t, m, "proj.gate.weight").Name = "proj.gates.weight"
	find(t, m, "rwkv.blocks.0.att.time_faaaa").Name = "gone"
	_, err := converted(t, source(t, m), config(t))
	var p *vlm.Problems
	if !errors.As(err, &p) || !errors.Is(err, vlm.ErrConfig) || p.N != 5 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{
		"rwkv.blocks.1.att.key.weight: shape [32 128], want [64, 64]",
		"state_encoder.blocks.1.ffn.value.weight: 1 of 6144 values are not finite, the first is number 7",
		"rwkv.emb.weight: 2 of 7680 values are not finite, the first is number 0",
		"proj.gate.weight is missing",
		"rwkv.blocks.0.att.time_faaaa is missing",
		"nothing reads them: ", "proj.gates.* (1)", "gone",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

// What is wrong with the configuration is in the same list as what is wrong with the tensors.
func TestProblemsOfConfiguration(t *testing.T) {
	m := tinymodel.New(base).Tensors
	find(t, m, "rwkv.blocks.1.att.key.weight").Shape = []int{32, 128}
	find(t, m, "proj.gate.weight").Name = "proj.gates.weight"
	_, err := source(t, m).Describe([]byte(`{"prompt.stop": 120, "vision.siglip.head_count": 5}`), []byte("119 'a' 1\n"))
	p, ok := errors.AsType[*vlm.Problems](err)
	if !ok || p.N != 5 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{
		"prompt.stop", "head_count", "image token 119 is a token of the vocabulary",
		"rwkv.blocks.1.att.key.weight: shape [32 128], want [64, 64]", "proj.gate.weight is missing", "nothing reads them: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

// Values alone are an error too, found while the file is being written.
func TestProblemsOfValues(t *testing.T) {
	m := tinymodel.New(base).Tensors
	for _, name := range []string{"rwkv.emb.weight", "rwkv.head.weight"} {
		find(t, m, name).Data[2] = float32(math.NaN())
	}
	_, err := converted(t, source(t, m), config(t))
	if err == nil || !strings.Contains(err.Error(), "2 problems") || !strings.Contains(err.Error(), "rwkv.head.weight: 1 of") {
		t.Error(err)
	}
}

// So are types that cannot be read.
func TestProblemsOfTypes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in.gguf")
	var infos []weights.TensorInfo
	for _, x := range tinymodel.New(tinymodel.Spec{Variant: "vanilla"}).Tensors {
		info := weights.TensorInfo{Name: x.Name, Type: weights.F32, Shape: x.Shape}
		if strings.HasSuffix(x.Name, "head.weight") || strings.HasSuffix(x.Name, "1.att.key.weight") {
			info.Type = weights.I32
		}
		infos = append(infos, info)
	}
	if err := weights.WriteGGUF(path, nil, infos, func(g *weights.GGUFWriter) error {
		for _, x := range infos {
			size, err := x.Type.Size(x.Shape)
			if err != nil {
				return err
			}
			if err := g.Begin(x.Name); err != nil {
				return err
			}
			if _, err := g.Write(make([]byte, size)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s, err := vlm.OpenSource(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = converted(t, s, nil)
	if err == nil || !strings.Contains(err.Error(), "2 problems") || !strings.Contains(err.Error(), "rwkv.head.weight: cannot convert type I32") {
		t.Error(err)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	m := tinymodel.New(base).Tensors
	for i := range m {
		if strings.HasPrefix(m[i].Name, "state_encoder.") {
			m[i].Data[0] = float32(math.NaN())
		}
	}
	_, err := converted(t, source(t, m), config(t))
	if err == nil || strings.Count(err.Error(), "\n") > 25 || !strings.Contains(err.Error(), "and ") {
		t.Error(err)
	}
}

// allVariants are models of all kinds; those with SAM's tower have no block that is not used.
var allVariants = []tinymodel.Spec{
	{Variant: "hybrid", Image: 32}, {Variant: "hybrid-sigmoid", Image: 32, GatedProjector: true}, {Variant: "hybrid-oldest", Image: 32},
	{Variant: "cross", Image: 32}, {Variant: "vanilla", Image: 32}, {Variant: "rwkv7", Image: 32}, {Variant: "bidirectional", Image: 32}, {Variant: "hybrid", Image: 32, Window: 3}, {Variant: "vanilla"},
}

// TestExpectation: of a whole model nothing is left out but the tower's last block (not CLIP's) and norm,
// and without one of its tensors it is refused.
func TestExpectation(t *testing.T) {
	step := 4
	if testing.Short() {
		step = 24
	}
	for _, spec := range allVariants {
		spec.Seed, spec.F = 1, 32
		m := tinymodel.New(spec).Tensors
		got, err := converted(t, source(t, m), []byte(towerConfig))
		if err != nil {
			t.Errorf("%+v: %v", spec, err)
			continue
		}
		for i, x := range m {
			_, kept := got[x.Name]
			dead := strings.HasPrefix(x.Name, "vit.siglip_featurizer.blocks.1.") || strings.HasPrefix(x.Name, "vit.siglip_featurizer.norm.") ||
				strings.HasPrefix(x.Name, "vit.vision_model.post_layernorm.")
			if kept == dead {
				t.Errorf("%s, %+v: kept is %v", x.Name, spec, kept)
			}
			if !kept || i%step != 1 {
				continue
			}
			s, err := sourceOf(slices.Delete(slices.Clone(m), i, i+1))
			if err == nil {
				_, err = converted(t, s, []byte(towerConfig))
			}
			if err == nil || !strings.Contains(err.Error(), x.Name) && !strings.Contains(err.Error(), strings.TrimSuffix(x.Name, "weight")) {
				t.Errorf("%+v without %s: %v", spec, x.Name, err)
			}
		}
	}
}

func TestWrongCombinations(t *testing.T) {
	withPrefix := func(list []tinymodel.Tensor, keep bool, prefixes ...string) (out []tinymodel.Tensor) {
		for _, x := range list {
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(x.Name, p) }) == keep {
				out = append(out, x)
			}
		}
		return out
	}
	hybrid, cross := tinymodel.New(tinymodel.Spec{}).Tensors, tinymodel.New(tinymodel.Spec{Variant: "cross"}).Tensors
	seeing, sam := tinymodel.New(base).Tensors, tinymodel.New(tinymodel.Spec{Image: 32, Window: 3}).Tensors
	vanilla := tinymodel.New(tinymodel.Spec{Variant: "vanilla"}).Tensors
	wide := tinymodel.New(tinymodel.Spec{H: 3}).Tensors
	for name, c := range map[string]struct {
		files [][]tinymodel.Tensor
		want  string
	}{
		"mixed": {[][]tinymodel.Tensor{append(withPrefix(hybrid, false, "rwkv.blocks.1."), withPrefix(cross, true, "rwkv.blocks.1.")...)},
			"mixed variants: blocks 0 to 0 are hybrid, blocks 1 to 1 are cross"},
		"language half":    {[][]tinymodel.Tensor{withPrefix(hybrid, true, "rwkv.")}, "no state encoder"},
		"visual half":      {[][]tinymodel.Tensor{withPrefix(hybrid, false, "rwkv.")}, "no language model"},
		"halves of two":    {[][]tinymodel.Tensor{withPrefix(hybrid, true, "rwkv."), withPrefix(wide, true, "state_encoder.")}, "state_encoder.blocks.0.att.key.weight: shape [96 96], want [64, 64]"},
		"vanilla with one": {[][]tinymodel.Tensor{vanilla, withPrefix(hybrid, true, "state_encoder.")}, "a state encoder, but decoder blocks of variant vanilla"},
		"wrong tower":      {[][]tinymodel.Tensor{withPrefix(seeing, false, "vit."), withPrefix(sam, true, "vit.")}, "want [64, 64] for features of sam: a wrong tower"},
		"twice":            {[][]tinymodel.Tensor{hybrid, hybrid}, "is in file0 too"},
		"another model's":  {[][]tinymodel.Tensor{{{Name: "model.layers.0.mlp.weight", Shape: []int{1}, Data: []float32{1}}}}, "no VisualRWKV model"},
	} {
		s, err := sourceOf(c.files...)
		if err == nil {
			_, err = converted(t, s, []byte(towerConfig))
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Provenance: names, sizes and sums of the files, kept when the model is converted again.
func TestOrigins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(path, tinymodel.New(base).Safetensors(), 0o644); err != nil {
		t.Fatal(err)
	}
	in := path
	for _, out := range []string{filepath.Join(dir, "a.gguf"), filepath.Join(dir, "b.gguf")} {
		s, err := vlm.OpenSource(in)
		if err != nil {
			t.Fatal(err)
		}
		about := config(t)
		if in != path {
			about = nil
		}
		c, err := s.Describe(about, nil)
		if err != nil {
			t.Fatal(err)
		}
		if in == path {
			c.License = "MIT"
		}
		var last, total int64
		if err := s.Convert(t.Context(), out, c, quant.F16, func(d, n int64) { last, total = d, n }); err != nil {
			t.Fatal(err)
		}
		if last != total {
			t.Errorf("progress ended at %d of %d", last, total)
		}
		s.Close()
		in = out
	}
	f, err := weights.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := vlm.Origins(f.Meta())
	data := readFile(t, path)
	if err != nil || len(got) != 1 || got[0].File != "model.safetensors" || got[0].Bytes != int64(len(data)) || got[0].SHA256 != sha256Of(data) {
		t.Errorf("%+v, %v", got, err)
	}
	if l, _ := f.Meta().Str("general.license"); l != "MIT" {
		t.Errorf("licence %q", l)
	}
}

// An interrupted conversion leaves nothing.
func TestConvertCancelled(t *testing.T) {
	s := source(t, tinymodel.New(base).Tensors)
	c, err := s.Describe(config(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextWithCancel(t)
	dir := t.TempDir()
	err = s.Convert(ctx, filepath.Join(dir, "x.gguf"), c, quant.F16, func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	})
	if left, _ := os.ReadDir(dir); !errors.Is(err, ctx.Err()) || len(left) > 0 {
		t.Errorf("%v, left %v", err, left)
	}
}
