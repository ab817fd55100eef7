package vlm_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/visualrwkv/edged/internal/hostile"
	"github.com/visualrwkv/edged/internal/tinymodel"
	"github.com/visualrwkv/edged/vlm"
	"github.com/visualrwkv/edged/weights"
)

// tensorText lists names and shapes, a tensor a line.
func tensorText(list []tinymodel.Tensor) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintln(&b, x.Name, strings.Trim(fmt.Sprint(x.Shape), "[]"))
	}
	return b.String()
}

var fuzzZeros [4 << 18]byte

// tensorFile makes a GGUF file of zeros of such a list; nil where GGUF cannot have it, or
// it is large.
func tensorFile(text, arch string) []byte {
	var infos []weights.TensorInfo
	total := 0
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || len(fields) > 5 {
			continue
		}
		x := weights.TensorInfo{Name: fields[0], Type: weights.F32}
		n := 1
		for _, f := range fields[1:] {
			var d int
			if _, err := fmt.Sscan(f, &d); err != nil || d < 0 || d > 1<<16 {
				return nil
			}
			x.Shape, n = append(x.Shape, d), n*d
			if n > 1<<18 {
				return nil
			}
		}
		if total += n; total > 1<<18 {
			return nil
		}
		infos = append(infos, x)
	}
	var b bytes.Buffer
	g, err := weights.NewGGUFWriter(&b, weights.Meta{{Key: "general.architecture", Value: weights.String(arch)},
		{Key: "rwkv6.rescale_every_n_layers", Value: weights.Uint32(1)}}, infos)
	if err != nil {
		return nil
	}
	for _, x := range infos {
		size, err := x.Type.Size(x.Shape)
		if err != nil || g.Begin(x.Name) != nil {
			return nil
		}
		if _, err := g.Write(fuzzZeros[:size]); err != nil {
			return nil
		}
	}
	if g.Close() != nil {
		return nil
	}
	return b.Bytes()
}

// FuzzSource damages names and shapes, of a whole checkpoint or of a tower beside a language
// model: what comes of it is refused with an error of bounded length, or is a model that is
// read for bounded memory.
func FuzzSource(f *testing.F) {
	spec := tinymodel.Spec{H: 1, N: 8, F: 8, Vocab: 8, L: 2, E: 1, Width: 8, MLP: 8, Heads: 1}
	lang := tensorFile(tensorText(tinymodel.New(spec).Tensors), vlm.Architecture)
	spec.Image, spec.Patch = 4, 2
	f.Add(tensorText(tinymodel.New(spec).Tensors), byte(0))
	for _, prefix := range []string{"", "visual.trunk."} {
		f.Add(prefix+"patch_embed.proj.weight 8 3 2 2\n"+prefix+"pos_embed 1 9 8\n"+prefix+"blocks.0.attn.qkv.weight 24 8\n", byte(1))
	}
	f.Add("embeddings.patch_embeddings.projection.weight 8 3 2 2\nembeddings.register_tokens 1 4 8\nembeddings.position_embeddings 1 5 8\n"+
		"embeddings.cls_token 1 1 8\nencoder.layer.0.attention.attention.query.weight 8 8\n", byte(1))
	f.Add("class_embedding 8\nconv1.weight 8 3 2 2\ntransformer.resblocks.0.attn.in_proj_weight 24 8\npositional_embedding 5 8\n", byte(1))
	f.Add("token_embd.weight 8 8\nblk.0.time_mix_lerp_fused.weight 5 1 1 8\nblk.0.time_mix_w1.weight 20 8\nblk.0.time_mix_w2.weight 5 8 4\n"+
		"blk.1.time_mix_first.weight 1 8\nblk.1.time_mix_output.weight 8 8\n", byte(2))
	f.Fuzz(func(t *testing.T, text string, kind byte) {
		arch := vlm.Architecture
		if kind%3 == 2 {
			arch = "rwkv6"
		}
		data := tensorFile(text, arch)
		if data == nil {
			t.Skip()
		}
		var err error
		spent := hostile.Allocated(64<<20, func() {
			var files []*weights.File
			for i, b := range [][]byte{lang, data} {
				if i == 0 && kind%3 != 1 {
					continue
				}
				var file *weights.File
				if file, err = weights.OpenBytes("fuzz", b); err != nil {
					return
				}
				files = append(files, file)
			}
			var s *vlm.Source
			if s, err = vlm.NewSource(files...); err != nil {
				return
			}
			var c vlm.Config
			if c, err = s.Describe([]byte(`{"vision.siglip.head_count": 1, "vision.dino.head_count": 1, "vision.clip.head_count": 1, "vision.siglip.image_size": 6}`), nil); err == nil {
				err = s.Read(c)
			}
		})
		if spent > 64<<20 {
			t.Fatalf("%d bytes allocated for %d", spent, len(data))
		}
		// Names are as long as they like; 45 lines of them are quoted or shortened.
		if err != nil && len(err.Error()) > 16<<10+50*len(text) {
			t.Fatalf("an error of %d bytes for %d: %.300s", len(err.Error()), len(text), err)
		}
	})
}
