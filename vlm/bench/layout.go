package bench

import (
	"fmt"
	"math"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// role decides the type that a tensor has in a file of a given type, by the
// rules of `edged convert`.
type role uint8

const (
	vector    role = iota // float32
	low                   // half precision: LoRA matrices, convolutions, positions
	matrix                // the type of the file
	sensitive             // the type of the file, but not below 8 bits: embedding and head
	lookup                // as sensitive, but never packed: the embedding
)

// tensor is one tensor of a random model, uniform with a standard deviation of
// spread about centre.
type tensor struct {
	name           string
	role           role
	centre, spread float64
	shape          []int // PyTorch's order
}

// layout collects the tensors of a model.
type layout struct{ tensors []tensor }

func (l *layout) add(name string, r role, centre, spread float64, shape ...int) {
	l.tensors = append(l.tensors, tensor{name, r, centre, spread, shape})
}

// linear keeps what passes through at its magnitude.
func (l *layout) linear(name string, out, in int) {
	l.add(name+".weight", matrix, 0, 1/math.Sqrt(float64(in)), out, in)
}

func (l *layout) norm(name string, c int) {
	l.add(name+".weight", vector, 1, 0.1, c)
	l.add(name+".bias", vector, 0, 0.1, c)
}

// language lists the tensors of a plain RWKV-6 model, with the authors' names.
func (s Shape) language() []tensor {
	var l layout
	c := s.Width
	mix, decay := s.lora()
	l.add("rwkv.emb.weight", lookup, 0, 1, s.Vocab, c)
	for i := range s.Layers {
		b := fmt.Sprintf("rwkv.blocks.%d.", i)
		if i == 0 {
			l.norm(b+"ln0", c)
		}
		l.norm(b+"ln1", c)
		l.norm(b+"ln2", c)
		a := b + "att."
		for _, n := range []string{"x", "w", "k", "v", "r", "g"} {
			l.add(a+"time_maa_"+n, vector, 0.5, 0.25, 1, 1, c)
		}
		l.add(a+"time_maa_w1", low, 0, 0.5/math.Sqrt(float64(c)), c, 5*mix)
		l.add(a+"time_maa_w2", low, 0, 0.1, 5, mix, c)
		l.add(a+"time_decay", vector, -3.5, 1.4, 1, 1, c)
		l.add(a+"time_decay_w1", low, 0, 0.5/math.Sqrt(float64(c)), c, decay)
		l.add(a+"time_decay_w2", low, 0, 0.01, decay, c)
		l.add(a+"time_faaaa", vector, 0, 0.3, c/headSize, headSize)
		for _, n := range []string{"receptance", "key", "value", "gate", "output"} {
			l.linear(a+n, c, c)
		}
		l.norm(a+"ln_x", c)
		f := b + "ffn."
		l.add(f+"time_maa_k", vector, 0.5, 0.25, 1, 1, c)
		l.add(f+"time_maa_r", vector, 0.5, 0.25, 1, 1, c)
		l.linear(f+"key", s.FFN, c)
		l.linear(f+"receptance", c, c)
		l.linear(f+"value", c, s.FFN)
	}
	l.norm("rwkv.ln_out", c)
	l.add("rwkv.head.weight", sensitive, 0, 1/math.Sqrt(float64(c)), s.Vocab, c)
	return l.tensors
}

func (l *layout) biased(name string, out, in int) {
	l.linear(name, out, in)
	l.add(name+".bias", vector, 0, 0.1, out)
}

// tower lists the tensors of a vision tower, with the authors' names.
func (t Tower) tower() []tensor {
	if t.Kind == "clip" {
		return t.clip()
	}
	var l layout
	d, g := t.Width, t.Image/t.Patch
	v := "vit." + t.Kind + "_featurizer."
	fc1, fc2 := "mlp.fc1", "mlp.fc2"
	switch t.Kind {
	case "sam":
		fc1, fc2 = "mlp.lin1", "mlp.lin2"
		l.add(v+"pos_embed", low, 0, 0.2, 1, g, g, d)
		l.sam(v, t)
	case "dino":
		l.add(v+"cls_token", vector, 0, 0.2, 1, 1, d)
		l.add(v+"reg_token", low, 0, 0.2, 1, registers, d)
		fallthrough
	default:
		l.add(v+"pos_embed", low, 0, 0.2, 1, g*g, d)
	}
	l.add(v+"patch_embed.proj.weight", low, 0, 1/math.Sqrt(float64(3*t.Patch*t.Patch)), d, 3, t.Patch, t.Patch)
	l.add(v+"patch_embed.proj.bias", vector, 0, 0.1, d)
	for i := range t.Depth {
		b := fmt.Sprintf("%sblocks.%d.", v, i)
		l.norm(b+"norm1", d)
		l.biased(b+"attn.qkv", 3*d, d)
		l.biased(b+"attn.proj", d, d)
		l.norm(b+"norm2", d)
		l.biased(b+fc1, t.MLP, d)
		l.biased(b+fc2, d, t.MLP)
		if t.Kind == "dino" {
			l.add(b+"ls1.gamma", vector, 0.5, 0.1, d)
			l.add(b+"ls2.gamma", vector, 0.5, 0.1, d)
		}
	}
	return l.tensors
}

// registers is how many register tokens the published DINOv2 has.
const registers = 4

func (t Tower) clip() []tensor {
	var l layout
	d, g := t.Width, t.Image/t.Patch
	v := "vit.vision_model."
	l.add(v+"embeddings.class_embedding", vector, 0, 0.2, d)
	l.add(v+"embeddings.patch_embedding.weight", low, 0, 1/math.Sqrt(float64(3*t.Patch*t.Patch)), d, 3, t.Patch, t.Patch)
	l.add(v+"embeddings.position_embedding.weight", low, 0, 0.2, 1+g*g, d)
	l.norm(v+"pre_layrnorm", d)
	for i := range t.Depth {
		b := fmt.Sprintf("%sencoder.layers.%d.", v, i)
		l.norm(b+"layer_norm1", d)
		for _, n := range []string{"q", "k", "v", "out"} {
			l.biased(b+"self_attn."+n+"_proj", d, d)
		}
		l.norm(b+"layer_norm2", d)
		l.biased(b+"mlp.fc1", t.MLP, d)
		l.biased(b+"mlp.fc2", d, t.MLP)
	}
	return l.tensors
}

// sam lists what SAM's tower has besides: relative positions, in windows of 14 x 14 tokens
// but in every third block, and a neck of 256 channels.
func (l *layout) sam(v string, t Tower) {
	const window, neck = 14, 256
	for i := range t.Depth {
		g := window
		if i%3 == 2 {
			g = t.Image / t.Patch
		}
		for _, n := range []string{"h", "w"} {
			l.add(fmt.Sprintf("%sblocks.%d.attn.rel_pos_%s", v, i, n), low, 0, 0.05, 2*g-1, t.Width/t.Heads)
		}
	}
	l.add(v+"neck.0.weight", low, 0, 1/math.Sqrt(float64(t.Width)), neck, t.Width, 1, 1)
	l.norm(v+"neck.1", neck)
	l.add(v+"neck.2.weight", low, 0, 1/math.Sqrt(9*neck), neck, neck, 3, 3)
	l.norm(v+"neck.3", neck)
}

// part is one tensor of the file: a packed matrix has two or three.
type part struct {
	weights.TensorInfo
	filler
}

// parts tells how t is stored in a file of type typ; with pure embedding and head
// have no more bits than the rest.
func (t tensor) parts(typ quant.Type, pure bool) []part {
	one := func(d weights.DType, f filler) []part {
		return []part{{weights.TensorInfo{Name: t.name, Type: d, Shape: t.shape}, f}}
	}
	if t.role >= sensitive && !pure {
		typ = atLeast8(typ)
	}
	rows, cols := t.shape[0], t.shape[len(t.shape)-1]
	switch {
	case t.role == vector:
		return one(weights.F32, floats(t.centre, t.spread))
	case t.role == low || typ == quant.F16:
		return one(weights.F16, halves(t.spread))
	case typ.Packed() && t.role != lookup && quant.Packs(rows, cols):
		return t.packed(typ, rows, cols)
	case cols%kernels.Block != 0:
		return one(weights.F16, halves(t.spread))
	case typ == quant.P8:
		typ = quant.Q8_0
	case typ == quant.P4:
		typ = quant.Q4_0
	}
	return one(weights.DType(typ), blocks(typ, t.spread))
}

func atLeast8(t quant.Type) quant.Type {
	switch t {
	case quant.P4:
		return quant.P8
	case quant.Q4_0:
		return quant.Q8_0
	}
	return t
}

// packed lists the parts of a packed matrix.
func (t tensor) packed(typ quant.Type, rows, cols int) []part {
	fillers := map[string]filler{
		"":                    integers(int8s),
		tensors.ScaleSuffix:   scales(t.spread / int8RMS),
		tensors.ColumnsSuffix: number(uint32(cols)),
	}
	if typ == quant.P4 {
		fillers[""] = integers(nibbles)
		fillers[tensors.ScaleSuffix] = scales(t.spread / nibbleRMS / groupRMS)
		fillers[tensors.GroupSuffix] = integers(nibbles)
	}
	var all []part
	for _, info := range tensors.Parts(typ, rows, cols) {
		f := fillers[info.Name]
		info.Name = t.name + info.Name
		all = append(all, part{info, f})
	}
	return all
}
