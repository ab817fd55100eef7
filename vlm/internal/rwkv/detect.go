package rwkv

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/visualrwkv/edged/quant"
)

// Variant is the kind of block the decoder is made of.
type Variant uint8

const (
	Vanilla       Variant = iota // plain RWKV-6: no image state
	Hybrid                       // HM: the state read is blended in by a ReLU gate
	HybridSigmoid                // HM before the ReLU gate: sigmoid gate with a bias
	HybridOldest                 // first form of HM: sigmoid gate, no token shift on the read
	Cross                        // cross state mixing, a sub-layer of its own
	RWKV7                        // plain RWKV-7: no image state
)

var variantNames = [...]string{"vanilla", "hybrid", "hybrid-sigmoid", "hybrid-oldest", "cross", "rwkv7"}

// String returns the name used in model files.
func (v Variant) String() string {
	if int(v) < len(variantNames) {
		return variantNames[v]
	}
	return "variant " + strconv.Itoa(int(v))
}

// ReadsImage reports whether the blocks read an image state.
func (v Variant) ReadsImage() bool { return v != Vanilla && v != RWKV7 }

// ErrUnsupported is wrapped by errors about models that are recognised but
// that this version cannot run.
var ErrUnsupported = errors.New("unsupported model variant")

// Detect tells from the names of the decoder's tensors which variant a model
// is. prefix is what stands before "blocks.0.", "rwkv." in a whole
// checkpoint.
func Detect(l quant.Loader, prefix string) (Variant, error) {
	b := prefix + "blocks.0."
	has := func(name string) bool { return l.Shape(b+name) != nil }
	switch {
	case has("att.x_r"):
		return RWKV7, nil
	case has("att.mem_read.weight") && has("att.mem_gate.bias"):
		return HybridSigmoid, nil
	case has("att.mem_read.weight"):
		return Hybrid, nil
	case has("att.read.weight"):
		return HybridOldest, nil
	case has("cross.receptance.weight"):
		return Cross, nil
	case has("att.time_maa_w1"):
		return Vanilla, nil
	case has("att.time_mix_k"):
		return 0, fmt.Errorf("%sblocks are RWKV-5 or older (tensor %satt.time_mix_k): %w", prefix, b, ErrUnsupported)
	}
	return 0, fmt.Errorf("no RWKV block: none of the tensors %satt.* that tell the variant is there", b)
}

// maxBlocks bounds the count of blocks against files with absurd names.
const maxBlocks = 1024

// CountBlocks returns how many consecutive blocks there are under prefix. A
// block that has lost some of its tensors counts, so that binding it tells
// what is missing.
func CountBlocks(l quant.Loader, prefix string) int {
	for n := range maxBlocks {
		b := prefix + "blocks." + strconv.Itoa(n) + "."
		if l.Shape(b+"ln1.weight") == nil && l.Shape(b+"att.key.weight") == nil && l.Shape(b+"ln2.weight") == nil {
			return n
		}
	}
	return maxBlocks
}

// DimsOf derives the sizes from the shapes of block 0 under prefix.
func DimsOf(l quant.Loader, prefix string) (Dims, error) {
	b := prefix + "blocks.0."
	bonus := b + "att.time_faaaa"
	if l.Shape(b+"att.x_r") != nil {
		bonus = b + "att.r_k"
	}
	u := l.Shape(bonus)
	if len(u) != 2 {
		return Dims{}, fmt.Errorf("tensor %s: shape %v, want [heads, head size]", bonus, u)
	}
	d := Dims{H: u[0], N: u[1]}
	if d.H <= 0 || d.N <= 0 || d.H > 1<<12 || d.N > 1<<10 {
		return Dims{}, fmt.Errorf("tensor %s: shape %v out of range", bonus, u)
	}
	d.C = d.H * d.N
	if k := l.Shape(b + "ffn.key.weight"); len(k) == 2 {
		d.F = k[0]
	}
	if ln := l.Shape(b + "ln1.weight"); len(ln) != 1 || ln[0] != d.C {
		return Dims{}, fmt.Errorf("tensor %sln1.weight: shape %v, want [%d] (heads x head size)", b, ln, d.C)
	}
	return d.withDefaults(), nil
}
