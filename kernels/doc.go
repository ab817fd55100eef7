// Package kernels is the seam between the model and the code that computes:
// one exported function per operation, on plain slices, with the lengths
// checked here once. Which implementation runs is decided by the CPU, or by the
// environment variable EDGED_KERNELS; the oracle of all is kernels/portable.
//
// A length that does not match is a bug of the caller and panics. Unless said
// otherwise dst may be the very slice of an input (same first element), but may
// not overlap one in any other way.
//
// Functions whose work grows with a matrix or a state take one strip of it: a
// call should stay below about 100 microseconds. Assembly is never preempted, and
// a loop that calls nothing else has no place where the garbage collector can
// stop it; the exported functions are therefore ordinary Go functions with a
// stack check, and are marked noinline so that they stay that.
//
// An exported function calls the function of the same name in lower case, of which
// each architecture has its own in impl_GOARCH.go: a switch on the level of the
// implementation in use, and a direct call. With the build tag purego only the
// portable implementation is compiled.
//
// # Bits
//
// On every implementation and architecture these have the same bits: integer products
// (MulP8, MulP4, MulQ8, MulQ4 and UnpackP4), quantised activations, decoding, pictures, and
// element-wise operations that round once. Sums of floats (MulF32, MulF16 and MulBF16, norms,
// Softmax, the wkv recurrences, StateRead, low-rank products and Attention) and
// transcendental functions have a bound instead: an implementation may fuse them or add in
// another order. A model of float weights differs by some 1e-5 of a logit between two
// implementations. In a quantised one an activation that then rounds to another int8 makes
// a tenth of it, rarely several, which decides between two words only where both are as good.
package kernels
