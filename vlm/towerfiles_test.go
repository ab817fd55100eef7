package vlm_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/internal/vision"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func sha256Of(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// tensorList collects random tensors.
type tensorList []tinymodel.Tensor

func (l *tensorList) add(name string, shape ...int) []float32 {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := tinymodel.Normal(uint64(len(*l)), n)
	*l = append(*l, tinymodel.Tensor{Name: name, Shape: shape, Data: data})
	return data
}

func (l *tensorList) linear(name string, out, in int) {
	l.add(name+".weight", out, in)
	l.add(name+".bias", out)
}

func (l *tensorList) norm(name string, n int) {
	l.add(name+".weight", n)
	l.add(name+".bias", n)
}

// Sizes of the towers in these tests: width, hidden width, patch, side of the grid.
const (
	tw, th, tp, tg = 32, 64, 8, 4
	towerConfig    = `{"vision.siglip.head_count": 2, "vision.dino.head_count": 2, "vision.clip.head_count": 2,
		"image.decoder_tokens": 4, "image.encoder_tokens": 4}`
)

// vit adds timm's tensors of a tower of two blocks, with prefix tokens in front.
func (l *tensorList) vit(prefix string, scale bool) {
	l.add(prefix+"pos_embed", 1, tg*tg, tw)
	l.add(prefix+"patch_embed.proj.weight", tw, 3, tp, tp)
	l.add(prefix+"patch_embed.proj.bias", tw)
	for i := range 2 {
		b := fmt.Sprintf("%sblocks.%d.", prefix, i)
		l.norm(b+"norm1", tw)
		l.linear(b+"attn.qkv", 3*tw, tw)
		l.linear(b+"attn.proj", tw, tw)
		l.norm(b+"norm2", tw)
		l.linear(b+"mlp.fc1", th, tw)
		l.linear(b+"mlp.fc2", tw, th)
		if scale {
			l.add(b+"ls1.gamma", tw)
			l.add(b+"ls2.gamma", tw)
		}
	}
	l.norm(prefix+"norm", tw)
}

func (l *tensorList) dino(prefix string) {
	l.add(prefix+"cls_token", 1, 1, tw)
	l.add(prefix+"reg_token", 1, 4, tw)
	l.vit(prefix, true)
}

func (l *tensorList) clip(prefix string) {
	l.add(prefix+"embeddings.class_embedding", tw)
	l.add(prefix+"embeddings.patch_embedding.weight", tw, 3, tp, tp)
	l.add(prefix+"embeddings.position_embedding.weight", 1+tg*tg, tw)
	l.norm(prefix+"pre_layrnorm", tw)
	for i := range 2 {
		b := fmt.Sprintf("%sencoder.layers.%d.", prefix, i)
		l.norm(b+"layer_norm1", tw)
		for _, n := range []string{"k_proj", "v_proj", "q_proj", "out_proj"} {
			l.linear(b+"self_attn."+n, tw, tw)
		}
		l.norm(b+"layer_norm2", tw)
		l.linear(b+"mlp.fc1", th, tw)
		l.linear(b+"mlp.fc2", tw, th)
	}
	l.norm(prefix+"post_layernorm", tw)
}

// renamed returns the tensors with names changed from the longest match on; those that a
// pair maps to "-" are left out.
func (l tensorList) renamed(pairs ...string) tensorList {
	out := slices.Clone(l)
	for i := range out {
		out[i].Name = strings.NewReplacer(pairs...).Replace(out[i].Name)
	}
	return out
}

// cut replaces each tensor whose name has old in it by three of a third of its rows.
func (l tensorList) cut(old string, names ...string) (out tensorList) {
	for _, x := range l {
		if !strings.Contains(x.Name, old) {
			out = append(out, x)
			continue
		}
		for i, n := range names {
			shape := slices.Clone(x.Shape)
			shape[0] /= 3
			k := len(x.Data) / 3
			out = append(out, tinymodel.Tensor{Name: strings.Replace(x.Name, old, n, 1), Shape: shape, Data: x.Data[i*k : (i+1)*k]})
		}
	}
	return out
}

// glue is the opposite: three tensors of a block become one.
func (l tensorList) glue(block, end, name string, parts ...string) (out tensorList) {
	for i := range 2 {
		b := fmt.Sprintf(block, i)
		var data []float32
		rows := 0
		for _, p := range parts {
			j := slices.IndexFunc(l, func(x tinymodel.Tensor) bool { return x.Name == b+p+end })
			data = append(data, l[j].Data...)
			rows += l[j].Shape[0]
			l = slices.Delete(slices.Clone(l), j, j+1)
		}
		shape := []int{rows, len(data) / rows}
		if end == ".bias" {
			shape = shape[:1]
		}
		l = append(l, tinymodel.Tensor{Name: b + name, Shape: shape, Data: data})
	}
	return l
}

// shaped changes the shape of a tensor.
func (l tensorList) shaped(name string, shape ...int) tensorList {
	for i := range l {
		if l[i].Name == name {
			l[i].Shape = shape
		}
	}
	return l
}

