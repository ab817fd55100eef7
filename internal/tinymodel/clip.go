package tinymodel

import "fmt"

// clip adds CLIP's tower.
func (m *Model) clip() {
	s := &m.Spec
	def(&s.Patch, 8)
	def(&s.Width, 32)
	def(&s.Depth, 2)
	def(&s.Heads, 2)
	def(&s.MLP, 64)
	d, g := s.Width, s.Image/s.Patch
	v := "vit.vision_model."
	m.add(v+"embeddings.class_embedding", 0.5, 0, d)
	m.add(v+"embeddings.patch_embedding.weight", 0.1, 0, d, 3, s.Patch, s.Patch)
	m.add(v+"embeddings.position_embedding.weight", 0.2, 0, g*g+1, d)
	m.norm(v+"pre_layrnorm", d)
	for i := range s.Depth {
		b := fmt.Sprintf("%sencoder.layers.%d.", v, i)
		m.norm(b+"layer_norm1", d)
		for _, n := range []string{"q", "k", "v", "out"} {
			m.biased(b+"self_attn."+n+"_proj", d, d)
		}
		m.norm(b+"layer_norm2", d)
		m.biased(b+"mlp.fc1", s.MLP, d)
		m.biased(b+"mlp.fc2", d, s.MLP)
	}
	m.norm(v+"post_layernorm", d)
	m.projector(d)
}
