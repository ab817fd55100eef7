// Package neon holds the kernels for arm64: base ASIMD, and under names that end in Dot
// and MM those for cores with SDOT and SMMLA. Functions are those of package portable, in
// files of the same names; package kernels checks lengths, chooses, and is what others
// call. On other architectures the package is empty.
//
// # Conventions
//
// Every assembly function is an ABI0 leaf without a frame and keeps to R0-R15, R19-R26
// and the vector registers. It reads and writes inside its arguments only, whole vectors
// at a time; what multiples of a width leave over is the caller's. Instructions that the
// assembler lacks are macros of arm64x.h, which a test proves one by one.
//
// # Products
//
// The tiles of MulP8 and MulP4 differ in the number of vectors and in nothing that a
// loop could express, so gen writes them. Integer sums stay in registers for a block of
// 256 columns; weights are read in the order in which they are stored, activations from
// the nearest cache. Where sixteen rows times t vectors of sums do not fit, a block is
// walked in several passes.
//
//	MulP8Dot, MulP4Dot   SDOT by element: four rows times four columns of one vector
//	MulP8MM              SMMLA: two rows and two vectors, after a zip of both
//	MulP8, MulP4         SMULL and SMLAL into 16 bits, where that is exact
//
// On Cortex-A76 and Neoverse N1 shifts issue to one of two pipes. The high nibble takes
// one nevertheless: next to one mask and two SDOT it leaves both pipes equally busy.
//
// # Bits
//
// Integer sums, everything elementwise, norms, softmax, the state read and low-rank
// products give the bits of package portable: the same operations in the same order, none
// fused. The wkv recurrences are fused, and that of RWKV-6 adds the bonus in another order;
// MulF32 and its kin and Attention fuse and add in another order too. What they compute does not depend
// on what else is computed.
package neon

//go:generate go run gen/main.go gen/mulp8.go gen/mulp4.go .
