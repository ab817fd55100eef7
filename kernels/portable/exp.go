package portable

import "math"

// exp64 returns e^x in float64 for |x| <= 700 with a relative error below 2^-38;
// rounded to float32 that is at most 0.501 ulp. NaN gives NaN.
//
// With k = round(32x/ln 2) and r the rest, e^x = 2^(k/32) e^(r ln2/32); the first
// factor is a table entry with the exponent added, the second, of argument at most
// 0.0109, a polynomial of degree 4.
//
// It is written to stay within the compiler's budget for inlining: called, its
// result register would tie each element of a loop to the one before, at seven times
// the cost (amd64: CVTSS2SD keeps the upper half of its destination).
func exp64(x float64) float64 {
	const shift = 0x1.8p52 // puts round(z) into the low bits
	const c = math.Ln2 / 32
	z := float64(x * (1 / c))
	k := z + shift
	r := z - (k - shift)
	n := math.Float64bits(k)
	s := math.Float64frombits(exp2Table[n%32] + n<<47)

	return s + float64(s*r*(c+float64(r*(c*c/2+float64(r*(c*c*c/6+float64(r*(c*c*c*c/24))))))))
}

// clamp limits x to ±200, where float32 has long rounded e^x to 0 or +Inf. NaN
// stays.
func clamp(x float64) float64 {
	if x < -200 {
		return -200
	}
	if x > 200 {
		return 200
	}
	return x
}

// exp2Table holds the bits of 2^(i/32) less i<<47, so that adding k<<47 puts the
// whole part of k/32 into the exponent and takes the rest away again.
var exp2Table = [32]uint64{
	0x3ff0000000000000, 0x3fefd9b0d3158574, 0x3fefb5586cf9890f, 0x3fef9301d0125b51,
	0x3fef72b83c7d517b, 0x3fef54873168b9aa, 0x3fef387a6e756238, 0x3fef1e9df51fdee1,
	0x3fef06fe0a31b715, 0x3feef1a7373aa9cb, 0x3feedea64c123422, 0x3feece086061892d,
	0x3feebfdad5362a27, 0x3feeb42b569d4f82, 0x3feeab07dd485429, 0x3feea47eb03a5585,
	0x3feea09e667f3bcd, 0x3fee9f75e8ec5f74, 0x3feea11473eb0187, 0x3feea589994cce13,
	0x3feeace5422aa0db, 0x3feeb737b0cdc5e5, 0x3feec49182a3f090, 0x3feed503b23e255d,
	0x3feee89f995ad3ad, 0x3feeff76f2fb5e47, 0x3fef199bdd85529c, 0x3fef3720dcef9069,
	0x3fef5818dcfba487, 0x3fef7c97337b9b5f, 0x3fefa4afa2a490da, 0x3fefd0765b6e4540,
}
