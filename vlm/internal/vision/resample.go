package vision

import "github.com/visualrwkv/edged/vlm/preprocess"

// Resample takes a position embedding from a grid of n x n to m x m cells of c
// channels each: src [n*n, c], the result [m*m, c]. It is the antialiased bicubic
// filter (a = -0.5, corners not aligned) of torch's interpolate, horizontal pass
// first, which uses the same taps as the resizing of pictures; section 7.
func Resample(src []float32, n, m, c int) []float32 {
	if n == m {
		return append([]float32(nil), src...)
	}
	t := preprocess.NewTaps(n, m)
	// Both passes filter along the second of three axes: rows of cells first,
	// then columns, where a whole row of cells is one long cell.
	return filter(filter(src, t, n, n, m, c), t, 1, n, m, m*c)
}

// filter maps src [lines, n, c] to [lines, m, c] with taps t from n to m.
func filter(src []float32, t preprocess.Taps, lines, n, m, c int) []float32 {
	dst := make([]float32, lines*m*c)
	for l := range lines {
		for i := range m {
			d := dst[(l*m+i)*c:][:c]
			for j, w := range t.W[i*t.Stride:][:t.N[i]] {
				for k, v := range src[(l*n+t.Lo[i]+j)*c:][:c] {
					d[k] += float32(float32(w) * v)
				}
			}
		}
	}
	return dst
}
