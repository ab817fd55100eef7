package vlm

import (
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// Weight is a tensor as a model sees it: one of the file, or the parts of a packed
// matrix (docs/model-file.md) put together.
type Weight struct {
	Name   string
	Type   string // GGML's name in capitals; INT8 and INT4 for packed matrices
	Shape  []int  // PyTorch's order
	Values int64
	Bytes  int64 // of all parts
	Offset int64 // of the first value in its file
	Packed bool
}

// Weights lists the weights of a file in its order.
func Weights(f *weights.File) []Weight {
	list := tensors.List(f)
	all := make([]Weight, len(list))
	for i, t := range list {
		all[i] = Weight{t.Name, t.TypeName(), t.Shape, int64(t.Len()), t.Size(), t.Tensor.Offset(), t.Type.Packed()}
	}
	return all
}
