//go:build !purego

package kernels

import "math"

// unpackFrom: counted in instructions, SDOT needs 0.12 per weight and vector in int4,
// 0.08 in int8, and unpacking 0.23. Without SDOT int4 is the cheaper format.
func unpackFrom() int {
	if level >= dotprodLevel {
		return 8
	}
	return math.MaxInt
}
