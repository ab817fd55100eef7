package vlm

import (
	"strings"

	"github.com/visualrwkv/edged/kernels"
	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/checkpoint"
)

// fallback is the type of matrices whose sizes a packed type cannot hold, and of the
// embedding, which is read row by row.
var fallback = map[quant.Type]quant.Type{quant.P8: quant.Q8_0, quant.P4: quant.Q4_0}

// smallTensor is the number of values up to which a tensor is not worth
// rounding.
const smallTensor = 1024

// convertible are the types whose values can be read.
var convertible = []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0, quant.Q4_0, quant.P8, quant.P4}

// tensorType decides the type of one tensor in a file of type typ.
func tensorType(t *checkpoint.Weight, typ quant.Type) quant.Type {
	half := quant.F16
	if typ == quant.BF16 {
		half = quant.BF16
	}
	switch {
	case typ == quant.F32 || vectorLike(t.Shape) || t.Len() < smallTensor || bonusName(t.Name):
		return quant.F32
	case len(t.Shape) != 2 || typ == half || lowRankName(t.Name):
		// Block types run along the last dimension, so that convolutions
		// (patch embeddings) cannot have them.
		return half
	}
	// Each row of embedding and head is one token's only chance; they cost little more
	// in eight bits, since an embedding is read one row at a time. Towers and projector
	// see many vectors at once, so that four bits would not make them faster, only blind
	// to small motion.
	embedding := strings.HasSuffix(t.Name, "emb.weight")
	if embedding || strings.HasSuffix(t.Name, "head.weight") || seeing(t.Name) {
		switch typ {
		case quant.Q4_0:
			typ = quant.Q8_0
		case quant.P4:
			typ = quant.P8
		}
	}
	if typ.Packed() {
		if !embedding && quant.Packs(t.Shape[0], t.Shape[1]) {
			return typ
		}
		typ = fallback[typ]
	}
	if t.Shape[1]%kernels.Block != 0 {
		return half
	}
	return typ
}

// vectorLike reports whether at most one dimension is larger than one: norms,
// biases, lerps, decays.
func vectorLike(shape []int) bool {
	wide := 0
	for _, d := range shape {
		if d != 1 {
			wide++
		}
	}
	return wide < 2
}

// bonusName reports whether a tensor is the bonus of time mixing: per channel, but shaped
// [heads, head size].
func bonusName(name string) bool {
	return strings.HasSuffix(name, "att.time_faaaa") || strings.HasSuffix(name, "att.r_k")
}

// seeing reports whether a tensor is one of those that image tokens depend on.
func seeing(name string) bool {
	return strings.HasPrefix(name, "vit.") || strings.HasPrefix(name, "proj.")
}

func lowRankName(name string) bool {
	for _, s := range []string{"time_maa_w1", "time_maa_w2", "time_decay_w1", "time_decay_w2", "time_mem_w1", "time_mem_w2"} {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	if positionName(name) {
		return true
	}
	// RWKV-7 calls its LoRAs att.w1, att.a2, ...
	i := strings.LastIndexByte(name, '.')
	return strings.HasSuffix(name[:max(i, 0)], ".att") && len(name)-i == 3 && (name[len(name)-1] == '1' || name[len(name)-1] == '2')
}

// positionName reports whether a tensor is an embedding of positions: of a tower, or of keys
// relative to queries.
func positionName(name string) bool {
	return strings.HasSuffix(name, "pos_embed") || strings.HasSuffix(name, "rel_pos_h") || strings.HasSuffix(name, "rel_pos_w")
}
