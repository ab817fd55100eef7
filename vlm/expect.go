package vlm

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/encoder"
	"github.com/visualrwkv/edged/vlm/internal/vision"
)

// wanted is a tensor that a model needs: rows is its first dimension, cols the product of
// the others, -1 accepts any. A vector, whose number of values alone counts, has rows 0.
type wanted struct {
	name       string
	rows, cols int
}

// fits reports whether a tensor of this shape is what is wanted.
func (w wanted) fits(shape []int) bool {
	rows, cols := 1, 1
	if len(shape) > 0 {
		rows = shape[0]
	}
	for _, d := range shape[min(1, len(shape)):] {
		cols *= d
	}
	if w.rows == 0 {
		return w.cols == rows*cols || w.cols < 0
	}
	return (w.rows < 0 || w.rows == rows) && (w.cols < 0 || w.cols == cols)
}

// String says what is wanted.
func (w wanted) String() string {
	side := func(n int) string {
		if n < 0 {
			return "any"
		}
		return strconv.Itoa(n)
	}
	if w.rows == 0 {
		return side(w.cols) + " values"
	}
	return "[" + side(w.rows) + ", " + side(w.cols) + "]"
}

// expectation lists the tensors of a model: what section "Tensors" of docs/model-file.md
// says, and what the layers bind when the model is opened (TestExpectation).
type expectation struct {
	c    Config
	l    *shapes
	list []wanted
}

// expected returns the tensors that a model of c needs, with sizes that c does not say, such
// as those of LoRA matrices, from l.
func (c Config) expected(l *shapes) []wanted {
	e := &expectation{c: c, l: l}
	p := decoder.Prefix
	e.matrix(p+"emb.weight", c.Vocab, c.Width)
	for i := range c.Blocks {
		e.block(p+"blocks."+strconv.Itoa(i)+".", i, c.Variant)
	}
	e.norm(p+"ln_out", c.Width)
	e.matrix(p+"head.weight", c.Vocab, c.Width)
	for i := range c.EncoderBlocks {
		e.block(encoder.Prefix+"blocks."+strconv.Itoa(i)+".", i, "vanilla")
	}
	e.projector()
	for _, t := range c.Towers {
		e.tower(t)
	}
	return e.list
}

func (e *expectation) vector(name string, n int) { e.list = append(e.list, wanted{name, 0, n}) }

func (e *expectation) matrix(name string, rows, cols int) {
	e.list = append(e.list, wanted{name, rows, cols})
}

func (e *expectation) norm(name string, n int) {
	e.vector(name+".weight", n)
	e.vector(name+".bias", n)
}

func (e *expectation) linear(name string, out, in int) {
	e.matrix(name+".weight", out, in)
	e.vector(name+".bias", out)
}

// dim returns a dimension of a tensor that is as it should be, or -1.
func (e *expectation) dim(name string, i int) int {
	if s := e.l.Shape(name); i < len(s) && s[i] > 0 {
		return s[i]
	}
	return -1
}

// lora wants name1 [in, branches*r] and name2 [branches, r, out], or [r, out] where it has
// one branch.
func (e *expectation) lora(name string, in, branches, out int) {
	one, two := name+"1", name+"2"
	r := -1
	if s := e.l.exact[two]; len(s) > 1 { // not what most blocks have: widths may differ
		r = s[len(s)-2]
	} else if s := e.l.exact[one]; len(s) == 2 {
		r = s[1] / branches
	}
	switch {
	case r < 1:
		e.matrix(one, in, -1)
		e.matrix(two, -1, -1)
	case branches == 1:
		e.matrix(one, in, r)
		e.matrix(two, r, out)
	default:
		e.matrix(one, in, branches*r)
		e.matrix(two, branches, r*out)
	}
}

