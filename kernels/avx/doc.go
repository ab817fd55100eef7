// Package avx holds the kernels for amd64: AVX2 (with FMA and F16C), and AVX-512 with
// VNNI under names that end in VNNI or 512. Functions are those of package portable, in
// files of the same names; package kernels checks lengths, chooses, and is what others
// call.
//
// # Conventions
//
// Every assembly function is an ABI0 leaf without a frame. General registers have the
// same roles in all tiles of a product (gen/mulp8.go); vector registers are numbered
// where they are used. The upper halves of vector registers are cleared before return.
// Memory is read and written inside the arguments only, but prefetched beyond.
//
// # Bits
//
// Integer sums, element-wise functions, activations and the wkv recurrences give the
// bits of package portable: the same operations in the same order, none fused.
// Functions whose comment says so add floats in another order.
package avx
