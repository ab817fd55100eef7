package bench

import (
	"github.com/visualrwkv/edged/internal/layout"
	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/tensors"
	"github.com/visualrwkv/edged/weights"
)

// part is one tensor of the file: a packed matrix has two or three.
type part struct {
	weights.TensorInfo
	filler
}

// partsOf tells how t is stored in a file of type typ; with pure embedding and head
// have no more bits than the rest.
func partsOf(t layout.Tensor, typ quant.Type, pure bool) []part {
	one := func(d weights.DType, f filler) []part {
		return []part{{weights.TensorInfo{Name: t.Name, Type: d, Shape: t.Shape}, f}}
	}
	if t.Role >= layout.Sensitive && !pure {
		typ = atLeast8(typ)
	}
	rows, cols := t.Shape[0], t.Shape[len(t.Shape)-1]
	switch {
	case t.Role == layout.Vector:
		return one(weights.F32, floats(t.Centre, t.Spread))
	case t.Role == layout.Low || typ == quant.F16:
		return one(weights.F16, halves(t.Spread))
	case typ.Packed() && t.Role != layout.Lookup && quant.Packs(rows, cols):
		return packed(t, typ, rows, cols)
	case cols%kernels.Block != 0:
		return one(weights.F16, halves(t.Spread))
	case typ == quant.P8:
		typ = quant.Q8_0
	case typ == quant.P4:
		typ = quant.Q4_0
	}
	return one(weights.DType(typ), blocks(typ, t.Spread))
}

func atLeast8(t quant.Type) quant.Type {
	switch t {
	case quant.P4:
		return quant.P8
	case quant.Q4_0:
		return quant.Q8_0
	}
	return t
}

// packed lists the parts of a packed matrix.
func packed(t layout.Tensor, typ quant.Type, rows, cols int) []part {
	fillers := map[string]filler{
		"":                    integers(int8s),
		tensors.ScaleSuffix:   scales(t.Spread / int8RMS),
		tensors.ColumnsSuffix: number(uint32(cols)),
	}
	if typ == quant.P4 {
		fillers[""] = integers(nibbles)
		fillers[tensors.ScaleSuffix] = scales(t.Spread / nibbleRMS / groupRMS)
		fillers[tensors.GroupSuffix] = integers(nibbles)
	}
	var all []part
	for _, info := range tensors.Parts(typ, rows, cols) {
		f := fillers[info.Name]
		info.Name = t.Name + info.Name
		all = append(all, part{info, f})
	}
	return all
}
