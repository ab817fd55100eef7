package weights

import (
	"math"
	"math/bits"
	"unicode/utf8"
)

// Limits that no real model comes near, so that what a file can make us
// allocate is bounded by constants as well as by its size. The largest model
// of the family (7B with three towers, packed matrices with scales beside them)
// has about 2,800 tensors. TestBombs holds the limits to the bound on memory that
// the package documents.
const (
	maxTensors = 1 << 12
	maxKeys    = 1 << 12
	maxName    = 1 << 16 // bytes; GGUF's limit for keys
	maxDims    = 6
	maxShards  = 1 << 10
)

// mulSize multiplies two non-negative sizes; ok is false when the product does
// not fit an int.
func mulSize(a, b int) (p int, ok bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return int(lo), hi == 0 && lo <= math.MaxInt
}

// count multiplies the dimensions of a shape. A zero does not hide an overflow:
// consumers multiply parts of a shape, so every such product must fit.
func count(shape []int) (n int, ok bool) {
	n, nonzero := 1, 1
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		if nonzero, ok = mulSize(nonzero, max(d, 1)); !ok {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// checkName says what is wrong with the name of a tensor or key.
func checkName(s string) string {
	switch {
	case s == "":
		return "empty name"
	case len(s) > maxName:
		return "name is too long"
	case !utf8.ValidString(s):
		return "name is not UTF-8"
	}
	return ""
}
