package vision

import (
	"fmt"
	"strings"
	"testing"
)

func TestOpenSAMRefuses(t *testing.T) {
	misshape := func(name string, shape ...int) func(vectors, *Config) {
		return func(m vectors, _ *Config) { m.misshape(name, shape...) }
	}
	for what, f := range map[string]func(vectors, *Config){
		"proj.weight: shape []":              func(m vectors, _ *Config) { delete(m, "w."+families[sam].Prefix+"patch_embed.proj.weight") },
		"pos_embed: shape [1 64 32]":         misshape("pos_embed", 1, 64, 32),
		"pos_embed: shape [1 7 7 32]":        misshape("pos_embed", 1, 7, 7, 32),
		"image size 64, positions":           func(_ vectors, c *Config) { c.ImageSize = 64 },
		"rel_pos_h has shape [4 16]":         misshape("blocks.0.attn.rel_pos_h", 4, 16),
		"rel_pos_h has shape [257 16]":       misshape("blocks.0.attn.rel_pos_h", 257, 16),
		"rel_pos_h has shape [5 15]":         misshape("blocks.0.attn.rel_pos_h", 5, 15),
		"for width 32 and 4 heads":           func(_ vectors, c *Config) { c.Heads = 4 },
		"blocks.2.attn.rel_pos_w":            misshape("blocks.2.attn.rel_pos_w", 3, 16),
		"blocks.0.norm1.weight is missing":   func(m vectors, _ *Config) { m.dropBlocks() },
		"vit.sam_featurizer.neck.0.weight: ": func(m vectors, _ *Config) { delete(m, "w."+families[sam].Prefix+"neck.0.weight") },
		"neck.2.weight":                      misshape("neck.2.weight", 4, 4, 1, 1),
		"mlp.lin2.bias":                      func(m vectors, _ *Config) { delete(m, "w."+families[sam].Prefix+"blocks.1.mlp.lin2.bias") },
	} {
		m, c := load(t, "sam"), Config{}
		f(m, &c)
		if _, err := Open("sam", m, c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

func (m vectors) dropBlocks() {
	for i := range 3 {
		delete(m, fmt.Sprintf("w.%sblocks.%d.norm1.weight", families[sam].Prefix, i))
	}
}