// TestTowerFiles: a tower in a library's own file gives the tensors that the authors'
// checkpoint has.
func TestTowerFiles(t *testing.T) {
	var siglip, dino, clip tensorList
	siglip.vit("", false)
	dino.dino("")
	clip.clip("")
	sam := tensorList(nil)
	for _, x := range tinymodel.New(tinymodel.Spec{Image: 32, Window: 3}).Tensors {
		if name, ok := strings.CutPrefix(x.Name, "vit.sam_featurizer."); ok {
			x.Name = name
			sam = append(sam, x)
		}
	}
	// What the libraries keep beside.
	with := func(l tensorList, names ...string) tensorList {
		for _, n := range names {
			l.add(n, 3)
		}
		return l
	}
	// dinov2 has the class token's position in front of the others.
	withClass := func(l tensorList) (out tensorList, class []float32) {
		for _, x := range l {
			switch x.Name {
			case "pos_embed":
				first := tinymodel.Normal(99, tw)
				x.Shape, x.Data = []int{1, 1 + tg*tg, tw}, append(slices.Clone(first), x.Data...)
				for i := range first {
					first[i] += find(t, l, "cls_token").Data[i]
				}
				class = first
			}
			out = append(out, x)
		}
		return out, class
	}
	dinoWith, class := withClass(dino)
	hfSigLIP := siglip.cut("attn.qkv", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj").renamed(
		"pos_embed", "vision_model.embeddings.position_embedding.weight", "patch_embed.proj", "vision_model.embeddings.patch_embedding",
		"blocks.", "vision_model.encoder.layers.", "norm1", "layer_norm1", "norm2", "layer_norm2", "attn.proj", "self_attn.out_proj",
		"norm.", "vision_model.post_layernorm.").shaped("vision_model.embeddings.position_embedding.weight", tg*tg, tw)
	hfDINO := dinoWith.cut("attn.qkv", "attention.attention.query", "attention.attention.key", "attention.attention.value").renamed(
		"cls_token", "embeddings.cls_token", "reg_token", "embeddings.register_tokens", "pos_embed", "embeddings.position_embeddings",
		"patch_embed.proj", "embeddings.patch_embeddings.projection", "blocks.", "encoder.layer.", "attn.proj", "attention.output.dense",
		"ls1.gamma", "layer_scale1.lambda1", "ls2.gamma", "layer_scale2.lambda1")
	ownCLIP := clip.glue("encoder.layers.%d.", ".weight", "attn.in_proj_weight", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj").
		glue("encoder.layers.%d.", ".bias", "attn.in_proj_bias", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj").renamed(
		"embeddings.class_embedding", "visual.class_embedding", "embeddings.patch_embedding.weight", "visual.conv1.weight",
		"embeddings.position_embedding.weight", "visual.positional_embedding", "pre_layrnorm", "visual.ln_pre", "post_layernorm", "visual.ln_post",
		"encoder.layers.", "visual.transformer.resblocks.", "layer_norm1", "ln_1", "layer_norm2", "ln_2", "self_attn.out_proj", "attn.out_proj",
		"fc1", "c_fc", "fc2", "c_proj")
	prefixed := func(prefix string, l tensorList) tensorList {
		out := slices.Clone(l)
		for i := range out {
			out[i].Name = prefix + out[i].Name
		}
		return out
	}
	for name, c := range map[string]struct {
		tower, file tensorList
		prefix      string
		class       []float32
	}{
		"timm siglip":         {siglip, with(siglip, "attn_pool.latent", "attn_pool.q.weight"), "vit.siglip_featurizer.", nil},
		"open_clip siglip":    {siglip, with(prefixed("visual.trunk.", siglip), "text.token_embedding.weight", "logit_scale"), "vit.siglip_featurizer.", nil},
		"transformers siglip": {siglip, with(hfSigLIP, "vision_model.head.probe", "text_model.final_layer_norm.weight"), "vit.siglip_featurizer.", nil},
		"timm dino":           {dino, slices.Clone(dino), "vit.dino_featurizer.", nil},
		"dinov2":              {dino, with(dinoWith.renamed("reg_token", "register_tokens"), "mask_token"), "vit.dino_featurizer.", class},
		"transformers dino":   {dino, with(hfDINO, "embeddings.mask_token"), "vit.dino_featurizer.", class},
		"segment-anything":    {sam, with(prefixed("image_encoder.", sam), "mask_decoder.iou_token.weight"), "vit.sam_featurizer.", nil},
		"timm sam":            {sam, sam.renamed("mlp.lin", "mlp.fc"), "vit.sam_featurizer.", nil},
		"transformers clip":   {clip, with(prefixed("vision_model.", clip), "text_model.x.weight", "vision_model.embeddings.position_ids"), "vit.vision_model.", nil},
		"open_clip clip":      {clip, with(ownCLIP, "visual.proj", "ln_final.weight"), "vit.vision_model.", nil},
	} {
		spec := base
		if strings.Contains(c.prefix, "sam") {
			spec.Window = 3
		}
		var lang []tinymodel.Tensor
		for _, x := range tinymodel.New(spec).Tensors {
			if !strings.HasPrefix(x.Name, "vit.") {
				lang = append(lang, x)
			}
		}
		got, err := converted(t, source(t, lang, c.file), []byte(towerConfig))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, x := range lang {
			if !slices.Equal(got[x.Name], x.Data) {
				t.Errorf("%s: tensor %s differs", name, x.Name)
			}
			delete(got, x.Name)
		}
		second := !strings.Contains(c.prefix, "siglip") && !strings.Contains(c.prefix, "dino") // block 1 is read
		for _, x := range c.tower {
			dead := strings.HasPrefix(x.Name, "norm.") || strings.HasPrefix(x.Name, "post_") || strings.HasPrefix(x.Name, "blocks.1.") && !second
			want := x.Data
			if x.Name == "cls_token" && c.class != nil {
				want = c.class
			}
			v, kept := got[c.prefix+x.Name]
			if kept == dead || kept && !slices.Equal(v, want) {
				t.Errorf("%s: tensor %s: kept is %v, %d values of %d", name, x.Name, kept, len(v), len(want))
			}
			delete(got, c.prefix+x.Name)
		}
		if len(got) > 0 {
			t.Errorf("%s: more tensors than there should be: %d", name, len(got))
		}
	}
}

// The position embedding is fitted to the size of the model's pictures.
func TestTowerIsResampled(t *testing.T) {
	var tower tensorList
	tower.vit("", false)
	var lang []tinymodel.Tensor
	for _, x := range tinymodel.New(base).Tensors {
		if !strings.HasPrefix(x.Name, "vit.") {
			lang = append(lang, x)
		}
	}
	about := strings.Replace(towerConfig, "{", `{"vision.siglip.image_size": 56, `, 1)
	got, err := converted(t, source(t, lang, tower), []byte(about))
	if err != nil {
		t.Fatal(err)
	}
	if want := vision.Resample(tower[0].Data, tg, 7, tw); !slices.Equal(got["vit.siglip_featurizer.pos_embed"], want) {
		t.Error("other positions than those resampled")
	}
}

// The published towers get pictures of the size that the authors use, and are cut off behind
// the block whose features are taken, whatever else their files are made for.
func TestPublishedTowers(t *testing.T) {
	var siglip, dino tensorList
	siglip.add("patch_embed.proj.weight", 1152, 3, 14, 14)
	siglip.add("pos_embed", 1, 27*27, 1152)
	siglip.add("blocks.0.attn.qkv.weight", 1)
	dino.add("patch_embed.proj.weight", 1024, 3, 14, 14)
	dino.add("pos_embed", 1, 37*37, 1024)
	dino.add("reg_token", 1, 4, 1024)
	for i := range 27 {
		siglip.add(fmt.Sprintf("blocks.%d.norm1.weight", i), 1152)
	}
	for i := range 24 {
		dino.add(fmt.Sprintf("blocks.%d.norm1.weight", i), 1024)
		dino.add(fmt.Sprintf("blocks.%d.ls1.gamma", i), 1024)
	}
	c, err := source(t, tinymodel.New(tinymodel.Spec{}).Tensors, siglip, dino).Describe(nil, nil)
	if err != nil || len(c.Towers) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	for i, want := range []vlm.Tower{
		{Kind: "dino", ImageSize: 448, Blocks: 23, FeatureBlock: 22, Heads: 16},
		{Kind: "siglip", ImageSize: 448, Blocks: 26, FeatureBlock: 25, Heads: 16},
	} {
		got := c.Towers[i]
		if got.Kind != want.Kind || got.ImageSize != want.ImageSize || got.Blocks != want.Blocks || got.FeatureBlock != want.FeatureBlock || got.Heads != want.Heads {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// What a library's file lacks is said in its names.
func TestTowerLacks(t *testing.T) {
	var tower tensorList
	tower.vit("", false)
	tower = tower.cut("attn.qkv", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj").renamed(
		"pos_embed", "vision_model.embeddings.position_embedding.weight", "patch_embed.proj", "vision_model.embeddings.patch_embedding",
		"blocks.", "vision_model.encoder.layers.", "norm1", "layer_norm1", "norm2", "layer_norm2", "attn.proj", "self_attn.out_proj").
		shaped("vision_model.embeddings.position_embedding.weight", tg*tg, tw).renamed("layers.0.self_attn.k_proj.weight", "layers.0.self_attn.x")
	_, err := converted(t, source(t, tinymodel.New(tinymodel.Spec{}).Tensors, tower), []byte(towerConfig))
	if err == nil || !strings.Contains(err.Error(), "vit.siglip_featurizer.blocks.0.attn.qkv.weight is missing: file1 has no tensor vision_model.encoder.layers.0.self_attn.k_proj.weight") ||
		!strings.Contains(err.Error(), "proj.weight is missing") {
		t.Error(err)
	}
}
