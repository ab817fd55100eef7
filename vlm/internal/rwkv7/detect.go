package rwkv7

import (
	"fmt"

	"github.com/visualrwkv/edged/quant"
	"github.com/visualrwkv/edged/vlm/internal/rwkv"
)

// Is reports whether the blocks under prefix are RWKV-7.
func Is(l quant.Loader, prefix string) bool { return l.Shape(prefix+"blocks.0.att.x_r") != nil }

// DimsOf derives the sizes from the shapes of block 0 under prefix.
func DimsOf(l quant.Loader, prefix string) (rwkv.Dims, error) {
	b := prefix + "blocks.0."
	rk := l.Shape(b + "att.r_k")
	if len(rk) != 2 || rk[0] < 1 || rk[1] < 1 || rk[0] > 1<<12 || rk[1] > 1<<10 {
		return rwkv.Dims{}, fmt.Errorf("tensor %satt.r_k: shape %v, want [heads, head size]", b, rk)
	}
	key := l.Shape(b + "ffn.key.weight")
	if len(key) != 2 || key[0] < 1 {
		return rwkv.Dims{}, fmt.Errorf("tensor %sffn.key.weight: shape %v, want [hidden width, width]", b, key)
	}
	return rwkv.Dims{C: rk[0] * rk[1], H: rk[0], N: rk[1], F: key[0], LNEps: lnEps, GNEps: gnEps}, nil
}

// Epsilons of the published models.
const (
	lnEps = 1e-5
	gnEps = 1e-5 * 8 * 8 // of ln_x, with the reference code's head_size_divisor
	l2Eps = 1e-12        // of the removal key's length
)
