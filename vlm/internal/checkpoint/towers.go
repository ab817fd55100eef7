package checkpoint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/visualrwkv/edged/vlm/internal/tensors"
)

// library says how a library names the tensors of a kind of tower.
type library struct {
	kind  string   // as in model files
	marks []string // tensors that tell it from others
	not   []string // tensors that it has not
	block string   // prefix of the names of a block, with its number as %d

	outer, inner []pair // outside blocks; in a block, without its prefix
	qkv          [3]string
}

// pair is the name of a tensor in a model, and in the library. Names of the inside of blocks
// stand for a weight and a bias unless they have a dot at the end.
type pair struct{ to, from string }

// places are prefixes that a tower's names may have in a larger file: those of open_clip, of
// segment-anything, and of models that contain one of Hugging Face's.
var places = []string{"", "visual.trunk.", "visual.", "image_encoder.", "dinov2_with_registers.", "siglip.", "clip."}

var (
	embed      = []pair{{"patch_embed.proj.weight", "patch_embed.proj.weight"}, {"patch_embed.proj.bias", "patch_embed.proj.bias"}}
	timmBlock  = []pair{{"norm1", "norm1"}, {"attn.qkv", "attn.qkv"}, {"attn.proj", "attn.proj"}, {"norm2", "norm2"}, {"mlp.fc1", "mlp.fc1"}, {"mlp.fc2", "mlp.fc2"}}
	layerScale = []pair{{"ls1.gamma.", "ls1.gamma"}, {"ls2.gamma.", "ls2.gamma"}}
	relative   = []pair{{"attn.rel_pos_h.", "attn.rel_pos_h"}, {"attn.rel_pos_w.", "attn.rel_pos_w"}}
	samNeck    = []pair{{"pos_embed", "pos_embed"}, {"neck.0.weight", "neck.0.weight"}, {"neck.1.weight", "neck.1.weight"}, {"neck.1.bias", "neck.1.bias"},
		{"neck.2.weight", "neck.2.weight"}, {"neck.3.weight", "neck.3.weight"}, {"neck.3.bias", "neck.3.bias"}}
	samBlock = []pair{{"norm1", "norm1"}, {"attn.qkv", "attn.qkv"}, {"attn.proj", "attn.proj"}, {"norm2", "norm2"}}
)

