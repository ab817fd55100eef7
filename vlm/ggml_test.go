package vlm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/vlm/internal/decoder"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// ggmlFile lays a vanilla model out as llama.cpp's conversion of RWKV-6 does, written from
// its list of tensors: ggml lists the fastest dimension first, so that what it calls
// time_mix_w1 [C, 5m] is a matrix of 5m rows of C here.
func ggmlFile(t *testing.T, m *tinymodel.Model, rescale int, fused bool) []byte {
	t.Helper()
	s := m.Spec
	c, vocab := s.H*s.N, s.Vocab
	type out struct {
		name string
		dims []int // fastest first
		at   func(i []int) float32
	}
	var list []out
	data := func(name string) []float32 { return find(t, m.Tensors, "rwkv."+name).Data }
	flat := func(name, from string, dims ...int) {
		v := data(from)
		list = append(list, out{name, dims, func(i []int) float32 {
			at, step := 0, 1
			for k, d := range dims {
				at, step = at+i[k]*step, step*d
			}
			return v[at]
		}})
	}
	both := func(name, from string) { flat(name+".weight", from+".weight", c); flat(name+".bias", from+".bias", c) }
	flat("token_embd.weight", "emb.weight", c, vocab)
	both("token_embd_norm", "blocks.0.ln0")
	both("output_norm", "ln_out")
	flat("output.weight", "head.weight", c, vocab)
	for b := range s.L {
		to, from := fmt.Sprintf("blk.%d.", b), fmt.Sprintf("blocks.%d.", b)
		both(to+"attn_norm", from+"ln1")
		both(to+"attn_norm_2", from+"ln2")
		both(to+"time_mix_ln", from+"att.ln_x")
		w1, w2, d1, d2 := data(from+"att.time_maa_w1"), data(from+"att.time_maa_w2"), data(from+"att.time_decay_w1"), data(from+"att.time_decay_w2")
		k, d := len(w1)/c/5, len(d1)/c
		list = append(list,
			out{to + "time_mix_w1.weight", []int{c, 5 * k}, func(i []int) float32 { return w1[i[0]*5*k+i[1]] }},
			out{to + "time_mix_w2.weight", []int{k, c, 5}, func(i []int) float32 { return w2[(i[2]*k+i[0])*c+i[1]] }},
			out{to + "time_mix_decay_w1.weight", []int{c, d}, func(i []int) float32 { return d1[i[0]*d+i[1]] }},
			out{to + "time_mix_decay_w2.weight", []int{d, c}, func(i []int) float32 { return d2[i[0]*c+i[1]] }})
		flat(to+"time_mix_lerp_x.weight", from+"att.time_maa_x", c)
		var lerps [5][]float32
		for i, n := range []string{"w", "k", "v", "r", "g"} {
			lerps[i] = data(from + "att.time_maa_" + n)
			if !fused {
				flat(to+"time_mix_lerp_"+n+".weight", from+"att.time_maa_"+n, c)
			}
		}
		if fused {
			list = append(list, out{to + "time_mix_lerp_fused.weight", []int{c, 1, 1, 5}, func(i []int) float32 { return lerps[i[3]][i[0]] }})
		}
		flat(to+"time_mix_first.weight", from+"att.time_faaaa", s.N, s.H)
		flat(to+"time_mix_decay.weight", from+"att.time_decay", c)
		halves := float32(math.Pow(2, -float64(b/max(rescale, 1))))
		if rescale == 0 {
			halves = 1
		}
		for _, n := range []string{"receptance", "key", "value", "gate", "output"} {
			flat(to+"time_mix_"+n+".weight", from+"att."+n+".weight", c, c)
		}
		output, value := data(from+"att.output.weight"), data(from+"ffn.value.weight")
		list[len(list)-1].at = func(i []int) float32 { return halves * output[i[1]*c+i[0]] }
		flat(to+"channel_mix_lerp_k.weight", from+"ffn.time_maa_k", c)
		flat(to+"channel_mix_lerp_r.weight", from+"ffn.time_maa_r", c)
		flat(to+"channel_mix_key.weight", from+"ffn.key.weight", c, s.F)
		flat(to+"channel_mix_receptance.weight", from+"ffn.receptance.weight", c, c)
		list = append(list, out{to + "channel_mix_value.weight", []int{s.F, c}, func(i []int) float32 { return halves * value[i[1]*s.F+i[0]] }})
	}
	tokens := []string{"<s>", "a", `\n`, `\xff`, "\\'b", "[PAD5]", "[PAD6]"}
	md := weights.Meta{
		{Key: "general.architecture", Value: weights.String("rwkv6")},
		{Key: "general.name", Value: weights.String("somebody's")},
		{Key: "general.license", Value: weights.String("apache-2.0")},
		{Key: "rwkv6.rescale_every_n_layers", Value: weights.Uint32(uint32(rescale))},
		{Key: "rwkv6.attention.layer_norm_epsilon", Value: weights.Float32(1e-5)},
		{Key: "tokenizer.ggml.model", Value: weights.String("rwkv")},
		{Key: "tokenizer.ggml.tokens", Value: weights.Strings(tokens)},
	}
	var infos []weights.TensorInfo
	for _, x := range list {
		shape := slices.Clone(x.dims)
		slices.Reverse(shape)
		infos = append(infos, weights.TensorInfo{Name: x.name, Type: weights.F32, Shape: shape})
	}
	var b bytes.Buffer
	g, err := weights.NewGGUFWriter(&b, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if err := g.Begin(x.name); err != nil {
			t.Fatal(err)
		}
		n := 1
		for _, d := range x.dims {
			n *= d
		}
		index := make([]int, len(x.dims))
		for range n {
			if _, err := g.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(x.at(index)))); err != nil {
				t.Fatal(err)
			}
			for k := range index {
				if index[k]++; index[k] < x.dims[k] {
					break
				}
				index[k] = 0
			}
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGGML: a model that went through llama.cpp's layout has its tensors, and logits, bit for
// bit.
func TestGGML(t *testing.T) {
	m := tinymodel.New(tinymodel.Spec{Seed: 8, Variant: "vanilla", L: 5, F: 64})
	for name, file := range map[string][]byte{
		"fused":     ggmlFile(t, m, 2, true),
		"not fused": ggmlFile(t, m, 0, false),
	} {
		f, err := weights.OpenBytes(name, file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := vlm.NewSource(f)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Describe([]byte(`{"prompt.stop": 2}`), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.Variant != "vanilla" || c.Name != "somebody's" || c.License != "apache-2.0" || !slices.Equal(c.Tokens[1:], []string{"a", `\n`, `\xff`, `\'b`}) {
			t.Errorf("%s: %+v", name, c)
		}
		path := filepath.Join(t.TempDir(), "x.gguf")
		if err := s.Convert(t.Context(), path, c, quant.F32, nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		g, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		for _, x := range m.Tensors {
			got, err := tensors.New(g).Vector(x.Name, len(x.Data))
			if err != nil || !slices.Equal(got, x.Data) || !slices.Equal(g.Lookup(x.Name).Shape, x.Shape) {
				t.Errorf("%s: tensor %s differs, %v", name, x.Name, err)
			}
		}
		if got, want := logits(t, tensors.New(g)), logits(t, m); !slices.Equal(got, want) {
			t.Errorf("%s: logits differ", name)
		}
		for _, n := range s.Notes(c) {
			if strings.Contains(n, "left out") {
				t.Errorf("%s: %s", name, n)
			}
		}
	}
}

func logits(t *testing.T, l quant.Loader) []float32 {
	t.Helper()
	m, err := decoder.New(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, m.Vocab())
	w := rwkv.NewWork(quant.NewScratch(nil), nil)
	if err := m.Prefill(t.Context(), w, m.NewState(), nil, decoder.Prompt{IDs: []int{3, 1, 4, 1, 5, 9, 2, 6}, ImageID: -1}, out); err != nil {
		t.Fatal(err)
	}
	return out
}
