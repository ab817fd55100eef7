package vision

import (
	"strconv"

	"github.com/visualrwkv/edged/quant"
)

// Names are what the tensors that give a tower's sizes are called; each after Prefix.
type Names struct {
	Prefix string
	Patch  string // the patch embedding [width, 3, patch, patch], without ".weight"
	Pos    string // the position embedding [.., grid*grid, width]
	Square bool   // Pos is [1, grid, grid, width], of an even grid
	Class  int    // rows of Pos that come before those of the patches
	Blocks string // what comes before the number of a block
}

// NamesOf returns the authors' names for a kind of tower.
func NamesOf(kind string) Names { return families[kind].Names }

// family is a kind of tower: the authors' names of its tensors, and what is the same in all
// of the kind; section 7.
type family struct {
	Names
	biased bool // the patch embedding has a bias
	parts  blockNames

	// Tokens before the patches: the class token and registers. Empty for none.
	class, registers string
	keepsClass       bool   // its features follow those of the patches
	pre              string // norm before the first block; empty for none

	eps float32 // of layer norms
}

var timm = blockNames{
	norm1: "norm1", norm2: "norm2", qkv: []string{"attn.qkv"}, proj: "attn.proj", fc1: "mlp.fc1", fc2: "mlp.fc2",
}

var families = map[string]family{
	"siglip": {
		Names:  Names{Prefix: "vit.siglip_featurizer.", Patch: "patch_embed.proj", Pos: "pos_embed", Blocks: "blocks."},
		biased: true, parts: timm, eps: 1e-6,
	},
	"dino": {
		Names:  Names{Prefix: "vit.dino_featurizer.", Patch: "patch_embed.proj", Pos: "pos_embed", Blocks: "blocks."},
		biased: true, parts: timm.with("ls1.gamma", "ls2.gamma"), eps: 1e-6,
		class: "cls_token", registers: "reg_token",
	},
	// The authors take the last hidden state of Hugging Face's CLIPVisionModel, which is
	// before post_layernorm.
	"clip": {
		Names: Names{
			Prefix: "vit.vision_model.", Patch: "embeddings.patch_embedding",
			Pos: "embeddings.position_embedding.weight", Class: 1, Blocks: "encoder.layers.",
		},
		parts: blockNames{
			norm1: "layer_norm1", norm2: "layer_norm2",
			qkv: []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, proj: "self_attn.out_proj",
			fc1: "mlp.fc1", fc2: "mlp.fc2",
		}, eps: 1e-5,
		class: "embeddings.class_embedding", keepsClass: true, pre: "pre_layrnorm",
	},
	sam: {
		Names:  Names{Prefix: "vit.sam_featurizer.", Patch: "patch_embed.proj", Pos: "pos_embed", Square: true, Blocks: "blocks."},
		biased: true, parts: blockNames{
			norm1: "norm1", norm2: "norm2", qkv: []string{"attn.qkv"}, proj: "attn.proj", fc1: "mlp.lin1", fc2: "mlp.lin2",
		}, eps: 1e-6,
	},
}

// sam is the kind that is no plain ViT.
const sam = "sam"

// Found reports whether the tensors of a kind of tower are there.
func Found(kind string, l quant.Loader) bool {
	f, ok := families[kind]
	return ok && (l.Shape(f.Prefix+f.Patch+".weight") != nil || l.Shape(f.Prefix+f.Pos) != nil)
}

// at returns the prefix of block i.
func (f *family) at(i int) string { return f.Prefix + f.Blocks + strconv.Itoa(i) + "." }

// with returns n with LayerScale.
func (n blockNames) with(scale1, scale2 string) blockNames {
	n.scale1, n.scale2 = scale1, scale2
	return n
}