// libraries are the towers that are recognised. Their names are facts about timm, open_clip,
// segment-anything, dinov2 and transformers.
var libraries = []library{
	{ // timm, and open_clip where it takes the tower from there
		kind: "siglip", marks: []string{"patch_embed.proj.weight", "pos_embed", "blocks.0.attn.qkv.weight"}, not: []string{"cls_token", "neck.0.weight"},
		block: "blocks.%d.", outer: append([]pair{{"pos_embed", "pos_embed"}}, embed...), inner: timmBlock,
	},
	{ // transformers, SiglipVisionModel
		kind: "siglip", marks: []string{"vision_model.embeddings.patch_embedding.bias"}, not: []string{"vision_model.embeddings.class_embedding"},
		block: "vision_model.encoder.layers.%d.",
		outer: []pair{{"pos_embed", "vision_model.embeddings.position_embedding.weight"},
			{"patch_embed.proj.weight", "vision_model.embeddings.patch_embedding.weight"}, {"patch_embed.proj.bias", "vision_model.embeddings.patch_embedding.bias"}},
		inner: []pair{{"norm1", "layer_norm1"}, {"attn.proj", "self_attn.out_proj"}, {"norm2", "layer_norm2"}, {"mlp.fc1", "mlp.fc1"}, {"mlp.fc2", "mlp.fc2"}},
		qkv:   [3]string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
	},
	{ // timm
		kind: "dino", marks: []string{"patch_embed.proj.weight", "reg_token", "blocks.0.ls1.gamma"},
		block: "blocks.%d.", outer: append([]pair{{"cls_token", "cls_token"}, {"reg_token", "reg_token"}, {"pos_embed", "pos_embed"}}, embed...),
		inner: append(slices.Clone(timmBlock), layerScale...),
	},
	{ // dinov2
		kind: "dino", marks: []string{"patch_embed.proj.weight", "register_tokens", "blocks.0.ls1.gamma"},
		block: "blocks.%d.", outer: append([]pair{{"cls_token", "cls_token"}, {"reg_token", "register_tokens"}, {"pos_embed", "pos_embed"}}, embed...),
		inner: append(slices.Clone(timmBlock), layerScale...),
	},
	{ // transformers, Dinov2WithRegistersModel
		kind: "dino", marks: []string{"embeddings.patch_embeddings.projection.weight", "embeddings.register_tokens"},
		block: "encoder.layer.%d.",
		outer: []pair{{"cls_token", "embeddings.cls_token"}, {"reg_token", "embeddings.register_tokens"}, {"pos_embed", "embeddings.position_embeddings"},
			{"patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight"}, {"patch_embed.proj.bias", "embeddings.patch_embeddings.projection.bias"}},
		inner: []pair{{"norm1", "norm1"}, {"attn.proj", "attention.output.dense"}, {"norm2", "norm2"}, {"mlp.fc1", "mlp.fc1"}, {"mlp.fc2", "mlp.fc2"},
			{"ls1.gamma.", "layer_scale1.lambda1"}, {"ls2.gamma.", "layer_scale2.lambda1"}},
		qkv: [3]string{"attention.attention.query", "attention.attention.key", "attention.attention.value"},
	},
	{ // segment-anything
		kind: "sam", marks: []string{"patch_embed.proj.weight", "neck.0.weight", "blocks.0.mlp.lin1.weight"},
		block: "blocks.%d.", outer: append(slices.Clone(samNeck), embed...),
		inner: append(append([]pair{{"mlp.lin1", "mlp.lin1"}, {"mlp.lin2", "mlp.lin2"}}, samBlock...), relative...),
	},
	{ // timm
		kind: "sam", marks: []string{"patch_embed.proj.weight", "neck.0.weight", "blocks.0.mlp.fc1.weight"},
		block: "blocks.%d.", outer: append(slices.Clone(samNeck), embed...),
		inner: append(append([]pair{{"mlp.lin1", "mlp.fc1"}, {"mlp.lin2", "mlp.fc2"}}, samBlock...), relative...),
	},
	{ // transformers, CLIPVisionModel
		kind: "clip", marks: []string{"vision_model.embeddings.class_embedding", "vision_model.embeddings.patch_embedding.weight"},
		block: "vision_model.encoder.layers.%d.",
		outer: []pair{{"embeddings.class_embedding", "vision_model.embeddings.class_embedding"}, {"embeddings.patch_embedding.weight", "vision_model.embeddings.patch_embedding.weight"},
			{"embeddings.position_embedding.weight", "vision_model.embeddings.position_embedding.weight"},
			{"pre_layrnorm.weight", "vision_model.pre_layrnorm.weight"}, {"pre_layrnorm.bias", "vision_model.pre_layrnorm.bias"}},
		inner: []pair{{"layer_norm1", "layer_norm1"}, {"self_attn.q_proj", "self_attn.q_proj"}, {"self_attn.k_proj", "self_attn.k_proj"}, {"self_attn.v_proj", "self_attn.v_proj"},
			{"self_attn.out_proj", "self_attn.out_proj"}, {"layer_norm2", "layer_norm2"}, {"mlp.fc1", "mlp.fc1"}, {"mlp.fc2", "mlp.fc2"}},
	},
	{ // open_clip, its own
		kind: "clip", marks: []string{"class_embedding", "conv1.weight", "transformer.resblocks.0.attn.in_proj_weight"},
		block: "transformer.resblocks.%d.",
		outer: []pair{{"embeddings.class_embedding", "class_embedding"}, {"embeddings.patch_embedding.weight", "conv1.weight"},
			{"embeddings.position_embedding.weight", "positional_embedding"}, {"pre_layrnorm.weight", "ln_pre.weight"}, {"pre_layrnorm.bias", "ln_pre.bias"}},
		inner: []pair{{"layer_norm1", "ln_1"}, {"self_attn.out_proj", "attn.out_proj"}, {"layer_norm2", "ln_2"}, {"mlp.fc1", "mlp.c_fc"}, {"mlp.fc2", "mlp.c_proj"}},
		qkv:   [3]string{"attn.in_proj_weight", "attn.in_proj_bias"},
	},
}

// targets are the prefixes of a tower's names and of its blocks' in a model.
var targets = map[string]pair{
	"siglip": {"vit.siglip_featurizer.", "vit.siglip_featurizer.blocks."},
	"dino":   {"vit.dino_featurizer.", "vit.dino_featurizer.blocks."},
	"sam":    {"vit.sam_featurizer.", "vit.sam_featurizer.blocks."},
	"clip":   {"vit.vision_model.", "vit.vision_model.encoder.layers."},
}

// found is a library's tower at a place in a file.
type found struct {
	*library
	place string
}

// recognise returns nil where the file is no tower.
func (m *mapper) recognise() *found {
	has := func(place string) func(string) bool {
		return func(name string) bool { _, ok := m.tensors[place+name]; return ok }
	}
	for i := range libraries {
		l := &libraries[i]
		for _, place := range places {
			h := has(place)
			if !slices.ContainsFunc(l.marks, func(n string) bool { return !h(n) }) && !slices.ContainsFunc(l.not, h) {
				return &found{l, place}
			}
		}
	}
	return nil
}

