//go:build purego || !arm64

package kernels

import "math"

// unpackFrom: measured with 8 to 192 vectors, int4 is 1.2 to 1.5 times as fast as int8
// with AVX2 and in portable Go. With VNNI unpacking breaks even at about 100.
func unpackFrom() int { return math.MaxInt }
