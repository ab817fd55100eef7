// Package tinymodel makes small models with random weights for tests: the
// authors' tensor names and shapes, sizes of one's choice. It is imported by
// tests only.
package tinymodel

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/visualrwkv/edged/quant"
)

// Spec says what to make. Zero sizes are replaced by the defaults below.
type Spec struct {
	Seed    uint64
	Variant string // hybrid, hybrid-sigmoid, hybrid-oldest, cross, vanilla, bidirectional, rwkv7; hybrid if empty

	H, N  int // heads and head size; 2 and 32
	F     int // channel mixing width; 96
	Vocab int // 48
	L, E  int // decoder and encoder blocks; 2 and 2; E is 0 for vanilla, bidirectional and rwkv7

	// Vision, when Image > 0: CLIP's tower if bidirectional, else a SigLIP tower of Depth blocks (the last is
	// dead) on pictures of Image x Image pixels in patches of Patch.
	Image, Patch, Width, Depth, Heads, MLP int
	GatedProjector                         bool // of v6.x; rwkv7 always has its own form

	// Window, when not 0: the tower is SAM's, with windows of so many tokens in all
	// blocks but the last.
	Window int
}

func def(p *int, v int) {
	if *p == 0 {
		*p = v
	}
}

// Tensor is a float32 tensor.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Model is a set of tensors. It implements [quant.Loader].
type Model struct {
	Spec    Spec
	Tensors []Tensor
	rng     *rand.Rand
}

// New makes the model.
func New(s Spec) *Model {
	if s.Variant == "" {
		s.Variant = "hybrid"
	}
	def(&s.H, 2)
	def(&s.N, 32)
	def(&s.F, 96)
	def(&s.Vocab, 48)
	def(&s.L, 2)
	if s.Variant != "vanilla" && s.Variant != "bidirectional" && s.Variant != "rwkv7" {
		def(&s.E, 2)
	}
	m := &Model{Spec: s, rng: rand.New(rand.NewPCG(s.Seed, 1))}
	c := s.H * s.N
	m.add("rwkv.emb.weight", 1, 0, s.Vocab, c)
	for i := range s.L {
		m.block("rwkv.", i, s.Variant)
	}
	m.norm("rwkv.ln_out", c)
	m.add("rwkv.head.weight", 4/math.Sqrt(float64(c)), 0, s.Vocab, c)
	for i := range s.E {
		m.block("state_encoder.", i, "vanilla")
	}
	switch {
	case s.Image > 0 && s.Variant == "bidirectional":
		m.clip()
	case s.Image > 0 && s.Window > 0:
		m.sam()
	case s.Image > 0:
		m.vision()
	}
	return m
}

func (m *Model) add(name string, scale, offset float64, shape ...int) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(offset + scale*m.rng.NormFloat64())
	}
	m.Tensors = append(m.Tensors, Tensor{name, shape, data})
}

func (m *Model) norm(name string, c int) {
	m.add(name+".weight", 0.1, 1, c)
	m.add(name+".bias", 0.1, 0, c)
}

func (m *Model) linear(name string, out, in int) {
	m.add(name+".weight", 1/math.Sqrt(float64(in)), 0, out, in)
}

func (m *Model) lerps(prefix, w string, c int, branches ...string) {
	const width = 4
	m.add(prefix+w+"1", 0.3/math.Sqrt(float64(c)), 0, c, len(branches)*width)
	m.add(prefix+w+"2", 0.3, 0, len(branches), width, c)
	for _, b := range branches {
		m.add(prefix+b, 0.2, 0.5, 1, 1, c)
	}
}

func (m *Model) block(prefix string, i int, variant string) {
	s := m.Spec
	c := s.H * s.N
	b := fmt.Sprintf("%sblocks.%d.", prefix, i)
	m.norm(b+"ln1", c)
	m.norm(b+"ln2", c)
	if i == 0 {
		m.norm(b+"ln0", c)
	}
	if variant == "rwkv7" {
		m.mixing7(b, i, c)
		return
	}
	a := b + "att."
	m.add(a+"time_maa_x", 0.2, 0.5, 1, 1, c)
	m.lerps(a, "time_maa_w", c, "time_maa_w", "time_maa_k", "time_maa_v", "time_maa_r", "time_maa_g")
	m.add(a+"time_decay", 1.5, -3, 1, 1, c)
	m.add(a+"time_decay_w1", 0.3/math.Sqrt(float64(c)), 0, c, 6)
	m.add(a+"time_decay_w2", 0.3, 0, 6, c)
	m.add(a+"time_faaaa", 0.5, 0, s.H, s.N)
	for _, n := range []string{"receptance", "key", "value", "gate", "output"} {
		m.linear(a+n, c, c)
	}
	m.norm(a+"ln_x", c)
	switch variant {
	case "hybrid", "hybrid-sigmoid":
		m.lerps(a, "time_mem_w", c, "time_mem_r", "time_mem_g")
		m.linear(a+"mem_read", c, c)
		m.linear(a+"mem_gate", c, c)
		if variant == "hybrid-sigmoid" {
			m.add(a+"mem_gate.bias", 0.3, 0, c)
		}
	case "hybrid-oldest":
		m.linear(a+"read", c, c)
		m.linear(a+"read_gate", c, c)
		m.add(a+"read_gate.bias", 0.3, 0, c)
	case "cross":
		m.norm(b+"ln3", c)
		m.add(b+"cross.time_maa_x", 0.2, 0.5, 1, 1, c)
		m.lerps(b+"cross.", "time_maa_w", c, "time_maa_r", "time_maa_g")
		for _, n := range []string{"receptance", "gate", "output"} {
			m.linear(b+"cross."+n, c, c)
		}
		m.norm(b+"cross.ln_x", c)
	}
	f := b + "ffn."
	m.add(f+"time_maa_k", 0.2, 0.5, 1, 1, c)
	m.add(f+"time_maa_r", 0.2, 0.5, 1, 1, c)
	m.linear(f+"key", s.F, c)
	m.linear(f+"value", c, s.F)
	m.linear(f+"receptance", c, c)
}

