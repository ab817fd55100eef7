package vision

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func openSAM(t testing.TB) Tower {
	t.Helper()
	tower, err := OpenSAM(load(t, "sam"), Config{})
	if err != nil {
		t.Fatal(err)
	}
	return tower
}

// TestSAMRowsStandAlone: the features of a picture have the same bits alone and among
// others, for one worker and for many, packed and with a stride; also when the pictures
// exceed one batch.
func TestSAMRowsStandAlone(t *testing.T) {
	tower := openSAM(t)
	n, cells, dim, picture := batchTokens/64+2, tower.Grid()*tower.Grid(), tower.Dim(), 3*tower.ImageSize()*tower.ImageSize()
	const stride = 19
	pixels := randoms(n * picture)
	want := make([]float32, n*cells*dim)
	w := work(t, 1)
	for i := range n {
		tower.Forward(w, want[i*cells*dim:][:cells*dim], dim, pixels[i*picture:][:picture], 1)
	}
	dst := make([]float32, n*cells*stride)
	tower.Forward(work(t, 3), dst[2:], stride, pixels, n)
	for i := range n * cells {
		row := dst[i*stride:][:stride]
		if !slices.Equal(row[2:2+dim], want[i*dim:][:dim]) {
			t.Fatalf("row %d differs", i)
		}
		if row[0] != 0 || row[1] != 0 || row[2+dim] != 0 {
			t.Fatalf("row %d: wrote beside it", i)
		}
	}
}

func TestSAMDoesNotAllocate(t *testing.T) {
	tower := openSAM(t)
	w := work(t, 2)
	pixels, dst := randoms(3*128*128), make([]float32, tower.Grid()*tower.Grid()*tower.Dim())
	step := func() { tower.Forward(w, dst, tower.Dim(), pixels, 1) }
	step()
	if n := testing.AllocsPerRun(10, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOpenSAMRefuses(t *testing.T) {
	misshape := func(name string, shape ...int) func(vectors, *Config) {
		return func(m vectors, _ *Config) {
			n := 1
			for _, d := range shape {
				n *= d
			}
			m["w."+samPrefix+name] = vector{shape, randoms(n)}
		}
	}
	for what, f := range map[string]func(vectors, *Config){
		"proj.weight has shape []":           func(m vectors, _ *Config) { delete(m, "w."+samPrefix+"patch_embed.proj.weight") },
		"pos_embed has shape [1 64 32]":      misshape("pos_embed", 1, 64, 32),
		"pos_embed has shape [1 7 7 32]":     misshape("pos_embed", 1, 7, 7, 32),
		"image size 64, positions":           func(_ vectors, c *Config) { c.ImageSize = 64 },
		"rel_pos_h has shape [4 16]":         misshape("blocks.0.attn.rel_pos_h", 4, 16),
		"rel_pos_h has shape [257 16]":       misshape("blocks.0.attn.rel_pos_h", 257, 16),
		"rel_pos_h has shape [5 15]":         misshape("blocks.0.attn.rel_pos_h", 5, 15),
		"for width 32 and 4 heads":           func(_ vectors, c *Config) { c.Heads = 4 },
		"blocks.2.attn.rel_pos_w":            misshape("blocks.2.attn.rel_pos_w", 3, 16),
		"blocks.0.norm1.weight is missing":   func(m vectors, _ *Config) { m.dropBlocks() },
		"vit.sam_featurizer.neck.0.weight: ": func(m vectors, _ *Config) { delete(m, "w."+samPrefix+"neck.0.weight") },
		"neck.2.weight":                      misshape("neck.2.weight", 4, 4, 1, 1),
		"mlp.lin2.bias":                      func(m vectors, _ *Config) { delete(m, "w."+samPrefix+"blocks.1.mlp.lin2.bias") },
	} {
		m, c := load(t, "sam"), Config{}
		f(m, &c)
		if _, err := Open("sam", m, c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

func (m vectors) dropBlocks() {
	for i := range 3 {
		delete(m, fmt.Sprintf("w.%sblocks.%d.norm1.weight", samPrefix, i))
	}
}
