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

	"github.com/visualrwkv/edged/internal/layout"
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
	// blocks but every third and the last.
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
	c := s.H * s.N
	list := layout.Language{
		Variant: s.Variant, Width: c, HeadSize: s.N, FFN: s.F, Vocab: s.Vocab,
		Blocks: s.L, EncoderBlocks: s.E, Mix: 4, Decay: 6,
	}.Tensors()
	if s.Image > 0 {
		def(&s.Patch, 8)
		def(&s.Width, 32)
		def(&s.Depth, 2)
		def(&s.Heads, 2)
		def(&s.MLP, 64)
		t := s.tower()
		list = append(list, t.Tensors()...)
		list = append(list, layout.Projector(s.projector(), c, t.Features())...)
	}
	m := &Model{Spec: s}
	rng := rand.New(rand.NewPCG(s.Seed, 1))
	for _, t := range list {
		data := make([]float32, t.Len())
		for i := range data {
			data[i] = float32(t.Centre + t.Spread*rng.NormFloat64())
		}
		m.Tensors = append(m.Tensors, Tensor{t.Name, t.Shape, data})
	}
	return m
}

func (s Spec) tower() layout.Tower {
	t := layout.Tower{Kind: "siglip", Image: s.Image, Patch: s.Patch, Width: s.Width, Depth: s.Depth, Heads: s.Heads, MLP: s.MLP}
	switch {
	case s.Variant == "bidirectional":
		t.Kind = "clip"
	case s.Window > 0:
		t.Kind, t.Window, t.Neck = "sam", s.Window, s.Width/2
	}
	return t
}

func (s Spec) projector() int {
	switch {
	case s.Variant == "rwkv7":
		return layout.Gated7
	case s.GatedProjector:
		return layout.Gated
	}
	return layout.Linear
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