func (e *expectation) block(b string, i int, variant string) {
	c := e.c.Width
	if i == 0 {
		e.norm(b+"ln0", c)
	}
	e.norm(b+"ln1", c)
	e.norm(b+"ln2", c)
	if variant == "rwkv7" {
		e.block7(b, i)
		return
	}
	a := b + "att."
	for _, n := range []string{"x", "w", "k", "v", "r", "g"} {
		e.vector(a+"time_maa_"+n, c)
	}
	e.lora(a+"time_maa_w", c, 5, c)
	e.vector(a+"time_decay", c)
	e.lora(a+"time_decay_w", c, 1, c)
	e.vector(a+"time_faaaa", c)
	for _, n := range []string{"receptance", "key", "value", "gate", "output"} {
		e.matrix(a+n+".weight", c, c)
	}
	e.norm(a+"ln_x", c)
	switch variant {
	case "hybrid", "hybrid-sigmoid":
		e.lora(a+"time_mem_w", c, 2, c)
		e.vector(a+"time_mem_r", c)
		e.vector(a+"time_mem_g", c)
		e.matrix(a+"mem_read.weight", c, c)
		e.matrix(a+"mem_gate.weight", c, c)
		if variant == "hybrid-sigmoid" {
			e.vector(a+"mem_gate.bias", c)
		}
	case "hybrid-oldest":
		e.matrix(a+"read.weight", c, c)
		e.linear(a+"read_gate", c, c)
	case "cross":
		e.norm(b+"ln3", c)
		x := b + "cross."
		e.lora(x+"time_maa_w", c, 2, c)
		for _, n := range []string{"x", "r", "g"} {
			e.vector(x+"time_maa_"+n, c)
		}
		for _, n := range []string{"receptance", "gate", "output"} {
			e.matrix(x+n+".weight", c, c)
		}
		e.norm(x+"ln_x", c)
	}
	f := b + "ffn."
	e.vector(f+"time_maa_k", c)
	e.vector(f+"time_maa_r", c)
	e.matrix(f+"key.weight", e.c.FFN, c)
	e.matrix(f+"value.weight", c, e.c.FFN)
	e.matrix(f+"receptance.weight", c, c)
}

// block7 wants the sub-layers of an RWKV-7 block.
func (e *expectation) block7(b string, i int) {
	c, a := e.c.Width, b+"att."
	for _, n := range []string{"r", "w", "k", "v", "a", "g"} {
		e.vector(a+"x_"+n, c)
	}
	for _, n := range []string{"w", "a", "v", "g"} {
		if n == "v" && i == 0 {
			continue
		}
		e.lora(a+n, c, 1, c)
		if n != "g" {
			e.vector(a+n+"0", c)
		}
	}
	for _, n := range []string{"k_k", "k_a", "r_k"} {
		e.vector(a+n, c)
	}
	for _, n := range []string{"receptance", "key", "value", "output"} {
		e.matrix(a+n+".weight", c, c)
	}
	e.norm(a+"ln_x", c)
	e.vector(b+"ffn.x_k", c)
	e.matrix(b+"ffn.key.weight", e.c.FFN, c)
	e.matrix(b+"ffn.value.weight", c, e.c.FFN)
}

// projector wants the form that is there, of the width of all towers' features together.
func (e *expectation) projector() {
	c, in := e.c.Width, -1
	for _, t := range e.c.Towers {
		in = max(in, 0) + t.features(e.l.Shape)
	}
	has := func(name string) bool { return e.l.Shape(name) != nil }
	switch {
	case has("proj.ln_v.weight"):
		if in < 0 {
			in = e.dim("proj.o_proj.weight", 1)
		}
		e.matrix("proj.o_proj.weight", c, in)
		e.matrix("proj.gate.weight", in, in)
		e.norm("proj.ln_v", c)
	case has("proj.proj.weight") || has("proj.o_proj.weight"):
		e.matrix("proj.proj.weight", c, in)
		e.matrix("proj.gate.weight", c, c)
		e.matrix("proj.o_proj.weight", c, c)
	case has("proj.weight") || in >= 0:
		e.matrix("proj.weight", c, in)
	}
}

