package bench

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/visualrwkv/edged/internal/layout"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tinyOptions are quick: one run, so that no bandwidth is measured either.
func tinyOptions(t *testing.T, typ quant.Type, what ...What) Options {
	return Options{What: what, Shape: tiny, Tower: []string{tiny}, Type: typ, Threads: 2, Runs: 1, Tokens: 3, Cache: t.TempDir(), buffer: 1 << 20}
}

func mustRun(t *testing.T, o Options) []Row {
	t.Helper()
	var rows []Row
	if err := Run(t.Context(), o, func(r Row) { rows = append(rows, r) }); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestEveryMeasurement(t *testing.T) {
	for _, typ := range Types {
		t.Run(typ.String(), func(t *testing.T) {
			o := tinyOptions(t, typ, Decode, Vision, Startup)
			o.Runs = 2
			rows := map[What]int{Decode: 1, Vision: 1, Startup: 1}
			if typ == quant.P8 {
				o.What, o.Context = Whats, 2*firstContext+5
				rows = map[What]int{Decode: 1, Prefill: 1, Vision: 1, Batch: 4, Context: 3, Startup: 1}
			}
			if testing.Short() && typ == quant.P8 {
				o.Context, rows[Context] = firstContext/4, 1
			}
			got := map[What][]Row{}
			for _, r := range mustRun(t, o) {
				got[r.What] = append(got[r.What], r)
				if r.Shape != tiny || r.Type != typ.String() || r.Threads != 2 || r.Runs != 2 || r.Backend != vlm.Backend() ||
					r.MS <= 0 || r.MSMin > r.MS || r.MSMax < r.MS || r.ReadGBs <= 0 || r.ModelBytes <= 0 || r.RSS <= 0 {
					t.Errorf("%+v", r)
				}
				if speed := r.TokS > 0; speed != (r.What != Vision && r.What != Startup) {
					t.Errorf("%s: %v tokens per second", r.What, r.TokS)
				}
				if read := r.WeightGBs > 0; read != (r.What == Decode || r.What == Batch || r.What == Context) {
					t.Errorf("%s: %v GB/s of weights", r.What, r.WeightGBs)
				}
			}
			for w, want := range rows {
				if len(got[w]) != want {
					t.Errorf("%s: %d rows, want %d", w, len(got[w]), want)
				}
			}
			if typ != quant.P8 {
				return
			}
			for i, n := range []int{1, 2, 4, 8} {
				if b := got[Batch][i].Batch; b != n {
					t.Errorf("batch row %d has %d sequences, want %d", i, b, n)
				}
			}
			for i, n := range contextPoints(o.Context) {
				if c := got[Context][i].Context; c != n {
					t.Errorf("context row %d after %d tokens, want %d", i, c, n)
				}
			}
		})
	}
}

// TestTokensAreExact counts the tokens of the stream of ids, which decode and
// prefill draw from.
func TestTokensAreExact(t *testing.T) {
	o := tinyOptions(t, quant.Q8_0)
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	b := &bencher{Options: o, emit: func(Row) {}}
	path, err := b.languageFile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := openLanguage(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	drawn := func() int {
		const step = 0xa0761d6478bd642f
		inverse := uint64(1) // of the odd step, modulo 2^64
		for range 6 {
			inverse *= 2 - step*inverse
		}
		return int((uint64(*m.ids) - uint64(*newNoise("tokens"))) * inverse)
	}
	m.sequences(3)
	if _, err := m.decode(t.Context(), m.dec.NewState(), 3, 7); err != nil || drawn() != 21 {
		t.Errorf("7 tokens of 3 sequences: %d drawn, %v", drawn(), err)
	}
	for _, v := range m.seqs[2].Logits {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			t.Fatal("a logit is not finite")
		}
	}
	if err := m.prefill(t.Context(), m.dec.NewState(), 100); err != nil || drawn() != 121 {
		t.Errorf("prompt of 100: %d drawn, %v", drawn(), err)
	}
}

func TestModelFile(t *testing.T) {
	o := tinyOptions(t, quant.Q4_0, Decode)
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	path, err := (&bencher{Options: o}).languageFile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	model, err := vlm.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	if i := model.Info(); i.Variant != "vanilla" || !i.Text || i.Vision {
		t.Errorf("%+v", i)
	}
	s, err := model.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Answer(t.Context(), "what is it?", &vlm.GenOptions{MaxTokens: 3}); err != nil {
		t.Error(err)
	}

	o.Shape, o.Type, o.Cache, o.Model = "", 0, "", path
	r := mustRun(t, o)[0]
	if r.Shape != filepath.Base(path) || r.Type != "q4_0" || r.TokS <= 0 {
		t.Errorf("%+v", r)
	}
	o.What = []What{Vision}
	if err := Run(t.Context(), o, nil); !errors.Is(err, vlm.ErrConfig) {
		t.Errorf("vision without a tower: %v", err)
	}
}

func TestCache(t *testing.T) {
	o := tinyOptions(t, quant.Q8_0, Decode)
	var told []string
	o.Tell = func(s string) { told = append(told, s) }
	wrote := func() bool {
		yes := slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "writing") })
		told = nil
		return yes
	}
	mustRun(t, o)
	path := filepath.Join(o.Cache, "tiny-q8_0."+layoutVersion+".gguf")
	first, err := os.ReadFile(path)
	if err != nil || !wrote() {
		t.Fatalf("not written: %v", err)
	}
	mustRun(t, o)
	if wrote() {
		t.Error("written again although it was there")
	}
	for _, damage := range []func() error{
		func() error { return os.Truncate(path, int64(len(first)-1)) },
		func() error {
			b := slices.Clone(first)
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o666)
		},
		func() error { return os.WriteFile(sealPath(path), []byte("{"), 0o666) },
		func() error { return os.Remove(sealPath(path)) },
		func() error { return os.Remove(path) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		mustRun(t, o)
		again, err := os.ReadFile(path)
		if err != nil || !wrote() || !slices.Equal(first, again) {
			t.Errorf("a damaged file was not replaced by the same bytes: %v", err)
		}
	}
	if entries, err := os.ReadDir(o.Cache); err != nil || len(entries) != 2 {
		t.Errorf("cache holds %v, %v", entries, err)
	}
}

