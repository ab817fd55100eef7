package vlm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// quantizable is a tiny model of which many matrices can be packed.
func quantizable(t testing.TB) *vlm.Source {
	t.Helper()
	spec := base
	spec.Width, spec.MLP, spec.Vocab = 64, 96, 128
	s, err := vlm.OpenSource(convertTiny(t, spec, quant.F32))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// look shows frame sets of pictures from seed on to a model and returns the logits of its
// answers, or of the tokens to follow.
func look(ctx context.Context, m *vlm.Model, seed uint64, sets int, follow [][]int) (tokens [][]int, logits []float32, err error) {
	s, err := m.NewStream()
	if err != nil {
		return nil, nil, err
	}
	return lookOn(ctx, s, seed, sets, follow)
}

// lookOn is look on a stream that has seen nothing.
func lookOn(ctx context.Context, s *vlm.Stream, seed uint64, sets int, follow [][]int) (tokens [][]int, logits []float32, err error) {
	for i := range sets {
		if err := s.See(ctx, picture(seed+uint64(2*i)), picture(seed+uint64(2*i+1))); err != nil {
			return nil, nil, err
		}
		var f [][]int
		if follow != nil {
			f = follow[i : i+1]
		}
		ids, err := s.Follow(ctx, []string{"what is it?"}, f, 8, func(_ int, l []float32) { logits = append(logits, l...) })
		if err != nil {
			return nil, nil, err
		}
		tokens = append(tokens, ids...)
	}
	return tokens, logits, nil
}

// looks is how many frame sets there are to learn from, and to measure a distance on.
func looks() int {
	if testing.Short() {
		return 6
	}
	return 12
}

func quantizeOptions(typ quant.Type) vlm.QuantizeOptions {
	return vlm.QuantizeOptions{
		Type: typ, Calibration: "pictures",
		Show: func(ctx context.Context, m *vlm.Model) error {
			_, _, err := look(ctx, m, 1000, looks(), nil)
			return err
		},
	}
}

// distance returns how far the logits of two files are from each other, on pictures that
// were not shown.
func distance(t *testing.T, a, b string) float64 {
	t.Helper()
	var all [2][]float32
	var tokens [][]int
	for i, path := range []string{a, b} {
		m, err := vlm.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if tokens, all[i], err = look(t.Context(), m, 1, looks(), tokens); err != nil {
			t.Fatal(err)
		}
	}
	var sum float64
	for i, v := range all[0] {
		sum += math.Pow(float64(v-all[1][i]), 2)
	}
	return sum
}

func describeSource(t *testing.T, s *vlm.Source) vlm.Config {
	t.Helper()
	c, err := s.Describe(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestQuantize: errors that make up for each other leave the answers nearer to the
// original's; the file says what is known about it; the same comes out again, in one pass
// or in several.
func TestQuantize(t *testing.T) {
	src := quantizable(t)
	c := describeSource(t, src)
	dir := t.TempDir()
	original, nearest := filepath.Join(dir, "f32.gguf"), filepath.Join(dir, "nearest.gguf")
	for path, typ := range map[string]quant.Type{original: quant.F32, nearest: quant.P4} {
		if err := src.Convert(t.Context(), path, c, typ, nil); err != nil {
			t.Fatal(err)
		}
	}
	o := quantizeOptions(quant.P4)
	o.Measure = func(ctx context.Context, path string, r *vlm.Quantization) error {
		m, err := vlm.Open(path, nil)
		if err != nil {
			return err
		}
		r.KLMean, r.KLMax, r.Top1, r.Tokens = 0.25, 0.5, 0.75, 96
		r.Results = []vlm.QuantizationResult{{Name: "caption", Original: 1, Quantized: 0.5}}
		return m.Close()
	}
	path, again := filepath.Join(dir, "int4.gguf"), filepath.Join(dir, "again.gguf")
	r, err := src.Quantize(t.Context(), path, c, o)
	if err != nil {
		t.Fatal(err)
	}
	before, after := distance(t, original, nearest), distance(t, original, path)
	t.Logf("distance %.4g, calibrated %.4g", before, after)
	if after > 0.95*before { // random weights leave little to gain
		t.Errorf("distance %.4g, calibrated %.4g", before, after)
	}
	used := 0
	for _, m := range r.Matrices {
		if m.Error > 0 {
			used++
			if m.Error > 1.2*m.Nearest {
				t.Errorf("%s: error %.3g, to nearest %.3g", m.Name, m.Error, m.Nearest)
			}
		}
	}
	if used < 10 || r.Type != "int4" || r.Bits < 4.1 || r.Bits > 8.6 {
		t.Errorf("%d matrices used, %s, %v bits", used, r.Type, r.Bits)
	}

	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	read, err := vlm.ReadQuantization(f.Meta())
	if err != nil {
		t.Fatal(err)
	}
	single := func(x *float64) { *x = float64(float32(*x)) }
	single(&r.Bits)
	for i := range r.Matrices {
		single(&r.Matrices[i].Error)
		single(&r.Matrices[i].Nearest)
	}
	if !reflect.DeepEqual(r, read) {
		t.Errorf("wrote %+v, read %+v", r, read)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	if _, err = src.Quantize(t.Context(), again, c, o); err != nil {
		t.Fatal(err)
	}
	a, _ := os.ReadFile(path)
	b, _ := os.ReadFile(again)
	if !bytes.Equal(a, b) {
		t.Error("the same quantisation gave other bytes")
	}

	o.Memory = int64(len(r.Matrices)/3) * quant.HessianBytes(96)
	var passes int
	o.Progress = func(what string) {
		if strings.HasPrefix(what, "pass ") {
			passes++
		}
	}
	if _, err = src.Quantize(t.Context(), again, c, o); err != nil {
		t.Fatal(err)
	}
	if d := distance(t, original, again); passes < 2 || d > before {
		t.Errorf("distance %.4g, in %d passes %.4g", before, passes, d)
	}
}

// TestQuantizeMixed: the size is kept to, and matrices on which more depends keep more bits.
func TestQuantizeMixed(t *testing.T) {
	src := quantizable(t)
	c := describeSource(t, src)
	path := filepath.Join(t.TempDir(), "mixed.gguf")
	o := quantizeOptions(0)
	var tokens [][]int
	var original []float32
	trials, seen := 0, map[string]int{} // pictures that went through the tower
	o.Divergence = func(ctx context.Context, m *vlm.Model) (d float64, err error) {
		trials++
		s, err := m.NewStream()
		if err != nil {
			return 0, err
		}
		s.Looked(seen)
		ids, logits, err := lookOn(ctx, s, 1000, 2, tokens)
		if original == nil {
			tokens, original = ids, logits
			return 0, err
		}
		for i, v := range logits {
			d += math.Pow(float64(v-original[i]), 2)
		}
		return d, err
	}
	o.Bits = 6
	r, err := src.Quantize(t.Context(), path, c, o)
	if err != nil {
		t.Fatal(err)
	}
	var least, most float64 = math.Inf(1), 0 // divergence of matrices that stayed int8, and became int4
	tried, seeing := 0, 0
	for _, m := range r.Matrices {
		if m.Divergence == 0 {
			continue
		}
		if tried++; strings.HasPrefix(m.Name, "vit.") || strings.HasPrefix(m.Name, "proj.") {
			seeing++
		}
		if m.Type == "int8" {
			least = min(least, m.Divergence)
		} else {
			most = max(most, m.Divergence)
		}
	}
	if r.Type != "mixed" || r.Bits > 6 || r.Bits < 5.5 || math.IsInf(least, 1) || most == 0 {
		t.Errorf("%s, %.2f bits, int8 from %.3g, int4 up to %.3g", r.Type, r.Bits, least, most)
	}
	if pictures := 4 * (1 + seeing); trials != 1+tried || seeing == 0 || seeing == tried || seen["siglip"] != pictures {
		t.Errorf("%d trials of %d matrices, %d of which see: %d pictures looked at, want %d", trials, tried, seeing, seen["siglip"], pictures)
	}
	m, err := vlm.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()

	o.Bits, original = 4, nil
	if _, err := src.Quantize(t.Context(), path, c, o); err == nil || !strings.Contains(err.Error(), "bits per value, more than 4") {
		t.Errorf("too few bits: %v", err)
	}
}

// TestLookedBefore: what a model makes of pictures that one with the same tower has looked at
// are the bytes that it makes of them by itself.
func TestLookedBefore(t *testing.T) {
	path := convertTiny(t, base, quant.F32)
	kept := vlm.NewLooked()
	var want []byte
	for i, pictures := range []int{4, 0, 0} {
		m, err := vlm.Open(path, kept.Options())
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		s, n := stream(t, m), map[string]int{}
		s.Looked(n)
		see(t, s, 1, 2)
		see(t, s, 3, 2)
		see(t, s, 1, 4)
		if want == nil {
			want = s.State()
		}
		if n["siglip"] != pictures || !bytes.Equal(s.State(), want) {
			t.Errorf("model %d looked at %d pictures, want %d; same memory: %v", i+1, n["siglip"], pictures, bytes.Equal(s.State(), want))
		}
	}
}

// TestQuantizeEnds: when the context ends, or what is shown cannot be seen, there is no file.
func TestQuantizeEnds(t *testing.T) {
	src := quantizable(t)
	c := describeSource(t, src)
	path := filepath.Join(t.TempDir(), "out.gguf")
	ctx, cancel := context.WithCancel(t.Context())
	o := quantizeOptions(quant.P4)
	show := o.Show
	o.Show = func(ctx context.Context, m *vlm.Model) error {
		defer cancel()
		return show(ctx, m)
	}
	if _, err := src.Quantize(ctx, path, c, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	broken := errors.New("broken picture")
	o.Show = func(context.Context, *vlm.Model) error { return broken }
	if _, err := src.Quantize(t.Context(), path, c, o); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := src.Quantize(t.Context(), path, c, quantizeOptions(quant.Q8_0)); err == nil {
		t.Error("q8_0 was calibrated")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}

// TestReadQuantizationRefuses: lists that do not belong together.
func TestReadQuantizationRefuses(t *testing.T) {
	const k = "visualrwkv.quantization."
	good := weights.Meta{
		{Key: k + "type", Value: weights.String("int4")},
		{Key: k + "results", Value: weights.Strings([]string{"a", "b"})},
		{Key: k + "results.original", Value: weights.Float32s([]float32{1, 2})},
		{Key: k + "results.quantized", Value: weights.Float32s([]float32{1, 2})},
	}
	if r, err := vlm.ReadQuantization(good); err != nil || len(r.Results) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := vlm.ReadQuantization(nil); r != nil || err != nil {
		t.Errorf("%+v, %v", r, err)
	}
	for i, v := range map[int]weights.Value{
		0: weights.Uint32(4), 1: weights.Uint32(1), 2: weights.Float32s([]float32{1}), 3: weights.Strings([]string{"x", "y"}),
	} {
		bad := slices.Clone(good)
		bad[i].Value = v
		if r, err := vlm.ReadQuantization(bad); err == nil {
			t.Errorf("%s: %+v", bad[i].Key, r)
		}
	}
	if _, err := vlm.ReadQuantization(good[:3]); err == nil {
		t.Error("a list may be missing")
	}
	for _, kv := range []weights.KV{
		{Key: k + "kl_max", Value: weights.Float32(float32(math.Inf(1)))},
		{Key: k + "results.original", Value: weights.Float32s([]float32{1, float32(math.NaN())})},
	} {
		if r, err := vlm.ReadQuantization(append(weights.Meta{kv}, good...)); err == nil {
			t.Errorf("%s: %+v", kv.Key, r)
		}
	}
}

// metadataFile returns a file of md and nothing else.
func metadataFile(t testing.TB, md weights.Meta) []byte {
	t.Helper()
	var b bytes.Buffer
	g, err := weights.NewGGUFWriter(&b, md, nil)
	if err == nil {
		err = g.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzReadQuantization damages the metadata of a file: what is read of it can be shown, and
// stays what it is when it is written again.
func FuzzReadQuantization(f *testing.F) {
	whole := vlm.Quantization{
		Type: "mixed", Bits: 4.5, Calibration: "sim", KLMean: 0.25, KLMax: 1, Top1: 0.5, Tokens: 9,
		Results:  []vlm.QuantizationResult{{Name: "captions", Original: 1, Quantized: 0.5}},
		Matrices: []vlm.QuantizedMatrix{{Name: "a", Type: "int4", Error: 0.5, Nearest: 1, Divergence: 0.25}, {Name: "b", Type: "int8"}},
	}
	f.Add(metadataFile(f, whole.Metadata()))
	f.Add(metadataFile(f, (&vlm.Quantization{Type: "int8"}).Metadata()))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := weights.OpenBytes("fuzz", data)
		if err != nil {
			t.Skip()
		}
		defer file.Close()
		r, err := vlm.ReadQuantization(file.Meta())
		if err != nil || r == nil {
			return
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		again, err := vlm.ReadQuantization(r.Metadata())
		if r.Tokens == 0 { // what is not measured is not written
			r.KLMean, r.KLMax, r.Top1 = 0, 0, 0
		}
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v, written and read again %+v: %v", r, again, err)
		}
	})
}
