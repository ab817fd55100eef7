package checkpoint

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/visualrwkv/edged/weights"
)

// ggml maps an RWKV-6 language model as llama.cpp's conversion leaves it. Six things
// differ from the authors' file: names; LoRA matrices are transposed; the lerps of time
// mixing lie together, in the order of branches (older files have them apart); vectors have one
// dimension; what a block adds to its input is halved after every so many blocks
// (rescale_every_n_layers), as the model is run with halved inputs from there on; and ids
// that stand for no token have a text.
func (m *mapper) ggml(md weights.Meta) (weights.Meta, error) {
	rescale := uint32(0)
	if v, ok := md.Get("rwkv6.rescale_every_n_layers"); ok {
		var err error
		if rescale, err = v.Uint32(); err != nil {
			return nil, fmt.Errorf("key rwkv6.rescale_every_n_layers: %w", err)
		}
	}
	if eps, ok := md.Get("rwkv6.attention.layer_norm_epsilon"); ok {
		if x, err := eps.Float(); err != nil || float32(x) != 1e-5 {
			return nil, fmt.Errorf("key rwkv6.attention.layer_norm_epsilon: want 1e-05: %w", weights.ErrFormat)
		}
	}
	m.rename("rwkv.emb.weight", "token_embd.weight")
	m.rename("rwkv.head.weight", "output.weight")
	m.norm("rwkv.ln_out", "output_norm")
	m.norm("rwkv.blocks.0.ln0", "token_embd_norm")
	blocks := m.count("blk.%d.")
	for i := range blocks {
		m.ggmlBlock("rwkv.blocks."+strconv.Itoa(i)+".", "blk."+strconv.Itoa(i)+".", i, rescale)
	}
	m.finish()
	return ggmlMeta(md)
}

func (m *mapper) norm(target, name string) {
	m.rename(target+".weight", name+".weight")
	m.rename(target+".bias", name+".bias")
}

func (m *mapper) ggmlBlock(to, from string, i int, rescale uint32) {
	m.norm(to+"ln1", from+"attn_norm")
	m.norm(to+"ln2", from+"attn_norm_2")
	m.norm(to+"att.ln_x", from+"time_mix_ln")
	t := from + "time_mix_"
	m.rename(to+"att.time_maa_x", t+"lerp_x.weight", 1, 1, -1)
	fused, ok := m.tensors[t+"lerp_fused.weight"]
	for k, b := range []string{"w", "k", "v", "r", "g"} {
		target := to + "att.time_maa_" + b
		if !ok {
			m.rename(target, t+"lerp_"+b+".weight", 1, 1, -1)
			continue
		}
		m.used[fused.Name] = true
		if fused.Len()%5 != 0 {
			m.lack(target, "tensor %s: shape %v is not five vectors", fused.Name, fused.Shape)
			continue
		}
		c := fused.Len() / 5
		m.made = append(m.made, part(target, []int{1, 1, c}, fused, k*c))
	}
	for _, l := range [][2]string{{"time_maa_w1", "w1"}, {"time_maa_w2", "w2"}, {"time_decay_w1", "decay_w1"}, {"time_decay_w2", "decay_w2"}} {
		target := to + "att." + l[0]
		if lora, ok := m.need(target, t+l[1]+".weight"); ok {
			w, err := transposed(target, lora)
			m.put(target, w, err)
		}
	}
	m.rename(to+"att.time_decay", t+"decay.weight", 1, 1, -1)
	m.rename(to+"att.time_faaaa", t+"first.weight")
	for _, n := range []string{"receptance", "key", "value", "gate"} {
		m.rename(to+"att."+n+".weight", t+n+".weight")
	}
	halved := 0
	if rescale > 0 {
		halved = i / int(rescale)
	}
	m.halved(to+"att.output.weight", t+"output.weight", halved)
	f := from + "channel_mix_"
	m.rename(to+"ffn.time_maa_k", f+"lerp_k.weight", 1, 1, -1)
	m.rename(to+"ffn.time_maa_r", f+"lerp_r.weight", 1, 1, -1)
	m.rename(to+"ffn.key.weight", f+"key.weight")
	m.rename(to+"ffn.receptance.weight", f+"receptance.weight")
	m.halved(to+"ffn.value.weight", f+"value.weight", halved)
}

// halved undoes so many halvings of a matrix.
func (m *mapper) halved(target, name string, times int) {
	if t, ok := m.need(target, name); ok {
		factor := float32(1)
		for range times {
			factor *= 2
		}
		m.made = append(m.made, same(target, t.Shape, t).scaled(factor))
	}
}

// ggmlMeta keeps what says something about the model, and the tokens.
func ggmlMeta(md weights.Meta) (weights.Meta, error) {
	var out weights.Meta
	for _, kv := range md {
		if strings.HasPrefix(kv.Key, "general.") && kv.Key != "general.architecture" {
			out = append(out, kv)
		}
	}
	if !md.Has("tokenizer.ggml.tokens") {
		return out, nil
	}
	if kind, err := md.Str("tokenizer.ggml.model"); err != nil || kind != "rwkv" {
		return nil, fmt.Errorf("key tokenizer.ggml.model: want \"rwkv\": %w", weights.ErrFormat)
	}
	tokens, err := md.Strs("tokenizer.ggml.tokens")
	if err != nil {
		return nil, err
	}
	last := 0
	for id, text := range tokens {
		if id > 0 && strings.HasPrefix(text, "[PAD") && strings.HasSuffix(text, "]") { // no token
			tokens[id] = ""
		}
		if tokens[id] != "" {
			last = id
		}
	}
	tokens = tokens[:min(last+1, len(tokens))]
	return append(out,
		weights.KV{Key: "tokenizer.ggml.model", Value: weights.String("rwkv")},
		weights.KV{Key: "tokenizer.ggml.tokens", Value: weights.Strings(tokens)}), nil
}
