package tinymodel

import (
	"fmt"
	"math"
)

// sam adds SAM's tower, whose neck is half as wide as its blocks.
func (m *Model) sam() {
	s := &m.Spec
	def(&s.Patch, 8)
	def(&s.Width, 32)
	def(&s.Depth, 2)
	def(&s.Heads, 2)
	def(&s.MLP, 64)
	d, g, neck := s.Width, s.Image/s.Patch, s.Width/2
	v := "vit.sam_featurizer."
	m.add(v+"pos_embed", 0.2, 0, 1, g, g, d)
	m.add(v+"patch_embed.proj.weight", 0.1, 0, d, 3, s.Patch, s.Patch)
	m.add(v+"patch_embed.proj.bias", 0.1, 0, d)
	for i := range s.Depth {
		b := fmt.Sprintf("%sblocks.%d.", v, i)
		window := s.Window
		if i == s.Depth-1 {
			window = g
		}
		m.norm(b+"norm1", d)
		m.add(b+"attn.rel_pos_h", 0.2, 0, 2*window-1, d/s.Heads)
		m.add(b+"attn.rel_pos_w", 0.2, 0, 2*window-1, d/s.Heads)
		m.biased(b+"attn.qkv", 3*d, d)
		m.biased(b+"attn.proj", d, d)
		m.norm(b+"norm2", d)
		m.biased(b+"mlp.lin1", s.MLP, d)
		m.biased(b+"mlp.lin2", d, s.MLP)
	}
	m.add(v+"neck.0.weight", 1/math.Sqrt(float64(d)), 0, neck, d, 1, 1)
	m.norm(v+"neck.1", neck)
	m.add(v+"neck.2.weight", 1/math.Sqrt(float64(9*neck)), 0, neck, neck, 3, 3)
	m.norm(v+"neck.3", neck)
	m.projector(4 * neck)
}
