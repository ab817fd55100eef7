package neon

// Normalize writes packed RGB to three planes; see package portable, whose Norm has the
// factors and must have the products. There are a positive multiple of 8 pixels, as many as r has
// values.
func Normalize(r, g, b []float32, rgb []uint8, factors *[3][4]float32) {
	normalize(&r[0], &g[0], &b[0], &rgb[0], factors, len(r))
}

//go:noescape
func normalize(red, green, blue *float32, rgb *uint8, factors *[3][4]float32, n int)
