package portable

import "math"

// Norm holds a normalisation of 8-bit RGB: sample v of channel c becomes
//
//	(v/255 - mean)/std
//
// each operation rounded to float32, as torchvision's ToTensor and Normalize compute it.
type Norm struct {
	Table [3][256]float32

	// Factors of a channel are mean, std, and 1/std as the sum of two numbers.
	Factors [3][4]float32
	// Products says that a quotient t/std is t*Factors[c][2] + t*Factors[c][3], with the
	// second product and the sum rounded, for all samples.
	Products bool
}

// NewNorm prepares a normalisation.
func NewNorm(mean, std [3]float32) *Norm {
	n := &Norm{Products: true}
	for c, m := range mean {
		s := std[c]
		for v := range n.Table[c] {
			t := float32(v)/255 - m
			n.Table[c][v] = t / s
			n.Products = n.Products && offTie(float64(t)/float64(s))
		}
		inverse := 1 / float64(s)
		high := float32(inverse)
		n.Factors[c] = [4]float32{m, s, high, float32(inverse - float64(high))}
		// Nothing underflows or overflows.
		n.Products = n.Products && s > 0x1p-20 && s < 0x1p20 && m > -0x1p20 && m < 0x1p20
	}
	return n
}

// offTie reports whether a sum that is off by 2^-47 of q rounds to the float32 that q
// rounds to. Beside a power of two the numbers below are half as far apart.
func offTie(q float64) bool {
	q = math.Abs(q)
	near := float32(q)
	half := (float64(math.Nextafter32(near, math.MaxFloat32)) - float64(near)) / 2
	d := math.Abs(q - float64(near))
	return math.Abs(d-half) > half*0x1p-20 && math.Abs(d-half/2) > half*0x1p-20
}

// Normalize writes packed RGB to planes, one value to a pixel.
func Normalize(r, g, b []float32, rgb []uint8, n *Norm) {
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		s := (*[3]uint8)(rgb[3*i:])
		r[i], g[i], b[i] = n.Table[0][s[0]], n.Table[1][s[1]], n.Table[2][s[2]]
	}
}
