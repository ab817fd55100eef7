package preprocess

import "github.com/visualrwkv/edged/kernels"

// Taps lists, for one axis, which source samples make up each destination
// sample and with which weights: Pillow's antialiased bicubic filter (a = -0.5).
// Destination sample i reads N[i] source samples starting at Lo[i]; their
// weights sum to one and are W[i*Stride : i*Stride+N[i]].
type Taps struct {
	Lo, N  []int
	W      []float64
	Stride int
}

// NewTaps computes the taps that take n samples to m. Both must be positive.
func NewTaps(n, m int) Taps { return newTaps(n, m, 0, m) }

// newTaps computes those of the destination samples first to first+count-1 of m.
//
// The arithmetic follows Pillow's precompute_coeffs operation by operation.
// Products that feed a sum are converted explicitly, so that a compiler that
// fuses multiply and add (arm64) gives the same weights as one that does not.
func newTaps(n, m, first, count int) Taps {
	scale := float64(n) / float64(m)
	filter := max(scale, 1)
	support := 2 * filter
	t := Taps{Lo: make([]int, count), N: make([]int, count), Stride: 2*ceil(support) + 1}
	t.W = make([]float64, count*t.Stride)
	inv := 1 / filter
	for i := range count {
		center := float64((float64(first+i) + 0.5) * scale)
		lo := max(int(center-support+0.5), 0)
		hi := min(int(center+support+0.5), n)
		w := t.W[i*t.Stride:][:hi-lo]
		sum := 0.0
		for j := range w {
			w[j] = cubic((float64(j+lo) - center + 0.5) * inv)
			sum += w[j]
		}
		if sum != 0 {
			for j := range w {
				w[j] /= sum
			}
		}
		t.Lo[i], t.N[i] = lo, len(w)
	}
	return t
}

// cubic is the Keys kernel with a = -0.5.
func cubic(x float64) float64 {
	const a = -0.5
	if x < 0 {
		x = -x
	}
	if x < 1 {
		return float64((float64((a+2)*x)-(a+3))*x*x) + 1
	}
	if x < 2 {
		return (float64((float64((x-5)*x)+8)*x) - 4) * a
	}
	return 0
}

func ceil(x float64) int {
	n := int(x)
	if float64(n) < x {
		n++
	}
	return n
}

// fixed rounds the weights, half away from zero, to kernels.SampleBits
// fractional bits, as Pillow's normalize_coeffs_8bpc does.
func (t Taps) fixed() []int32 {
	k := make([]int32, len(t.W))
	for i, w := range t.W {
		half := 0.5
		if w < 0 {
			half = -0.5
		}
		k[i] = int32(half + float64(w*(1<<kernels.SampleBits)))
	}
	return k
}
