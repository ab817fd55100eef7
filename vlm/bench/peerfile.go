package bench

import (
	"fmt"
	"math"

	"github.com/visualrwkv/edged/internal/layout"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/weights"
)

// peerType is the type of GGUF's own that has as many bits as typ.
func peerType(typ quant.Type) quant.Type {
	switch typ {
	case quant.P8:
		return quant.Q8_0
	case quant.P4:
		return quant.Q4_0
	}
	return typ
}

// peerFile is a random model of the same shape as llama.cpp takes it: architecture
// rwkv6, its names and shapes. As in files that its own tools convert, the LoRA
// matrices stay float32.
func peerFile(s Shape, typ quant.Type, pure bool) modelFile {
	return modelFile{
		name:  fileName(s.Name, peerType(typ), pure, "-peer"),
		meta:  s.peerMeta(),
		parts: collect(s.peerLayout(), peerType(typ), pure),
	}
}

func (s Shape) peerMeta() weights.Meta {
	var md weights.Meta
	put := func(key string, v weights.Value) { md = append(md, weights.KV{Key: key, Value: v}) }
	number := func(key string, n int) { put(key, weights.Uint32(uint32(n))) }
	mix, decay := s.lora()
	put("general.architecture", weights.String("rwkv6"))
	put("general.name", weights.String("random "+s.Name))
	number("rwkv6.context_length", 1<<20)
	number("rwkv6.embedding_length", s.Width)
	number("rwkv6.block_count", s.Layers)
	put("rwkv6.attention.layer_norm_epsilon", weights.Float32(1e-5))
	number("rwkv6.rescale_every_n_layers", 6)
	number("rwkv6.wkv.head_size", headSize)
	number("rwkv6.time_mix_extra_dim", mix)
	number("rwkv6.time_decay_extra_dim", decay)
	number("rwkv6.feed_forward_length", s.FFN)
	number("rwkv6.attention.head_count", 0)
	put("tokenizer.ggml.model", weights.String("rwkv"))
	tokens := vocabulary(s.Vocab)
	tokens[len(tokens)-1] = "last" // it wants a text for every id
	put("tokenizer.ggml.tokens", weights.Strings(tokens))
	number("tokenizer.ggml.bos_token_id", 0)
	number("tokenizer.ggml.eos_token_id", 0)
	number("tokenizer.ggml.unknown_token_id", 0)
	return md
}

func (s Shape) peerLayout() layout.List {
	var l layout.List
	c := s.Width
	mix, decay := s.lora()
	l.Add("token_embd.weight", layout.Lookup, 0, 1, s.Vocab, c)
	l.Norm("token_embd_norm", c)
	l.Norm("output_norm", c)
	l.Add("output.weight", layout.Sensitive, 0, 1/math.Sqrt(float64(c)), s.Vocab, c)
	for i := range s.Layers {
		b := fmt.Sprintf("blk.%d.", i)
		l.Norm(b+"attn_norm", c)
		l.Norm(b+"attn_norm_2", c)
		l.Norm(b+"time_mix_ln", c)
		t := b + "time_mix_"
		l.Add(t+"w1.weight", layout.Vector, 0, 0.5/math.Sqrt(float64(c)), 5*mix, c)
		l.Add(t+"w2.weight", layout.Vector, 0, 0.1, 5, c, mix)
		l.Add(t+"lerp_x.weight", layout.Vector, 0.5, 0.25, c)
		l.Add(t+"lerp_fused.weight", layout.Vector, 0.5, 0.25, 5, 1, 1, c)
		l.Add(t+"first.weight", layout.Vector, 0, 0.3, c/headSize, headSize)
		l.Add(t+"decay.weight", layout.Vector, -3.5, 1.4, c)
		l.Add(t+"decay_w1.weight", layout.Vector, 0, 0.5/math.Sqrt(float64(c)), decay, c)
		l.Add(t+"decay_w2.weight", layout.Vector, 0, 0.01, c, decay)
		for _, n := range []string{"key", "value", "receptance", "gate", "output"} {
			l.Linear(t+n, c, c)
		}
		l.Add(b+"channel_mix_lerp_k.weight", layout.Vector, 0.5, 0.25, c)
		l.Add(b+"channel_mix_lerp_r.weight", layout.Vector, 0.5, 0.25, c)
		l.Linear(b+"channel_mix_key", s.FFN, c)
		l.Linear(b+"channel_mix_value", c, s.FFN)
		l.Linear(b+"channel_mix_receptance", c, c)
	}
	return l
}
