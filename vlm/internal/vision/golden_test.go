package vision

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/weights"
)

// vectors is a set of reference vectors, made with the authors' own code (timm
// and torch) in float64 and stored as float32. As a quant.Loader it serves the
// weights, which are stored with "w." before their names.
type vectors map[string]vector

type vector struct {
	Shape []int
	f     []float32
}

func load(t testing.TB, name string) vectors {
	t.Helper()
	file, err := weights.Open("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m := vectors{}
	for _, x := range file.Tensors() {
		v := vector{x.Shape, make([]float32, x.Len())}
		if err := x.Float32(v.f); err != nil {
			t.Fatal(err)
		}
		m[x.Name] = v
	}
	return m
}

func (m vectors) Shape(name string) []int { return m["w."+name].Shape }

func (m vectors) Vector(name string, n int) ([]float32, error) {
	v, ok := m["w."+name]
	if !ok || n >= 0 && len(v.f) != n {
		return nil, fmt.Errorf("%s: %d values, want %d", name, len(v.f), n)
	}
	return slices.Clone(v.f), nil
}

func (m vectors) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	v, ok := m["w."+name]
	if !ok {
		return nil, fmt.Errorf("%s: missing", name)
	}
	r := v.Shape[0]
	c := len(v.f) / r
	if rows >= 0 && r != rows || cols >= 0 && c != cols {
		return nil, fmt.Errorf("%s: %d x %d, want %d x %d", name, r, c, rows, cols)
	}
	return quant.FromF32(r, c, v.f), nil
}

// near checks got against the bound of section 10: 1e-4 times the largest
// magnitude, at least 1.
func near(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	worst, top := 0.0, 1.0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - float64(w))
		if !(d <= worst) {
			worst = d
		}
		top = max(top, math.Abs(float64(w)))
	}
	t.Logf("%s: largest error %.2g, bound %.2g", name, worst, 1e-4*top)
	if !(worst <= 1e-4*top) {
		t.Errorf("%s: error %g exceeds %g", name, worst, 1e-4*top)
	}
}

func work(t testing.TB, workers int) *Work {
	p := quant.NewPool(workers)
	t.Cleanup(p.Close)
	return NewWork(quant.NewScratch(p))
}

var viTs = map[string]struct {
	kind string
	Config
}{
	"siglip_erf":  {"siglip", Config{Heads: 3, FeatureBlock: 1, Activation: GELUErf}},
	"siglip_tanh": {"siglip", Config{Heads: 2, FeatureBlock: -1, Activation: GELUTanh}},
	"dinov2":      {"dino", Config{Heads: 4, FeatureBlock: -1, Activation: GELUErf}},
	"clip":        {"clip", Config{Heads: 4, FeatureBlock: 2, Activation: QuickGELU}},
}

// hidden are the names of Hugging Face's hidden states for what other towers trace.
var hidden = map[string]string{"embed": "hidden0", "block0": "hidden1", "block1": "hidden2", "block2": "hidden3"}

func TestGoldenViT(t *testing.T) {
	for name, c := range viTs {
		m := load(t, name)
		tower, err := Open(c.kind, m, c.Config)
		if err != nil {
			t.Fatal(err)
		}
		w := work(t, 2)
		seen := 0
		w.Trace = func(part string, shape []int, data []float32) {
			seen++
			if c.kind == "clip" {
				part = hidden[part]
			}
			want := m["trace."+part]
			if !slices.Equal(shape, want.Shape) {
				t.Errorf("%s: %s has shape %v, want %v", name, part, shape, want.Shape)
			}
			near(t, name+" "+part, data, want.f)
		}
		out := "out"
		if c.kind == "clip" {
			out = "out.v60_image_tokens" // the class token last
		}
		want := m[out]
		if got := []int{2, tower.Tokens(), tower.Dim()}; !slices.Equal(got, want.Shape) {
			t.Fatalf("%s: shape %v, want %v", name, got, want.Shape)
		}
		got := make([]float32, len(want.f))
		tower.Forward(w, got, tower.Dim(), m["in.pixels"].f, 2)
		near(t, name+" out", got, want.f)
		if traced := len(tower.(*ViT).blocks) + 1; seen != traced {
			t.Errorf("%s: %d values traced, want %d", name, seen, traced)
		}
	}
}

func TestGoldenSAM(t *testing.T) {
	m := load(t, "sam")
	tower, err := Open("sam", m, Config{ImageSize: 128})
	if err != nil {
		t.Fatal(err)
	}
	w := work(t, 2)
	seen := map[string]int{}
	w.Trace = func(part string, shape []int, data []float32) {
		seen[part]++
		if want, ok := m["trace."+part]; ok {
			near(t, "sam "+part, data, want.f)
		}
	}
	got := make([]float32, 2*tower.Grid()*tower.Grid()*tower.Dim())
	tower.Forward(w, got, tower.Dim(), m["in.pixels"].f, 2)
	near(t, "sam out", got, m["out.tokens"].f)
	for _, part := range []string{"embed", "block0", "block1", "block2", "neck"} {
		if seen[part] != 1 {
			t.Errorf("%s was traced %d times", part, seen[part])
		}
	}
}

func TestGoldenPool(t *testing.T) {
	m := load(t, "adaptive_pool")
	for _, s := range [][2]int{{32, 22}, {32, 5}, {32, 8}, {5, 3}, {6, 4}, {7, 7}} {
		key := fmt.Sprintf("%dto%d", s[0], s[1])
		in, want := m[key+".in"], m[key+".out"]
		got := make([]float32, len(want.f))
		Pool(got, in.f, s[0], s[1], 2)
		near(t, "pool "+key, got, want.f)
	}
}

func TestGoldenResample(t *testing.T) {
	m := load(t, "pos_embed_resample")
	for _, s := range [][2]int{{27, 32}, {37, 32}, {5, 9}, {7, 5}} {
		key := fmt.Sprintf("%dto%d", s[0], s[1])
		near(t, "resample "+key, Resample(m[key+".in"].f, s[0], s[1], 3), m[key+".out"].f)
	}
}
