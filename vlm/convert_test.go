package vlm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// convertTiny writes a GGUF file of a tiny model.
func convertTiny(t testing.TB, s tinymodel.Spec, typ quant.Type) string {
	t.Helper()
	return convertModel(t, tinymodel.New(s), typ)
}

func convertModel(t testing.TB, m *tinymodel.Model, typ quant.Type) string {
	t.Helper()
	f, err := weights.OpenBytes("tiny", m.Safetensors())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := vocabulary()
	c, err := vlm.Describe(f, config(t), text)
	if err != nil {
		t.Fatal(err)
	}
	c.Name = "tiny"
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	var done, total int64
	s, err := vlm.NewSource(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Convert(t.Context(), path, c, typ, func(d, t int64) { done, total = d, t }); err != nil {
		t.Fatal(err)
	}
	if done != total || done == 0 {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	return path
}

// convertFile converts an open file.
func convertFile(t testing.TB, path string, f *weights.File, c vlm.Config, typ quant.Type) error {
	t.Helper()
	s, err := vlm.NewSource(f)
	if err != nil {
		t.Fatal(err)
	}
	return s.Convert(t.Context(), path, c, typ, nil)
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestConvertAsGGML compares the blocks in a converted file with those that ggml
// makes of the same values: testdata/ggml_quantize.c wrote them.
func TestConvertAsGGML(t *testing.T) {
	want, err := os.ReadFile("testdata/ggml_quantize.bin")
	if err != nil {
		t.Fatal(err)
	}
	const name, values = "rwkv.blocks.0.att.key.weight", 64 * 64
	spec := base
	spec.Width, spec.MLP, spec.Vocab = 64, 96, 128
	m := tinymodel.New(spec)
	key := &m.Tensors[slices.IndexFunc(m.Tensors, func(t tinymodel.Tensor) bool { return t.Name == name })]
	if len(key.Data) != values {
		t.Fatalf("%d values", len(key.Data))
	}
	for i := range key.Data {
		key.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(want[4*i:]))
	}
	want = want[4*values:]
	for _, typ := range []quant.Type{quant.Q8_0, quant.Q4_0} {
		f, err := weights.Open(convertModel(t, m, typ))
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Lookup(name).Data()
		if err != nil || len(got) > len(want) || !bytes.Equal(got, want[:len(got)]) {
			t.Errorf("%v: not the bytes of ggml, %v", typ, err)
		}
		want = want[len(got):]
		f.Close()
	}
	if len(want) != 0 {
		t.Errorf("%d bytes were not compared", len(want))
	}
}

func TestConvertKeepsEverything(t *testing.T) {
	want := stream(t, open(t, base, nil))
	m, err := vlm.Open(convertTiny(t, base, quant.F32), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if a, b := m.Config(), want.Model().Config(); a.Name != "tiny" || a.Towers[0] != b.Towers[0] || a.Caption != b.Caption ||
		a.Stop != b.Stop || a.DecoderTokens != b.DecoderTokens || a.EncoderTokens != b.EncoderTokens || a.Views != b.Views || !slices.Equal(a.Tokens, b.Tokens) {
		t.Errorf("configuration %+v, want %+v", a, b)
	}
	got := stream(t, m)
	see(t, want, 1, 2)
	see(t, got, 1, 2)
	if !slices.Equal(got.ImageState(), want.ImageState()) {
		t.Error("image states differ")
	}
	if a, b := ask(t, got, "what?"), ask(t, want, "what?"); a != b {
		t.Errorf("answers %q and %q", a, b)
	}
}

func TestConvertTypes(t *testing.T) {
	// As wide as to have matrices worth quantising.
	hybrid, rwkv7, bidirectional := base, base, base
	hybrid.Width, hybrid.MLP, hybrid.Vocab = 64, 96, 128
	rwkv7.Variant, rwkv7.H, rwkv7.Vocab, rwkv7.Width = "rwkv7", 32, 128, 64
	bidirectional.Variant, bidirectional.Vocab, bidirectional.Width = "bidirectional", 128, 64
	for _, typ := range vlm.ConvertTypes {
		checkTypes(t, bidirectional, typ, map[string]quant.Type{
			"rwkv.blocks.0.att.key.weight":                              typ,
			"vit.vision_model.encoder.layers.0.self_attn.q_proj.weight": sensitive(typ),
			"vit.vision_model.embeddings.patch_embedding.weight":        half(typ),
			"vit.vision_model.embeddings.class_embedding":               quant.F32,
		})
		checkTypes(t, hybrid, typ, map[string]quant.Type{
			"rwkv.blocks.0.att.key.weight":                  typ,
			"rwkv.blocks.1.ffn.value.weight":                plain(typ), // 96 columns
			"state_encoder.blocks.0.att.output.weight":      typ,
			"vit.siglip_featurizer.blocks.0.mlp.fc1.weight": sensitive(typ),
			"proj.gate.weight":                              sensitive(typ),
			"rwkv.emb.weight":                               sensitive(plain(typ)),
			"rwkv.head.weight":                              sensitive(typ),
			"rwkv.blocks.0.att.time_maa_w2":                 half(typ),
			"vit.siglip_featurizer.patch_embed.proj.weight": half(typ),
			"rwkv.blocks.0.att.ln_x.weight":                 quant.F32,
			"rwkv.blocks.0.att.time_maa_k":                  quant.F32,
			"rwkv.blocks.0.att.time_faaaa":                  quant.F32,
		})
		if testing.Short() {
			continue // 1024 channels
		}
		checkTypes(t, rwkv7, typ, map[string]quant.Type{
			"rwkv.blocks.0.att.key.weight": typ,
			"rwkv.blocks.1.ffn.key.weight": typ,
			"proj.gate.weight":             sensitive(typ),
			"proj.o_proj.weight":           sensitive(typ),
			"rwkv.blocks.1.att.w1":         half(typ),
			"rwkv.blocks.1.att.a2":         half(typ),
			"rwkv.blocks.1.att.v1":         half(typ),
			"rwkv.blocks.0.att.g2":         half(typ),
			"rwkv.blocks.0.att.w0":         quant.F32,
			"rwkv.blocks.0.att.k_k":        quant.F32,
			"rwkv.blocks.0.att.r_k":        quant.F32, // 1024 values
		})
	}
}

// checkTypes converts a model to typ, compares the types of some tensors with want, and
// asks the converted model something.
func checkTypes(t *testing.T, spec tinymodel.Spec, typ quant.Type, want map[string]quant.Type) {
	t.Helper()
	path := convertTiny(t, spec, typ)
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := map[string]quant.Type{}
	for _, w := range tensors.List(f) {
		got[w.Name] = w.Type
	}
	for name, want := range want {
		if got[name] != want {
			t.Errorf("%v: %s is %v, want %v", typ, name, got[name], want)
		}
	}
	m, err := vlm.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := stream(t, m)
	see(t, s, 1)
	if a := ask(t, s, "what?"); a == "" {
		t.Errorf("%s, %v: no answer", m.Config().Variant, typ)
	}
}

// TestConvertPacked: a packed file gives the values that were packed, and is copied as
// it is when the type stays.
func TestConvertPacked(t *testing.T) {
	spec := base
	spec.Width, spec.Vocab = 64, 128
	source, err := weights.OpenBytes("tiny", tinymodel.New(spec).Safetensors())
	if err != nil {
		t.Fatal(err)
	}
	const name = "rwkv.blocks.0.att.key.weight"
	want, err := tensors.New(source).Vector(name, -1)
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []quant.Type{quant.P8, quant.P4} {
		path := convertTiny(t, spec, typ)
		f, err := weights.OpenBytes(path, readFile(t, path)) // of no origin
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c, err := vlm.Describe(f, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, wide := filepath.Join(t.TempDir(), "again.gguf"), filepath.Join(t.TempDir(), "wide.gguf")
		if err := convertFile(t, again, f, c, typ); err != nil {
			t.Fatal(err)
		}
		a, _ := os.ReadFile(path)
		b, _ := os.ReadFile(again)
		if !bytes.Equal(a, b) {
			t.Errorf("%v: converting to the same type changed the file", typ)
		}
		if err := convertFile(t, wide, f, c, quant.F32); err != nil {
			t.Fatal(err)
		}
		g, err := weights.Open(wide)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		if g.Lookup(name+tensors.ScaleSuffix) != nil || g.Lookup(name+tensors.GroupSuffix) != nil {
			t.Errorf("%v: scales were left beside f32 values", typ)
		}
		got, err := tensors.New(g).Vector(name, len(want))
		if err != nil {
			t.Fatal(err)
		}
		most := slices.Max(want)
		for i, v := range got {
			if d := v - want[i]; d > most/7 || d < -most/7 {
				t.Fatalf("%v: value %d is %v, was %v", typ, i, v, want[i])
			}
		}
		for i, w := range vlm.Weights(g) {
			if p := vlm.Weights(f)[i]; p.Name != w.Name || p.Values != w.Values || !slices.Equal(p.Shape, w.Shape) {
				t.Errorf("%v: %+v became %+v", typ, p, w)
			}
		}
	}
}

func sensitive(t quant.Type) quant.Type {
	switch t {
	case quant.Q4_0:
		return quant.Q8_0
	case quant.P4:
		return quant.P8
	}
	return t
}

// plain is the type of matrices that cannot be packed.
func plain(t quant.Type) quant.Type {
	switch t {
	case quant.P8:
		return quant.Q8_0
	case quant.P4:
		return quant.Q4_0
	}
	return t
}

func half(t quant.Type) quant.Type {
	switch t {
	case quant.F32, quant.BF16:
		return t
	}
	return quant.F16
}

// From f32 through f16 to q8_0, as quantize does, the configuration survives
// and files of the same input are the same.
func TestConvertAgain(t *testing.T) {
	path := convertTiny(t, base, quant.F16)
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := vlm.Describe(f, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var files [2][]byte
	for i := range files {
		out := filepath.Join(t.TempDir(), "q.gguf")
		if err := convertFile(t, out, f, c, quant.Q8_0); err != nil {
			t.Fatal(err)
		}
		if files[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two conversions differ")
	}
	m, err := vlm.OpenBytes("q", files[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}

func TestConvertRefuses(t *testing.T) {
	m := tinymodel.New(base)
	text, _ := vocabulary()
	for name, c := range map[string]struct {
		value float32
		typ   quant.Type
		ok    bool
	}{
		"too large for f16": {70000, quant.F16, false},
		"fits bf16":         {70000, quant.BF16, true},
		"too large for q8":  {3e38, quant.Q8_0, false},
	} {
		for i := range m.Tensors {
			if m.Tensors[i].Name == "rwkv.blocks.0.att.key.weight" {
				m.Tensors[i].Data[5] = c.value
			}
		}
		f, err := weights.OpenBytes("tiny", m.Safetensors())
		if err != nil {
			t.Fatal(err)
		}
		desc, err := vlm.Describe(f, config(t), text)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "x.gguf")
		if err := convertFile(t, out, f, desc, c.typ); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(out); (err == nil) != c.ok {
			t.Errorf("%s: file: %v", name, err)
		}
	}
	f, err := weights.OpenBytes("tiny", m.Safetensors())
	if err != nil {
		t.Fatal(err)
	}
	c, err := vlm.Describe(f, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := convertFile(t, filepath.Join(t.TempDir(), "x.gguf"), f, c, quant.F32); !errors.Is(err, vlm.ErrConfig) {
		t.Errorf("without the number of heads: %v", err)
	}
}

// Damaged model files are refused for little memory, or opened, never worse.
func TestModelMutations(t *testing.T) {
	packed := smallest
	packed.H, packed.N, packed.F = 2, 32, 64 // the smallest width that is packed
	var files [2][]byte
	for i, path := range []string{convertTiny(t, smallest, quant.F16), convertTiny(t, packed, quant.P4)} {
		var err error
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(9, 9))
	opened := 0
	for round := range 1000 {
		data := files[round%2]
		head := len(data)
		if rng.IntN(4) > 0 {
			head = min(head, 20000) // where names, shapes and keys are
		}
		b := append(hostile.Damage(rng, data[:head], sizes...), data[head:]...)
		var m *vlm.Model
		var err error
		budget := hostile.Budget(len(b))
		n := hostile.Allocated(budget, func() { m, err = vlm.OpenBytes("mutant", b, &vlm.Options{Threads: 1}) })
		if n > budget {
			t.Fatalf("%d bytes allocated for %d, %v", n, len(b), err)
		}
		if err != nil {
			if !strings.Contains(err.Error(), "mutant") || len(err.Error()) > 1000 {
				t.Fatalf("unclear error %q", err)
			}
			continue
		}
		opened++
		if s, err := m.NewStream(); err == nil && m.Config().Towers[0].ImageSize <= 256 {
			if err := s.See(t.Context(), picture(1)); err == nil {
				_, _ = s.Answer(t.Context(), "what?", short)
			}
		}
		m.Close()
	}
	if opened == 0 || opened > 500 {
		t.Errorf("%d of 1000 opened", opened)
	}
}

func TestPlanIsClose(t *testing.T) {
	for _, variant := range append(slices.Clone(variants), "bidirectional") {
		spec := base
		spec.Variant = variant
		path := convertTiny(t, spec, quant.F16)
		m, err := vlm.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		f, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		pictures := []uint64{1, 2, 3}[:min(3, m.Config().MaxViews())]
		p := m.Config().Plan(vlm.FileSizes(f), 2, len(pictures))
		s := stream(t, m)
		see(t, s, pictures...)
		if got := int64(s.StateSize()); got != p.Snapshot {
			t.Errorf("%s: plan says a snapshot has %d bytes, it has %d", variant, p.Snapshot, got)
		}
		if got := int64(4 * len(s.ImageState())); got != p.ImageState {
			t.Errorf("%s: plan says the image state has %d bytes, it has %d", variant, p.ImageState, got)
		}
		if p.Total <= p.File+2*p.Stream {
			t.Errorf("%s: plan %+v", variant, p)
		}
	}
}