func (e *expectation) tower(t Tower) {
	p, d := vision.NamesOf(t.Kind).Prefix, t.Width
	pixels, side := 3*t.PatchSize*t.PatchSize, t.ImageSize/t.PatchSize
	if t.Kind == "clip" {
		e.vector(p+"embeddings.class_embedding", d)
		e.matrix(p+"embeddings.patch_embedding.weight", d, pixels)
		e.vector(p+"embeddings.position_embedding.weight", (1+side*side)*d)
		e.norm(p+"pre_layrnorm", d)
		for i := range t.Blocks {
			e.clipBlock(p+"encoder.layers."+strconv.Itoa(i)+".", d)
		}
		return
	}
	e.matrix(p+"patch_embed.proj.weight", d, pixels)
	e.vector(p+"patch_embed.proj.bias", d)
	e.vector(p+"pos_embed", side*side*d)
	fc1, fc2 := "mlp.fc1", "mlp.fc2"
	switch t.Kind {
	case "dino":
		e.vector(p+"cls_token", d)
		registers := e.dim(p+"reg_token", 1)
		e.vector(p+"reg_token", max(registers*d, -1))
	case "sam":
		fc1, fc2 = "mlp.lin1", "mlp.lin2"
		c := e.dim(p+"neck.0.weight", 0)
		e.matrix(p+"neck.0.weight", c, d)
		e.norm(p+"neck.1", c)
		e.matrix(p+"neck.2.weight", c, max(9*c, -1))
		e.norm(p+"neck.3", c)
	}
	for i := range t.Blocks {
		b := p + "blocks." + strconv.Itoa(i) + "."
		e.norm(b+"norm1", d)
		e.linear(b+"attn.qkv", 3*d, d)
		e.linear(b+"attn.proj", d, d)
		e.norm(b+"norm2", d)
		hidden := e.dim(b+fc1+".weight", 0)
		e.linear(b+fc1, hidden, d)
		e.linear(b+fc2, d, hidden)
		switch t.Kind {
		case "dino":
			e.vector(b+"ls1.gamma", d)
			e.vector(b+"ls2.gamma", d)
		case "sam":
			// Windows differ from block to block; -1 rows of width/heads.
			e.matrix(b+"attn.rel_pos_h", -1, d/max(t.Heads, 1))
			e.matrix(b+"attn.rel_pos_w", -1, d/max(t.Heads, 1))
		}
	}
}

func (e *expectation) clipBlock(b string, d int) {
	e.norm(b+"layer_norm1", d)
	for _, n := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
		e.linear(b+"self_attn."+n, d, d)
	}
	e.norm(b+"layer_norm2", d)
	hidden := e.dim(b+"mlp.fc1.weight", 0)
	e.linear(b+"mlp.fc1", hidden, d)
	e.linear(b+"mlp.fc2", d, hidden)
}

// blockVariant tells what a decoder block is from its own tensors; empty where none tells.
func blockVariant(has func(name string) bool) string {
	switch {
	case has("att.x_r"):
		return "rwkv7"
	case has("att.mem_read.weight") || has("att.mem_gate.weight") || has("att.time_mem_w1"):
		return "hybrid"
	case has("att.read.weight") || has("att.read_gate.weight"):
		return "hybrid-oldest"
	case has("cross.receptance.weight") || has("cross.output.weight"):
		return "cross"
	case has("att.time_maa_w1") || has("att.time_faaaa"):
		return "vanilla"
	}
	return ""
}

// mixed says which decoder blocks are of another variant than others; empty where all agree.
func (c Config) mixed(l *shapes) string {
	var runs []string
	first, last := 0, ""
	flush := func(end int) {
		if last != "" {
			runs = append(runs, fmt.Sprintf("blocks %d to %d are %s", first, end-1, last))
		}
	}
	var kinds []string
	for i := range c.Blocks {
		p := decoder.Prefix + "blocks." + strconv.Itoa(i) + "."
		v := blockVariant(func(name string) bool { return l.exact[p+name] != nil })
		if v == "" || v == last {
			continue
		}
		flush(i)
		first, last = i, v
		if !slices.Contains(kinds, v) {
			kinds = append(kinds, v)
		}
	}
	if len(kinds) < 2 {
		return ""
	}
	flush(c.Blocks)
	if more := len(runs) - 6; more > 0 {
		runs = append(runs[:6], fmt.Sprintf("and %d more changes", more))
	}
	return "mixed variants: " + strings.Join(runs, ", ")
}
