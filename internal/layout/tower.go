package layout

import (
	"fmt"
	"math"
)

// Tower is the size of a vision tower.
type Tower struct {
	Kind         string // siglip, dino, sam, clip
	Image, Patch int    // pixels
	Width, Depth int
	Heads, MLP   int
	Registers    int // DINO's
	Window, Neck int // SAM's: tokens a side of what most blocks attend in, channels
}

// Features returns the width of a cell's features.
func (t Tower) Features() int {
	if t.Kind == "sam" {
		return 4 * t.Neck
	}
	return t.Width
}

// Tensors lists the tower's tensors, with the norm behind the last block, which nothing reads.
func (t Tower) Tensors() List {
	if t.Kind == "clip" {
		return t.clip()
	}
	var l List
	d, g := t.Width, t.Image/t.Patch
	v := "vit." + t.Kind + "_featurizer."
	fc1, fc2 := "mlp.fc1", "mlp.fc2"
	switch t.Kind {
	case "sam":
		fc1, fc2 = "mlp.lin1", "mlp.lin2"
		l.Add(v+"pos_embed", Low, 0, 0.2, 1, g, g, d)
	case "dino":
		l.Add(v+"cls_token", Vector, 0, 0.2, 1, 1, d)
		l.Add(v+"reg_token", Low, 0, 0.2, 1, t.Registers, d)
		fallthrough
	default:
		l.Add(v+"pos_embed", Low, 0, 0.2, 1, g*g, d)
	}
	l.Add(v+"patch_embed.proj.weight", Low, 0, 0.1, d, 3, t.Patch, t.Patch)
	l.Add(v+"patch_embed.proj.bias", Vector, 0, 0.1, d)
	for i := range t.Depth {
		b := fmt.Sprintf("%sblocks.%d.", v, i)
		l.Norm(b+"norm1", d)
		if t.Kind == "sam" {
			rows := 2*t.window(i) - 1
			l.Add(b+"attn.rel_pos_h", Low, 0, 0.2, rows, d/t.Heads)
			l.Add(b+"attn.rel_pos_w", Low, 0, 0.2, rows, d/t.Heads)
		}
		l.Biased(b+"attn.qkv", 3*d, d)
		l.Biased(b+"attn.proj", d, d)
		l.Norm(b+"norm2", d)
		l.Biased(b+fc1, t.MLP, d)
		l.Biased(b+fc2, d, t.MLP)
		if t.Kind == "dino" {
			l.Add(b+"ls1.gamma", Vector, 0.5, 0.1, d)
			l.Add(b+"ls2.gamma", Vector, 0.5, 0.1, d)
		}
	}
	if t.Kind != "sam" {
		l.Norm(v+"norm", d)
		return l
	}
	l.Add(v+"neck.0.weight", Low, 0, 1/math.Sqrt(float64(d)), t.Neck, d, 1, 1)
	l.Norm(v+"neck.1", t.Neck)
	l.Add(v+"neck.2.weight", Low, 0, 1/math.Sqrt(float64(9*t.Neck)), t.Neck, t.Neck, 3, 3)
	l.Norm(v+"neck.3", t.Neck)
	return l
}

// window returns what block i of SAM's attends in: every third and the last, all tokens.
func (t Tower) window(i int) int {
	if i%3 == 2 || i == t.Depth-1 {
		return t.Image / t.Patch
	}
	return t.Window
}

func (t Tower) clip() List {
	var l List
	d, g := t.Width, t.Image/t.Patch
	v := "vit.vision_model."
	l.Add(v+"embeddings.class_embedding", Vector, 0, 0.5, d)
	l.Add(v+"embeddings.patch_embedding.weight", Low, 0, 0.1, d, 3, t.Patch, t.Patch)
	l.Add(v+"embeddings.position_embedding.weight", Low, 0, 0.2, 1+g*g, d)
	l.Norm(v+"pre_layrnorm", d)
	for i := range t.Depth {
		b := fmt.Sprintf("%sencoder.layers.%d.", v, i)
		l.Norm(b+"layer_norm1", d)
		for _, n := range []string{"q", "k", "v", "out"} {
			l.Biased(b+"self_attn."+n+"_proj", d, d)
		}
		l.Norm(b+"layer_norm2", d)
		l.Biased(b+"mlp.fc1", t.MLP, d)
		l.Biased(b+"mlp.fc2", d, t.MLP)
	}
	l.Norm(v+"post_layernorm", d)
	return l
}

// Forms of projectors.
const (
	Linear = iota // one matrix
	Gated         // v6.x
	Gated7        // v7.00
)

// Projector lists the tensors that project features to a language model's width.
func Projector(form, width, features int) List {
	var l List
	switch form {
	case Gated7:
		l.Linear("proj.gate", features, features)
		l.Linear("proj.o_proj", width, features)
		l.Norm("proj.ln_v", width)
	case Gated:
		l.Linear("proj.proj", width, features)
		l.Linear("proj.gate", width, width)
		l.Linear("proj.o_proj", width, width)
	default:
		l.Linear("proj", width, features)
	}
	return l
}
