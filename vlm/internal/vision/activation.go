package vision

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
)

// Activation is the nonlinearity of a tower's feed-forward layers.
type Activation uint8

// The activations of the towers in section 7; the zero value is timm's default.
const (
	GELUErf Activation = iota
	GELUTanh
	QuickGELU
)

var activations = [...]struct {
	name  string
	apply func(dst, x []float32)
}{
	GELUErf:   {"gelu_erf", kernels.GELU},
	GELUTanh:  {"gelu_tanh", kernels.GELUTanh},
	QuickGELU: {"quick_gelu", kernels.QuickGELU},
}

// ParseActivation reads the name used in model files: gelu_erf, gelu_tanh or
// quick_gelu.
func ParseActivation(s string) (Activation, error) {
	for i, a := range activations {
		if a.name == s {
			return Activation(i), nil
		}
	}
	return 0, fmt.Errorf("unknown activation %q", s)
}

// String returns the name used in model files.
func (a Activation) String() string { return activations[a].name }
