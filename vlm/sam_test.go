package vlm_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// sam is a model with SAM's tower, 64 wide, on a grid of 16 x 16 tokens.
var sam = tinymodel.Spec{Seed: 6, Vocab: 120, Image: 128, Patch: 8, Width: 64, Heads: 1, MLP: 128, Window: 5}

const samConfig = `{"image.decoder_tokens": 4, "image.encoder_tokens": 9`

func TestSAMConfig(t *testing.T) {
	c, err := describe(t, sam, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Runnable(); err != nil {
		t.Error(err)
	}
	tower := vlm.Tower{
		Kind: "sam", ImageSize: 128, PatchSize: 8, Width: 64, Blocks: 2, Heads: 1, FeatureBlock: 1,
		Activation: "gelu_erf", Mean: [3]float32{.485, .456, .406}, Std: [3]float32{.229, .224, .225},
	}
	if len(c.Towers) != 1 || c.Towers[0] != tower || c.Grid() != 8 {
		t.Errorf("towers %+v, grid %d", c.Towers, c.Grid())
	}
	if _, err := describe(t, sam, `{"vision.sam.feature_block": 0}`); !errors.Is(err, vlm.ErrConfig) || !strings.Contains(err.Error(), "feature_block") {
		t.Errorf("features of an inner block: %v", err)
	}
	// Positions are for one size only.
	_, err = vlm.OpenBytes("tiny", tinymodel.New(sam).Safetensors(), &vlm.Options{Config: []byte(samConfig + `, "vision.sam.image_size": 64}`)})
	if err == nil || !strings.Contains(err.Error(), "image size 64") {
		t.Errorf("another image size: %v", err)
	}
	both := tinymodel.New(sam)
	for _, x := range tinymodel.New(base).Tensors {
		if strings.HasPrefix(x.Name, "vit.") {
			both.Tensors = append(both.Tensors, x)
		}
	}
	_, err = vlm.OpenBytes("tiny", both.Safetensors(), &vlm.Options{Config: []byte(`{"vision.siglip.head_count": 2}`)})
	if !errors.Is(err, vlm.ErrConfig) || !strings.Contains(err.Error(), "siglip and sam give 16 and 64 tokens") {
		t.Errorf("two towers whose grids differ: %v", err)
	}
}

// TestSAMModel converts a model with SAM's tower and compares what it sees with the
// original.
func TestSAMModel(t *testing.T) {
	f, err := weights.OpenBytes("tiny", tinymodel.New(sam).Safetensors())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := vocabulary()
	c, err := vlm.Describe(f, []byte(samConfig+"}"), text)
	if err != nil {
		t.Fatal(err)
	}
	var want []float32
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.P8} {
		path := t.TempDir() + "/sam.gguf"
		if err := convertFile(t, path, f, c, typ); err != nil {
			t.Fatal(err)
		}
		g, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]quant.Type{}
		for _, w := range tensors.List(g) {
			got[w.Name] = w.Type
		}
		const v = "vit.sam_featurizer."
		for name, to := range map[string]quant.Type{
			"pos_embed": half(typ), "patch_embed.proj.weight": half(typ), "neck.0.weight": half(typ), "neck.2.weight": half(typ),
			"blocks.1.attn.rel_pos_h":  half(typ),
			"blocks.0.attn.qkv.weight": typ, "blocks.1.mlp.lin2.weight": typ,
		} {
			if got[v+name] != to {
				t.Errorf("%v: %s is %v, want %v", typ, name, got[v+name], to)
			}
		}
		if p := c.Plan(vlm.FileSizes(g), 1, 2); p.Scratch < 4*5*256*64 {
			t.Errorf("%v: plan %+v", typ, p)
		}
		g.Close()
		m, err := vlm.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := stream(t, m)
		see(t, s, 1, 2)
		state := s.ImageState()
		if ask(t, s, "what?") == "" {
			t.Errorf("%v: no answer", typ)
		}
		if want == nil {
			want = append(want, state...)
		}
		far, top := 0.0, 0.0
		for i, x := range want {
			far = max(far, math.Abs(float64(x-state[i])))
			top = max(top, math.Abs(float64(x)))
		}
		if bound := map[quant.Type]float64{quant.F16: 0.003, quant.P8: 0.05}[typ]; far > bound*top {
			t.Errorf("%v: image state is %g off, of %g", typ, far, top)
		}
		t.Logf("%v: image state is %g off, of %g", typ, far, top)
		m.Close()
	}
}
