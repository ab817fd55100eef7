// Package quant holds weight matrices in the formats of model files and
// multiplies activations with them.
//
// A Matrix borrows its bytes, normally from a memory-mapped file, and never
// writes to them; it is safe for any number of goroutines. A Scratch belongs to
// one goroutine and holds what a multiplication needs besides its arguments. A
// Pool shares the rows of one multiplication among workers.
//
// Formats carry their GGML numbers. Quantize writes the very bytes of GGML's
// reference functions (quantize_row_q8_0_ref, quantize_row_q4_0_ref), so files
// made here and elsewhere are interchangeable.
//
// Results do not depend on how the work is cut: a row of the product has the
// same bits whether it is computed alone or among n vectors, by one worker or by
// many.
package quant
