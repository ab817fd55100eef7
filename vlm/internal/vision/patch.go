package vision

// patches cuts a picture [3, side, side] into patches of p x p pixels, in
// raster order: dst [(side/p)², stride], each row as a convolution's weight is
// stored: channel, row, column, then zeros. Pixels beyond the last whole patch are
// dropped, as a convolution with stride p drops them.
func patches(dst, pixels []float32, side, p, stride int) {
	g := side / p
	for gy := range g {
		for c := range 3 {
			for y := range p {
				row := pixels[(c*side+gy*p+y)*side:][:side]
				at := gy*g*stride + (c*p+y)*p
				for gx := range g {
					copy(dst[at+gx*stride:][:p], row[gx*p:])
				}
			}
		}
	}
	for i := 3 * p * p; i < stride; i++ {
		for row := i; row < len(dst); row += stride {
			dst[row] = 0
		}
	}
}
