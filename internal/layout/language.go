package layout

import (
	"fmt"
	"math"
)

// Language is the size of a language model with its state encoder.
type Language struct {
	Variant               string // hybrid, hybrid-sigmoid, hybrid-oldest, cross, vanilla, bidirectional, rwkv7
	Width, HeadSize, FFN  int
	Vocab                 int
	Blocks, EncoderBlocks int
	Mix, Decay            int // widths of low-rank matrices: of one branch of the token shift, of the decay
}

// Tensors lists the model's tensors.
func (l Language) Tensors() List {
	var list List
	head := 4 / math.Sqrt(float64(l.Width)) // logits that differ
	list.Add("rwkv.emb.weight", Lookup, 0, 1, l.Vocab, l.Width)
	for i := range l.Blocks {
		list.block(fmt.Sprintf("rwkv.blocks.%d.", i), i, l, l.Variant)
	}
	list.Norm("rwkv.ln_out", l.Width)
	list.Add("rwkv.head.weight", Sensitive, 0, head, l.Vocab, l.Width)
	for i := range l.EncoderBlocks {
		list.block(fmt.Sprintf("state_encoder.blocks.%d.", i), i, l, "vanilla")
	}
	return list
}

// block adds a block of a variant.
func (l *List) block(b string, i int, m Language, variant string) {
	c := m.Width
	l.Norm(b+"ln1", c)
	l.Norm(b+"ln2", c)
	if i == 0 {
		l.Norm(b+"ln0", c)
	}
	if variant == "rwkv7" {
		l.block7(b, i, m)
		return
	}
	a := b + "att."
	l.lerp(a+"time_maa_x", c)
	l.shift(a, "time_maa_w", m, "time_maa_w", "time_maa_k", "time_maa_v", "time_maa_r", "time_maa_g")
	l.Add(a+"time_decay", Vector, -3, 1.5, 1, 1, c)
	l.Add(a+"time_decay_w1", Low, 0, 0.3/math.Sqrt(float64(c)), c, m.Decay)
	l.Add(a+"time_decay_w2", Low, 0, 0.3*math.Sqrt(6/float64(m.Decay)), m.Decay, c)
	l.Add(a+"time_faaaa", Vector, 0, 0.5, c/m.HeadSize, m.HeadSize)
	for _, n := range []string{"receptance", "key", "value", "gate", "output"} {
		l.Linear(a+n, c, c)
	}
	l.Norm(a+"ln_x", c)
	switch variant {
	case "hybrid", "hybrid-sigmoid":
		l.shift(a, "time_mem_w", m, "time_mem_r", "time_mem_g")
		l.Linear(a+"mem_read", c, c)
		l.Linear(a+"mem_gate", c, c)
		if variant == "hybrid-sigmoid" {
			l.Add(a+"mem_gate.bias", Vector, 0, 0.3, c)
		}
	case "hybrid-oldest":
		l.Linear(a+"read", c, c)
		l.Linear(a+"read_gate", c, c)
		l.Add(a+"read_gate.bias", Vector, 0, 0.3, c)
	case "cross":
		l.Norm(b+"ln3", c)
		l.lerp(b+"cross.time_maa_x", c)
		l.shift(b+"cross.", "time_maa_w", m, "time_maa_r", "time_maa_g")
		for _, n := range []string{"receptance", "gate", "output"} {
			l.Linear(b+"cross."+n, c, c)
		}
		l.Norm(b+"cross.ln_x", c)
	}
	f := b + "ffn."
	l.lerp(f+"time_maa_k", c)
	l.lerp(f+"time_maa_r", c)
	l.Linear(f+"key", m.FFN, c)
	l.Linear(f+"value", c, m.FFN)
	l.Linear(f+"receptance", c, c)
}

func (l *List) lerp(name string, c int) { l.Add(name, Vector, 0.5, 0.2, 1, 1, c) }

// shift adds what a token shift interpolates with: low-rank matrices w1 and w2, and a lerp
// for each branch.
func (l *List) shift(prefix, w string, m Language, branches ...string) {
	c, n := m.Width, len(branches)
	l.Add(prefix+w+"1", Low, 0, 0.3/math.Sqrt(float64(c)), c, n*m.Mix)
	l.Add(prefix+w+"2", Low, 0, 0.6/math.Sqrt(float64(m.Mix)), n, m.Mix, c)
	for _, b := range branches {
		l.lerp(prefix+b, c)
	}
}

// block7 adds the sub-layers of an RWKV-7 block, whose low-rank matrices differ in width.
func (l *List) block7(b string, i int, m Language) {
	c, a := m.Width, b+"att."
	for _, n := range []string{"r", "w", "k", "v", "a", "g"} {
		l.lerp(a+"x_"+n, c)
	}
	ranks := []string{"w", "a", "v", "g"}
	if i == 0 {
		ranks = []string{"w", "a", "g"}
	}
	for j, n := range ranks {
		width := m.Mix + 2*j
		l.Add(a+n+"1", Low, 0, 0.5/math.Sqrt(float64(c)), c, width)
		l.Add(a+n+"2", Low, 0, 1/math.Sqrt(float64(m.Mix)), width, c)
		if n != "g" {
			l.Add(a+n+"0", Vector, 0, 0.5, 1, 1, c)
		}
	}
	l.Add(a+"k_k", Vector, 0.8, 0.2, 1, 1, c)
	l.Add(a+"k_a", Vector, 0.8, 0.2, 1, 1, c)
	l.Add(a+"r_k", Vector, 0, 0.2, c/m.HeadSize, m.HeadSize)
	for _, n := range []string{"receptance", "key", "value", "output"} {
		l.Linear(a+n, c, c)
	}
	l.Norm(a+"ln_x", c)
	l.lerp(b+"ffn.x_k", c)
	l.Linear(b+"ffn.key", m.FFN, c)
	l.Linear(b+"ffn.value", c, m.FFN)
}
