package vision

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/quant"
)

func randoms(n int) []float32 {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// randomTower makes weights under the authors' names.
func randomTower(dim, hidden, depth, patch, grid int) vectors {
	m := vectors{}
	add := func(name string, scale float32, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		f := randoms(n)
		for i := range f {
			f[i] *= scale
		}
		m["w."+families["siglip"].Prefix+name] = vector{Shape: shape, f: f}
	}
	linear := func(name string, out int, in ...int) {
		n := 1
		for _, d := range in {
			n *= d
		}
		add(name+".weight", float32(1/math.Sqrt(float64(n))), append([]int{out}, in...)...)
		add(name+".bias", .1, out)
	}
	linear("patch_embed.proj", dim, 3, patch, patch)
	add("pos_embed", .5, 1, grid*grid, dim)
	for i := range depth {
		b := "blocks." + string(rune('0'+i)) + "."
		for _, n := range []string{"norm1", "norm2"} {
			add(b+n+".weight", 1, dim)
			add(b+n+".bias", .1, dim)
		}
		linear(b+"attn.qkv", 3*dim, dim)
		linear(b+"attn.proj", dim, dim)
		linear(b+"mlp.fc1", hidden, dim)
		linear(b+"mlp.fc2", dim, hidden)
	}
	return m
}

// anyTower opens a tower of each kind: small ones of the reference, and one of SigLIP's
// whose pictures are longer than a chunk of the feed-forward layer.
func anyTower(t testing.TB) map[string]Tower {
	t.Helper()
	all := map[string]Tower{}
	open := func(name, kind string, l quant.Loader, c Config) {
		tower, err := Open(kind, l, c)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = tower
	}
	open("siglip", "siglip", randomTower(32, 64, 2, 4, 18), Config{Heads: 2, FeatureBlock: -1})
	open("dino", "dino", load(t, "dinov2"), viTs["dinov2"].Config)
	open("clip", "clip", load(t, "clip"), viTs["clip"].Config)
	open("sam", "sam", load(t, "sam"), Config{})
	return all
}

// TestRowsStandAlone: the features of a picture have the same bits alone and
// among others, for one worker and for many, packed and with a stride; also when
// the pictures exceed one batch and one chunk of the feed-forward layer.
func TestRowsStandAlone(t *testing.T) {
	for name, tower := range anyTower(t) {
		size, dim, tokens := tower.ImageSize(), tower.Dim(), tower.Tokens()
		// With tokens that give no features there are fewer in a batch.
		n, stride, picture := batchTokens/tokens+2, dim+5, 3*size*size
		pixels := randoms(n * picture)
		want := make([]float32, n*tokens*dim)
		w := work(t, 1)
		for i := range n {
			tower.Forward(w, want[i*tokens*dim:][:tokens*dim], dim, pixels[i*picture:][:picture], 1)
		}
		numbers := []int{1, 3}
		if testing.Short() {
			numbers = numbers[1:]
		}
		for _, workers := range numbers {
			dst := make([]float32, n*tokens*stride)
			for i := range dst {
				dst[i] = -9
			}
			tower.Forward(work(t, workers), dst[3:], stride, pixels, n)
			for i := range n * tokens {
				row := dst[i*stride:][:stride]
				if !slices.Equal(row[3:3+dim], want[i*dim:][:dim]) {
					t.Fatalf("%s: %d workers: row %d differs", name, workers, i)
				}
				if row[0] != -9 || row[2] != -9 || row[3+dim] != -9 {
					t.Fatalf("%s: %d workers: row %d: wrote beside it", name, workers, i)
				}
			}
		}
	}
}

func TestForwardDoesNotAllocate(t *testing.T) {
	for name, tower := range anyTower(t) {
		n, size, dim := 2, tower.ImageSize(), tower.Dim()
		p := linearProjector(t, dim, 16)
		w := work(t, 2)
		rows := n * tower.Tokens()
		pixels, dst, out := randoms(n*3*size*size), make([]float32, rows*dim), make([]float32, rows*16)
		step := func() {
			tower.Forward(w, dst, dim, pixels, n)
			p.Project(w, out, dst, rows)
		}
		step()
		if n := testing.AllocsPerRun(10, step); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestOtherImageSizeResamples(t *testing.T) {
	m := randomTower(32, 64, 2, 4, 6)
	tower, err := OpenViT("siglip", m, Config{ImageSize: 34, Heads: 2, FeatureBlock: -1})
	if err != nil {
		t.Fatal(err)
	}
	// 34/4 is 8 whole patches; the last two pixels are not read.
	if tower.Grid() != 8 || tower.ImageSize() != 34 {
		t.Fatalf("grid %d, size %d", tower.Grid(), tower.ImageSize())
	}
	pixels, a, b := randoms(3*34*34), make([]float32, 64*32), make([]float32, 64*32)
	w := work(t, 1)
	tower.Forward(w, a, 32, pixels, 1)
	pixels[33] = 1e6
	tower.Forward(w, b, 32, pixels, 1)
	if !slices.Equal(a, b) {
		t.Error("a pixel beyond the last patch was read")
	}
}

func TestOpenRefuses(t *testing.T) {
	good := Config{Heads: 2, FeatureBlock: -1}
	for what, f := range map[string]func(vectors, *Config){
		"[]": func(m vectors, c *Config) { delete(m, "w."+families["siglip"].Prefix+"patch_embed.proj.weight") },
		"pos_embed": func(m vectors, c *Config) {
			m["w."+families["siglip"].Prefix+"pos_embed"] = vector{[]int{7}, randoms(7)}
		},
		"0 heads for width 32":    func(m vectors, c *Config) { c.Heads = 0 },
		"3 heads for width 32":    func(m vectors, c *Config) { c.Heads = 3 },
		"block 2 of 2":            func(m vectors, c *Config) { c.FeatureBlock = 2 },
		"blocks.0.attn.qkv.bias":  func(m vectors, c *Config) { delete(m, "w."+families["siglip"].Prefix+"blocks.0.attn.qkv.bias") },
		"blocks.0.mlp.fc1":        func(m vectors, c *Config) { delete(m, "w."+families["siglip"].Prefix+"blocks.0.mlp.fc1.weight") },
		"image size 3":            func(m vectors, c *Config) { c.ImageSize = 3 },
		"image size -8":           func(m vectors, c *Config) { c.ImageSize = -8 },
		"image size 99999":        func(m vectors, c *Config) { c.ImageSize = 99999 },
		"image size 520":          func(m vectors, c *Config) { c.ImageSize = 520 }, // 130 patches
		"norm1.weight is missing": func(m vectors, c *Config) { m.drop("blocks.") },
	} {
		m, c := randomTower(32, 64, 2, 4, 6), good
		f(m, &c)
		_, err := OpenViT("siglip", m, c)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	for what, f := range map[string]func(dino, clip vectors){
		"cls_token":                                func(dino, _ vectors) { dino.misshape("cls_token", 1, 1, 31) },
		"80 values are not registers":              func(dino, _ vectors) { dino.misshape("reg_token", 1, 1, 80) },
		"2112 values are not registers":            func(dino, _ vectors) { dino.misshape("reg_token", 1, 66, 32) },
		"reg_token":                                func(dino, _ vectors) { dino.misshape("reg_token") },
		"pos_embed: shape [1 17 32]":               func(dino, _ vectors) { dino.misshape("pos_embed", 1, 17, 32) },
		"blocks.1.ls2.gamma":                       func(dino, _ vectors) { dino.misshape("blocks.1.ls2.gamma") },
		"position_embedding.weight: shape [16 32]": func(_, clip vectors) { clip.misshape("embeddings.position_embedding.weight", 16, 32) },
		"class_embedding":                          func(_, clip vectors) { clip.misshape("embeddings.class_embedding") },
		"pre_layrnorm.bias":                        func(_, clip vectors) { clip.misshape("pre_layrnorm.bias", 31) },
		"layers.2.self_attn.k_proj":                func(_, clip vectors) { clip.misshape("encoder.layers.2.self_attn.k_proj.weight") },
	} {
		dino, clip := load(t, "dinov2"), load(t, "clip")
		f(dino, clip)
		_, err := Open("dino", dino, viTs["dinov2"].Config)
		if err == nil {
			_, err = Open("clip", clip, viTs["clip"].Config)
		}
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if _, err := Open("vgg", vectors{}, Config{}); !errors.Is(err, ErrTower) {
		t.Errorf("unknown tower: error %v", err)
	}
}

// misshape gives the weight whose name ends so another shape, or removes it.
func (m vectors) misshape(name string, shape ...int) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	for k := range m {
		if strings.HasPrefix(k, "w.") && strings.HasSuffix(k, "."+name) {
			m[k] = vector{shape, randoms(n)}
			if len(shape) == 0 {
				delete(m, k)
			}
			return
		}
	}
	panic("no weight " + name)
}

// drop removes all weights below a prefix.
func (m vectors) drop(prefix string) {
	for k := range m {
		if strings.HasPrefix(k, "w."+families["siglip"].Prefix+prefix) {
			delete(m, k)
		}
	}
}

func TestActivationNames(t *testing.T) {
	for _, a := range []Activation{GELUErf, GELUTanh, QuickGELU} {
		if got, err := ParseActivation(a.String()); err != nil || got != a {
			t.Errorf("%v: %v, %v", a, got, err)
		}
	}
	if _, err := ParseActivation("relu"); err == nil {
		t.Error("relu was accepted")
	}
}

func TestSide(t *testing.T) {
	for tokens, want := range map[int]int{0: 0, 1: 1, 3: 1, 4: 2, 1023: 31, 1024: 32, 1025: 32} {
		if got := Side(tokens); got != want {
			t.Errorf("Side(%d) = %d, want %d", tokens, got, want)
		}
	}
}

func linearProjector(t testing.TB, in, out int) *Projector {
	p, err := OpenProjector(vectors{"w.proj.weight": {Shape: []int{out, in}, f: randoms(in * out)}}, in, out)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProjectors compares with the formulas of section 5 in float64, over more
// rows than one chunk.
func TestProjectors(t *testing.T) {
	const in, out, n = 20, 12, 300
	m := vectors{
		"w.proj.proj.weight":   {Shape: []int{out, in}, f: randoms(out * in)},
		"w.proj.gate.weight":   {Shape: []int{out, out}, f: randoms(out * out)},
		"w.proj.o_proj.weight": {Shape: []int{out, out}, f: randoms(out * out)},
	}
	gated, err := OpenProjector(m, in, out)
	if err != nil {
		t.Fatal(err)
	}
	mul := func(w []float32, x []float64) []float64 {
		y := make([]float64, len(w)/len(x))
		for i := range y {
			for j, v := range x {
				y[i] += float64(w[i*len(x)+j]) * v
			}
		}
		return y
	}
	z := randoms(n * in)
	var flat, wantGated []float32
	for i := range n {
		x := make([]float64, in)
		for j := range x {
			x[j] = float64(z[i*in+j])
		}
		for _, v := range mul(randoms(in*out), x) {
			flat = append(flat, float32(v))
		}
		h := mul(m["w.proj.proj.weight"].f, x)
		g := mul(m["w.proj.gate.weight"].f, h)
		for j := range h {
			h[j] /= 1 + math.Exp(-g[j])
		}
		for _, v := range mul(m["w.proj.o_proj.weight"].f, h) {
			wantGated = append(wantGated, float32(v))
		}
	}
	w, got := work(t, 2), make([]float32, n*out)
	linearProjector(t, in, out).Project(w, got, z, n)
	near(t, "linear", got, flat)
	gated.Project(w, got, z, n)
	near(t, "gated", got, wantGated)

	delete(m, "w.proj.gate.weight")
	if _, err := OpenProjector(m, in, out); err == nil || !strings.Contains(err.Error(), "gate") {
		t.Errorf("missing gate: error %v", err)
	}
}

// BenchmarkSigLIP measures a tower of the demo's size on two views.
func BenchmarkSigLIP(b *testing.B) {
	tower, err := OpenViT("siglip", randomTower(192, 576, 5, 12, 8), Config{Heads: 4, FeatureBlock: -1})
	if err != nil {
		b.Fatal(err)
	}
	w := NewWork(quant.NewScratch(nil))
	pixels, dst := randoms(2*3*96*96), make([]float32, 2*64*192)
	b.ReportAllocs()
	for b.Loop() {
		tower.Forward(w, dst, 192, pixels, 2)
	}
}