// mixing7 adds the sub-layers of an RWKV-7 block.
func (m *Model) mixing7(b string, i, c int) {
	a := b + "att."
	for _, n := range []string{"r", "w", "k", "v", "a", "g"} {
		m.add(a+"x_"+n, 0.2, 0.5, 1, 1, c)
	}
	loras := []string{"w", "a", "v", "g"}
	if i == 0 {
		loras = []string{"w", "a", "g"}
	}
	for j, n := range loras {
		width := 4 + 2*j
		m.add(a+n+"1", 0.5/math.Sqrt(float64(c)), 0, c, width)
		m.add(a+n+"2", 0.5, 0, width, c)
		if n != "g" {
			m.add(a+n+"0", 0.5, 0, 1, 1, c)
		}
	}
	m.add(a+"k_k", 0.2, 0.8, 1, 1, c)
	m.add(a+"k_a", 0.2, 0.8, 1, 1, c)
	m.add(a+"r_k", 0.2, 0, m.Spec.H, m.Spec.N)
	for _, n := range []string{"receptance", "key", "value", "output"} {
		m.linear(a+n, c, c)
	}
	m.norm(a+"ln_x", c)
	m.add(b+"ffn.x_k", 0.2, 0.5, 1, 1, c)
	m.linear(b+"ffn.key", m.Spec.F, c)
	m.linear(b+"ffn.value", c, m.Spec.F)
}

func (m *Model) vision() {
	s := &m.Spec
	def(&s.Patch, 8)
	def(&s.Width, 32)
	def(&s.Depth, 2)
	def(&s.Heads, 2)
	def(&s.MLP, 64)
	d, g := s.Width, s.Image/s.Patch
	v := "vit.siglip_featurizer."
	m.add(v+"pos_embed", 0.2, 0, 1, g*g, d)
	m.add(v+"patch_embed.proj.weight", 0.1, 0, d, 3, s.Patch, s.Patch)
	m.add(v+"patch_embed.proj.bias", 0.1, 0, d)
	for i := range s.Depth {
		b := fmt.Sprintf("%sblocks.%d.", v, i)
		m.norm(b+"norm1", d)
		m.biased(b+"attn.qkv", 3*d, d)
		m.biased(b+"attn.proj", d, d)
		m.norm(b+"norm2", d)
		m.biased(b+"mlp.fc1", s.MLP, d)
		m.biased(b+"mlp.fc2", d, s.MLP)
	}
	m.norm(v+"norm", d)
	m.projector(d)
}

func (m *Model) projector(d int) {
	c := m.Spec.H * m.Spec.N
	switch {
	case m.Spec.Variant == "rwkv7":
		m.linear("proj.gate", d, d)
		m.linear("proj.o_proj", c, d)
		m.norm("proj.ln_v", c)
	case m.Spec.GatedProjector:
		m.linear("proj.proj", c, d)
		m.linear("proj.gate", c, c)
		m.linear("proj.o_proj", c, c)
	default:
		m.linear("proj", c, d)
	}
}

func (m *Model) biased(name string, out, in int) {
	m.linear(name, out, in)
	m.add(name+".bias", 0.1, 0, out)
}

func (m *Model) find(name string) *Tensor {
	i := slices.IndexFunc(m.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &m.Tensors[i]
}

// Matrix implements [quant.Loader].
func (m *Model) Matrix(name string, rows, cols int) (*quant.Matrix, error) {
	t := m.find(name)
	if t == nil {
		return nil, fmt.Errorf("tensor %s is missing", name)
	}
	r, c := t.Shape[0], len(t.Data)/t.Shape[0]
	if rows >= 0 && rows != r || cols >= 0 && cols != c {
		return nil, fmt.Errorf("tensor %s: shape %v, want [%d %d]", name, t.Shape, rows, cols)
	}
	return quant.FromF32(r, c, t.Data), nil
}

// Vector implements [quant.Loader].
func (m *Model) Vector(name string, n int) ([]float32, error) {
	t := m.find(name)
	if t == nil {
		return nil, fmt.Errorf("tensor %s is missing", name)
	}
	if n >= 0 && n != len(t.Data) {
		return nil, fmt.Errorf("tensor %s: shape %v, want %d values", name, t.Shape, n)
	}
	return slices.Clone(t.Data), nil
}

// Shape implements [quant.Loader].
func (m *Model) Shape(name string) []int {
	if t := m.find(name); t != nil {
		return t.Shape
	}
	return nil
}

// Safetensors returns the model as a safetensors file.
func (m *Model) Safetensors() []byte {
	type entry struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	head := map[string]entry{}
	var data []byte
	for _, t := range m.Tensors {
		at := len(data)
		for _, f := range t.Data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
		}
		head[t.Name] = entry{"F32", t.Shape, [2]int{at, len(data)}}
	}
	h, err := json.Marshal(head)
	if err != nil {
		panic(err) // a map of numbers and strings cannot fail
	}
	for len(h)%8 != 0 {
		h = append(h, ' ')
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(h)))
	return append(append(out, h...), data...)
}

// Normal returns n values of a normal distribution, for inputs.
func Normal(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}
