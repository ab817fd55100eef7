package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
)

// checkNormalize normalises every byte as every channel, and n pixels more.
func checkNormalize(t *testing.T, r *rand.Rand, mean, std [3]float32, n int) {
	t.Helper()
	n += 256
	var dst [3][]float32
	for c := range dst {
		dst[c] = guard.Slice[float32](t, n)
	}
	normalizeInto(t, r, mean, std, dst, guard.Slice[uint8](t, 3*n))
}

func normalizeInto(t *testing.T, r *rand.Rand, mean, std [3]float32, dst [3][]float32, rgb []uint8) {
	t.Helper()
	n, norm := len(dst[0]), NewNorm(mean, std)
	copy(rgb, noise(r, len(rgb)))
	for i, at := range r.Perm(n)[:256] {
		rgb[3*at], rgb[3*at+1], rgb[3*at+2] = uint8(i), uint8(i), uint8(i)
	}
	Normalize(dst[0], dst[1], dst[2], rgb, norm)
	for c, plane := range dst {
		for i, got := range plane {
			want := (float32(rgb[3*i+c])/255 - mean[c]) / std[c]
			if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
				t.Fatalf("%d of %d pixels, mean %v, std %v: %v, want %v", i, n, mean[c], std[c], got, want)
			}
		}
	}
}

func TestNormalize(t *testing.T) {
	inf := float32(math.Inf(1))
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for n := range 20 {
			checkNormalize(t, r, [3]float32{.5, .5, .5}, [3]float32{.5, .5, .5}, n)
			checkNormalize(t, r, [3]float32{.485, .456, .406}, [3]float32{.229, .224, .225}, n)
		}
		checkNormalize(t, r, [3]float32{0, 1e30, -inf}, [3]float32{1e-40, 3e38, inf}, 9)
		checkNormalize(t, r, [3]float32{1, -1, 0}, [3]float32{math.Nextafter32(1, 0), math.Nextafter32(1, 2), math.Nextafter32(2, 0)}, 9)
		times := 20000
		if testing.Short() {
			times = 500
		}
		var dst [3][]float32
		for c := range dst {
			dst[c] = make([]float32, 256)
		}
		rgb := make([]uint8, 3*256)
		for range times {
			var mean, std [3]float32
			for c := range mean {
				mean[c] = float32(r.IntN(256))/255 + float32(r.NormFloat64()*math.Exp(-20*r.Float64()))
				std[c] = float32(math.Exp(3 * r.NormFloat64()))
			}
			normalizeInto(t, r, mean, std, dst, rgb)
		}
		panics(t, "Normalize", func() {
			Normalize(make([]float32, 2), make([]float32, 2), make([]float32, 2), make([]uint8, 5), NewNorm([3]float32{}, [3]float32{1, 1, 1}))
		})
	})
}

// TestNormProducts: the towers' normalisations take the quick way, what could go wrong on
// it does not.
func TestNormProducts(t *testing.T) {
	half := [3]float32{.5, .5, .5}
	for _, c := range []struct {
		mean, std [3]float32
		want      bool
	}{
		{half, half, true},
		{[3]float32{.485, .456, .406}, [3]float32{.229, .224, .225}, true},
		{half, [3]float32{.5, 0x1p-21, .5}, false},
		{[3]float32{.5, .5, 0x1p21}, half, false},
		{half, [3]float32{.5, float32(math.NaN()), .5}, false},
		{[3]float32{0, float32(math.Inf(1)), 0}, half, false},
	} {
		if got := NewNorm(c.mean, c.std).Products; got != c.want {
			t.Errorf("mean %v, std %v: %v", c.mean, c.std, got)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add(float32(.485), float32(.229), uint8(3))
	f.Add(float32(-7e-5), float32(1-0x1p-24), uint8(0))
	f.Add(float32(0), float32(0x1p-20), uint8(9))
	f.Fuzz(func(t *testing.T, mean, std float32, n uint8) {
		checkNormalize(t, newRand(), [3]float32{mean, 1 - mean, .5}, [3]float32{std, 1 / std, std / 3}, int(n))
	})
}

func BenchmarkNormalize(b *testing.B) {
	const pixels = 640
	r, g, bl := make([]float32, pixels), make([]float32, pixels), make([]float32, pixels)
	rgb := noise(newRand(), 3*pixels)
	n := NewNorm([3]float32{.485, .456, .406}, [3]float32{.229, .224, .225})
	b.SetBytes(3 * pixels)
	for b.Loop() {
		Normalize(r, g, bl, rgb, n)
	}
}
