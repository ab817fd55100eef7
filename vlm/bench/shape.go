package bench

import (
	"fmt"
	"strings"

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

// Tower is the size of a published vision tower.
type Tower struct {
	Name, Kind   string
	Image, Patch int // pixels
	Width, Depth int
	Heads, MLP   int
	Activation   string
}

var towers = []Tower{
	{"siglip-b", "siglip", 224, 16, 768, 12, 12, 3072, "gelu_erf"},
	{"siglip-so400m", "siglip", 384, 14, 1152, 27, 16, 4304, "gelu_erf"},
	{"clip-l", "clip", 336, 14, 1024, 24, 16, 4096, "quick_gelu"},
	{"dino-l", "dino", 448, 14, 1024, 24, 16, 4096, "gelu_erf"},
	{"sam-b", "sam", 1024, 16, 768, 12, 12, 3072, "gelu_erf"},
	{tiny, "siglip", 32, 8, 64, 2, 2, 128, "gelu_erf"},
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
