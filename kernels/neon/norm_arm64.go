package neon

// LayerNorm normalises x with the bits of package portable. len(x) is a multiple of 4,
// not zero.
func LayerNorm(dst, x, weight, bias []float32, eps float32) {
	layerNorm(&dst[0], &x[0], &weight[0], &bias[0], len(x), eps)
}

// GroupNorm normalises each of groups parts of x. The length of a part is a multiple of
// 4, not zero.
func GroupNorm(dst, x, weight, bias []float32, groups int, eps float32) {
	n := len(x) / groups
	for i := 0; i < len(x); i += n {
		layerNorm(&dst[i], &x[i], &weight[i], &bias[i], n, eps)
	}
}

// layerNorm normalises n values, a multiple of 4. dst may be x.
//
//go:noescape
func layerNorm(dst, x, weight, bias *float32, n int, eps float32)
