// Package portable holds every numeric kernel of the runtime in plain Go. It
// is specification, fallback and test oracle in one: an assembly variant is a
// sibling package with the same functions in files of the same names.
//
// Most readers want package kernels, which checks lengths, or package quant,
// which knows matrices. Nothing here checks its arguments beyond what Go's
// slices do.
//
// # Numeric conventions
//
// Activations and states are float32. A product that is added to something is
// written float32(a*b) + c, so that compilers that fuse (arm64) and compilers
// that do not (amd64) give the same bits. Integer dot products are exact. The
// order of every float summation is fixed by the operation alone: it depends
// neither on how many vectors are multiplied at once nor on how rows are split
// over workers.
//
// Transcendental functions are evaluated in float64 and rounded once; their
// errors are stated where they are defined.
package portable