// tower gives a tower's tensors their names in a model.
func (m *mapper) tower(t *found) {
	to := targets[t.kind]
	for _, p := range t.outer {
		m.rename(to.to+p.to, t.place+p.from)
	}
	if t.kind == "siglip" || t.kind == "dino" {
		m.threeDimensions(to.to + "pos_embed")
	}
	if t.kind == "dino" {
		m.classPosition(to.to)
	}
	for i := range m.count(t.place + t.block) {
		m.block(t, to.from+strconv.Itoa(i)+".", t.place+strings.Replace(t.block, "%d", strconv.Itoa(i), 1))
	}
	m.finish()
}

func (m *mapper) block(t *found, to, from string) {
	for _, p := range t.inner {
		if bare, ok := strings.CutSuffix(p.to, "."); ok {
			m.rename(to+bare, from+p.from)
			continue
		}
		m.norm(to+p.to, from+p.from)
	}
	switch {
	case t.qkv[2] != "":
		for _, end := range []string{".weight", ".bias"} {
			m.join(to+"attn.qkv"+end, from+t.qkv[0]+end, from+t.qkv[1]+end, from+t.qkv[2]+end)
		}
	case t.qkv[0] != "":
		m.split(to+"self_attn.", ".weight", from+t.qkv[0])
		m.split(to+"self_attn.", ".bias", from+t.qkv[1])
	}
}

// join stacks the rows of several tensors.
func (m *mapper) join(target string, names ...string) {
	var list []tensors.Weight
	for _, name := range names {
		if t, ok := m.need(target, name); ok {
			list = append(list, t)
		}
	}
	if len(list) == len(names) {
		w, err := stacked(target, list)
		m.put(target, w, err)
	}
}

// split takes a tensor that holds query, key and value apart.
func (m *mapper) split(to, end, name string) {
	for i, p := range []string{"q_proj", "k_proj", "v_proj"} {
		target := to + p + end
		t, ok := m.need(target, name)
		if !ok {
			continue
		}
		shape := slices.Clone(t.Shape)
		if len(shape) == 0 || shape[0]%3 != 0 {
			m.lack(target, "tensor %s: shape %v cannot be cut in three", name, t.Shape)
			continue
		}
		shape[0] /= 3
		m.made = append(m.made, part(target, shape, t, i*t.Len()/3))
	}
}

// threeDimensions gives a position embedding [T, D] the shape of timm's, [1, T, D].
func (m *mapper) threeDimensions(target string) {
	if w := m.find(target); w != nil && len(w.Shape) == 2 {
		w.Shape = []int{1, w.Shape[0], w.Shape[1]}
	}
}

// classPosition adds the class token's position to the class token, where a library has one
// in its position embedding: timm, as the authors, has positions of patches only.
func (m *mapper) classPosition(prefix string) {
	class, pos := m.find(prefix+"cls_token"), m.find(prefix+"pos_embed")
	if class == nil || pos == nil || len(pos.Shape) != 3 || pos.Shape[2] < 1 || pos.Shape[2] != class.Len() || isSquare(pos.Shape[1]) || !isSquare(pos.Shape[1]-1) {
		return
	}
	d, with, own := pos.Shape[2], *pos, *class
	class.plain, class.From = false, append(slices.Clone(own.From), with.From...)
	class.open = func() (Values, error) {
		v, err := own.all()
		if err != nil {
			return nil, err
		}
		row := make([]float32, d)
		read, err := with.open()
		if err == nil {
			err = read(row, 0)
		}
		for i := range v {
			v[i] += row[i]
		}
		return inMemory(v), err
	}
	*pos = part(pos.Name, []int{1, pos.Shape[1] - 1, d}, with.From[0], d)
}

func isSquare(n int) bool {
	s := 0
	for s*s < n {
		s++
	}
	return n > 0 && s*s == n
}

func (m *mapper) find(name string) *Weight {
	i := slices.IndexFunc(m.made, func(w Weight) bool { return w.Name == name })
	if i < 0 {
		return nil
	}
	return &m.made[i]
}

// count returns how many blocks there are under a prefix with the number as %d. One that has
// lost tensors counts.
func (m *mapper) count(prefix string) int {
	before, after, _ := strings.Cut(prefix, "%d")
	n := 0
	for name := range m.tensors {
		if rest, ok := strings.CutPrefix(name, before); ok {
			number, _, ok := strings.Cut(rest, after)
			// No more blocks than tensors, whatever the names say.
			if i, err := strconv.Atoi(number); ok && err == nil && i >= 0 && i < len(m.tensors) {
				n = max(n, i+1)
			}
		}
	}
	return n
}
