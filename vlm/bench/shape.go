package bench

import (
	"fmt"
	"strings"

	"github.com/visualrwkv/edged/internal/layout"
	"github.com/visualrwkv/edged/quant"
)

// Shape is the size of a plain RWKV-6 language model.
type Shape struct {
	Name          string
	Layers, Width int
	FFN, Vocab    int
}

const headSize = 64

// tiny is for tests: not among the names that are listed, but accepted.
const tiny = "tiny"

var shapes = []Shape{
	{"0b1", 12, 768, 2688, 65536},
	{"0b4", 24, 1024, 3584, 65536},
	{"1b6", 24, 2048, 7168, 65536},
	{"3b", 32, 2560, 8960, 65536},
	{"7b", 32, 4096, 14336, 65536},
	{tiny, 2, 128, 448, 512},
}

// lora returns the widths of the low-rank matrices: of one branch of the token
// shift, and of the decay.
func (s Shape) lora() (mix, decay int) {
	if s.Width >= 4096 {
		return 64, 128
	}
	return 32, 64
}

// language lists the tensors of the model.
func (s Shape) language() layout.List {
	mix, decay := s.lora()
	return layout.Language{
		Variant: "vanilla", Width: s.Width, HeadSize: headSize, FFN: s.FFN, Vocab: s.Vocab,
		Blocks: s.Layers, Mix: mix, Decay: decay,
	}.Tensors()
}

// Tower is the size of a published vision tower.
type Tower struct {
	Name       string
	Activation string
	layout.Tower
}

var towers = []Tower{
	{"siglip-b", "gelu_erf", layout.Tower{Kind: "siglip", Image: 224, Patch: 16, Width: 768, Depth: 12, Heads: 12, MLP: 3072}},
	{"siglip-so400m", "gelu_erf", layout.Tower{Kind: "siglip", Image: 384, Patch: 14, Width: 1152, Depth: 27, Heads: 16, MLP: 4304}},
	{"clip-l", "quick_gelu", layout.Tower{Kind: "clip", Image: 336, Patch: 14, Width: 1024, Depth: 24, Heads: 16, MLP: 4096}},
	{"dino-l", "gelu_erf", layout.Tower{Kind: "dino", Image: 448, Patch: 14, Width: 1024, Depth: 24, Heads: 16, MLP: 4096, Registers: 4}},
	{"sam-b", "gelu_erf", layout.Tower{Kind: "sam", Image: 1024, Patch: 16, Width: 768, Depth: 12, Heads: 12, MLP: 3072, Window: 14, Neck: 256}},
	{tiny, "gelu_erf", layout.Tower{Kind: "siglip", Image: 32, Patch: 8, Width: 64, Depth: 2, Heads: 2, MLP: 128}},
}

func names[T any](list []T, name func(T) string) string {
	var all []string
	for _, x := range list {
		if n := name(x); n != tiny {
			all = append(all, n)
		}
	}
	return strings.Join(all, ", ")
}

// Shapes lists the names of shapes.
func Shapes() string { return names(shapes, func(s Shape) string { return s.Name }) }

// Towers lists the names of towers.
func Towers() string { return names(towers, func(t Tower) string { return t.Name }) }

// ParseShape finds a shape by name.
func ParseShape(name string) (Shape, error) {
	for _, s := range shapes {
		if s.Name == name {
			return s, nil
		}
	}
	return Shape{}, fmt.Errorf("unknown shape %q: %s", name, Shapes())
}

// ParseTower finds a tower by name.
func ParseTower(name string) (Tower, error) {
	for _, t := range towers {
		if t.Name == name {
			return t, nil
		}
	}
	return Tower{}, fmt.Errorf("unknown tower %q: %s", name, Towers())
}

// Types are the types of weights that random models are made of.
var Types = []quant.Type{quant.P8, quant.P4, quant.Q8_0, quant.Q4_0, quant.F16}

// ParseType finds one of Types by name.
func ParseType(name string) (quant.Type, error) {
	for _, t := range Types {
		if t.String() == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown type %q: %s", name, names(Types, quant.Type.String))
}