func TestCancel(t *testing.T) {
	o := tinyOptions(t, quant.Q8_0, Whats...)
	o.Tokens = MaxTokens
	ctx, cancel := context.WithCancel(t.Context())
	o.Tell = func(s string) {
		if strings.Contains(s, "run 1") {
			time.AfterFunc(10*time.Millisecond, cancel)
		}
	}
	if err := Run(ctx, o, func(Row) { t.Error("a row") }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	o.Cache = t.TempDir()
	o.Tell = func(s string) {
		if strings.Contains(s, "writing") {
			cancel()
		}
	}
	if err := Run(ctx, o, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if entries, err := os.ReadDir(o.Cache); err != nil || len(entries) != 0 {
		t.Errorf("a cancelled write left %v, %v", entries, err)
	}
}

// TestTowerLayouts: the random towers are what package vision takes for such a kind.
func TestTowerLayouts(t *testing.T) {
	for _, shape := range towers {
		shape.Image, shape.Width, shape.Depth, shape.Heads, shape.MLP = 8*shape.Patch, 64, 3, 2, 128
		path, err := obtain(t.Context(), t.TempDir(), towerFile(shape, quant.P8, false), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		f, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		tower, err := (&bencher{}).tower(f, shape)
		if err != nil {
			t.Errorf("%s: %v", shape.Name, err)
		} else if want := map[string]int{"clip": 65, "sam": 16}[shape.Kind]; tower.Name() != shape.Kind || tower.ImageSize() != shape.Image || tower.Tokens() != cmp.Or(want, 64) {
			t.Errorf("%s: %s, %d pixels, %d tokens", shape.Name, tower.Name(), tower.ImageSize(), tower.Tokens())
		}
		f.Close()
	}
}

// TestCancelVision ends a tower between two of its blocks.
func TestCancelVision(t *testing.T) {
	o := tinyOptions(t, quant.Q8_0, Vision)
	ctx, cancel := context.WithCancel(t.Context())
	o.Tell = func(s string) {
		if strings.Contains(s, "run 1") {
			cancel()
		}
	}
	if err := Run(ctx, o, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOptionsRefused(t *testing.T) {
	for want, o := range map[string]Options{
		"unknown shape":  {Shape: "9b", Type: quant.P8},
		"unknown tower":  {Tower: []string{"x"}, Type: quant.P8},
		"no random":      {Type: quant.BF16},
		"threads":        {Threads: -1},
		"runs":           {Runs: -1},
		"tokens":         {Tokens: -1},
		"context":        {Context: MaxTokens + 1},
		"sequences":      {Batch: []int{0}},
		"random models ": {Model: "x", Peer: "y"},
	} {
		if err := Run(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	if _, err := ParseWhat("decode,nothing"); err == nil {
		t.Error("unknown measurement accepted")
	}
	if ws, err := ParseWhat("all"); err != nil || len(ws) != len(Whats) {
		t.Error(ws, err)
	}
}

// TestJSON holds the keys that scripts rely on.
func TestJSON(t *testing.T) {
	data, err := json.Marshal(Row{})
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"what", "shape", "type", "threads", "batch", "context", "tok_s", "ms", "weight_gb_s", "read_gb_s", "rss_bytes", "model_bytes", "backend"} {
		if _, ok := keys[k]; !ok {
			t.Errorf("no key %q in %s", k, data)
		}
	}
}

// TestShapesReadPerToken pins the sizes to those of the published models: values
// that a token reads, in millions.
func TestShapesReadPerToken(t *testing.T) {
	for name, want := range map[string]float64{"0b1": 146.6, "1b6": 1465.7} {
		s, err := ParseShape(name)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, x := range s.language() {
			if x.Name != embedding {
				n += x.Len()
			}
		}
		if got := float64(n) / 1e6; math.Abs(got-want) > 0.1 {
			t.Errorf("%s: %.1f million weights per token, want %.1f", name, got, want)
		}
	}
}

// TestFillers checks that what is written decodes to the spread that was asked for.
func TestFillers(t *testing.T) {
	const n = 1 << 14
	check := func(name string, v []float32) {
		var sum, square float64
		for _, x := range v {
			sum += float64(x)
			square += float64(x) * float64(x)
		}
		mean, rms := sum/float64(len(v)), math.Sqrt(square/float64(len(v)))
		// Halves have a power of two for a scale; the others are as asked.
		if math.Abs(mean) > 0.002 || rms < 0.014 || rms > 0.03 {
			t.Errorf("%s: mean %.4f, rms %.4f, want 0 and 0.02", name, mean, rms)
		}
	}
	for _, typ := range Types {
		var data [3][]byte
		parts := partsOf(layout.Tensor{Name: "x", Role: layout.Matrix, Spread: 0.02, Shape: []int{64, n / 64}}, typ, false)
		for i, p := range parts {
			size, err := p.Type.Size(p.Shape)
			if err != nil {
				t.Fatal(err)
			}
			data[i] = make([]byte, size)
			p.fill(newNoise(p.Name), data[i])
		}
		v := make([]float32, n)
		if typ.Packed() {
			m, err := quant.NewPacked(typ, 64, n/64, data[0], data[1], data[2])
			if err != nil {
				t.Fatal(err)
			}
			for i := range 64 {
				m.Row(v[i*n/64:][:n/64], i)
			}
		} else if err := quant.Dequantize(quant.Type(parts[0].Type), v, data[0]); err != nil {
			t.Fatal(err)
		}
		check(typ.String(), v)
	}
	if x := int8s(0x80_00_7f_80_81_ff_01_80); x != 0x81_00_7f_81_81_ff_01_81 {
		t.Errorf("int8s: %x", x)
	}
	if x := nibbles(0x0123_4560_789a_b0ff); x != 0x8123_4568_789a_b8ff {
		t.Errorf("nibbles: %x", x)
	}
	if parts := partsOf(layout.Tensor{Role: layout.Matrix, Spread: 1, Shape: []int{16, 48}}, quant.P8, false); len(parts) != 1 || parts[0].Type != weights.F16 {
		t.Errorf("48 columns: %v", parts)
	}
	parts := partsOf(layout.Tensor{Role: layout.Matrix, Spread: 1, Shape: []int{1152, 4304}}, quant.P8, false)
	if len(parts) != 3 || !slices.Equal(parts[0].Shape, []int{72, 4352 / 4, 16, 4}) || parts[2].Name != ".columns" {
		t.Errorf("4304 columns: %v", parts)
	}
	var columns [4]byte
	if parts[2].fill(newNoise(""), columns[:]); binary.LittleEndian.Uint32(columns[:]) != 4304 {
		t.Errorf("4304 columns are said to be %v", columns)
	}
}
