package portable

// Products of quantised rows. The integer part is exact, so it may be computed in
// any order and several products at a time; the float part has one order for every
// n: per row and vector
//
//	acc = Σ_b float32(s_b) * (dw_b*dx_b)      b in order
//
// with s_b the integer dot product of block b, every operation rounded to float32.
//
// # Several products in one multiplication
//
// A 64-bit multiplication of polynomials in X, written as integers with X = 2^f,
// gives every coefficient at once if each fits its f bits. With weights
// p = w0 + w1*X + ... and activations reversed, q = x[m] + x[m-1]*X + ..., the
// coefficient of X^m is the dot product; the lower ones are waste and the higher ones
// leave the word at the top. Signed coefficients borrow from the next one up, and
// adding half a unit of the wanted one before the final shift undoes that. The bounds
// that make it exact are stated at each use, with |x| <= 127.

// span is the number of blocks prepared at a time. The prepared activations of one
// span live on the stack, next to the rows that use them.
const span = 16

// scales gathers the scales and sums of nb blocks from block b of m vectors that
// begin at vector i0, block-major as the inner loops want them.
func scales(dx []float32, sx []int32, scale []float32, sum []int32, blocks, i0, m, b, nb int) {
	for i := range m {
		o := (i0+i)*blocks + b
		for j, v := range scale[o:][:nb] {
			dx[j*m+i] = v
			sx[j*m+i] = sum[o+j]
		}
	}
}
