package portable

import "math"

// exp64 returns e^x in float64 with a relative error below 2^-38; rounded to
// float32 that is at most 0.501 ulp. Below -200 and above 200 it returns the value
// at the limit, which float32 rounds to 0 and +Inf. NaN gives NaN.
//
// With k = round(32x/ln 2) and r the rest, e^x = 2^(k/32) e^(r ln2/32); the first
// factor is a table entry with the exponent added, the second, of argument at most
// 0.0109, a polynomial of degree 4.
func exp64(x float64) float64 {
	x = min(max(x, -200), 200)
	const shift = 0x1.8p52 // puts round(z) into the low bits
	z := float64(x * (32 / math.Ln2))
	k := z + shift
	r := float64((z - (k - shift)) * (math.Ln2 / 32))
	n := math.Float64bits(k)
	s := math.Float64frombits(exp2Table[n%32] + n>>5<<52)
	r2 := float64(r * r)
	p := float64(r2*(1.0/2+float64(r*(1.0/6))+float64(r2*(1.0/24)))) + r
	return s + float64(s*p)
}

// exp2Table holds the bits of 2^(i/32).
var exp2Table = [32]uint64{
	0x3ff0000000000000, 0x3ff059b0d3158574, 0x3ff0b5586cf9890f, 0x3ff11301d0125b51,
	0x3ff172b83c7d517b, 0x3ff1d4873168b9aa, 0x3ff2387a6e756238, 0x3ff29e9df51fdee1,
	0x3ff306fe0a31b715, 0x3ff371a7373aa9cb, 0x3ff3dea64c123422, 0x3ff44e086061892d,
	0x3ff4bfdad5362a27, 0x3ff5342b569d4f82, 0x3ff5ab07dd485429, 0x3ff6247eb03a5585,
	0x3ff6a09e667f3bcd, 0x3ff71f75e8ec5f74, 0x3ff7a11473eb0187, 0x3ff82589994cce13,
	0x3ff8ace5422aa0db, 0x3ff93737b0cdc5e5, 0x3ff9c49182a3f090, 0x3ffa5503b23e255d,
	0x3ffae89f995ad3ad, 0x3ffb7f76f2fb5e47, 0x3ffc199bdd85529c, 0x3ffcb720dcef9069,
	0x3ffd5818dcfba487, 0x3ffdfc97337b9b5f, 0x3ffea4afa2a490da, 0x3fff50765b6e4540,
}
