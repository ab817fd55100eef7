package portable

// Norm holds a normalisation of 8-bit RGB: sample v of channel c becomes
//
//	(v/255 - mean)/std
//
// each operation rounded to float32, as torchvision's ToTensor and Normalize compute it.
type Norm struct {
	Table [3][256]float32

	// Factors of a channel are mean, std, and 1/std as the sum of two numbers, the first of
	// which is rounded to nearest, so that a machine can divide by multiplying.
	Factors [3][4]float32
	// Tame says that no step of that division can underflow or overflow, nor be of NaN.
	Tame bool
}

// NewNorm prepares a normalisation.
func NewNorm(mean, std [3]float32) *Norm {
	n := &Norm{Tame: true}
	for c, m := range mean {
		s := std[c]
		for v := range n.Table[c] {
			n.Table[c][v] = (float32(v)/255 - m) / s
		}
		inverse := 1 / float64(s)
		high := float32(inverse)
		n.Factors[c] = [4]float32{m, s, high, float32(inverse - float64(high))}
		n.Tame = n.Tame && s > 0x1p-20 && s < 0x1p20 && m > -0x1p20 && m < 0x1p20
	}
	return n
}

// Normalize writes packed RGB to planes, one value to a pixel.
func Normalize(r, g, b []float32, rgb []uint8, n *Norm) {
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		s := (*[3]uint8)(rgb[3*i:])
		r[i], g[i], b[i] = n.Table[0][s[0]], n.Table[1][s[1]], n.Table[2][s[2]]
	}
}
