package kernels

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
)

// taps returns n weights whose sums stay in the range that Resample takes, and nearly
// reach its ends.
func taps(r *rand.Rand, n int) []int32 {
	k := make([]int32, n)
	pos, neg := int32(2<<SampleBits-1<<14), int32(-1<<SampleBits) // times 255 and half a step
	for i := range k {
		left, sign := &pos, int32(1)
		if r.IntN(3) == 0 {
			left, sign = &neg, -1
		}
		k[i] = sign * r.Int32N(sign**left+1)
		*left -= k[i]
	}
	return k
}

// resampled is the definition of Resample.
func resampled(src []uint8, stride int, k []int32) uint8 {
	sum := int64(1 << (SampleBits - 1))
	for j, w := range k {
		sum += int64(w) * int64(src[j*stride])
	}
	return uint8(min(max(sum>>SampleBits, 0), 255))
}

func checkResample(t *testing.T, src []uint8, width, stride int, k []int32) {
	t.Helper()
	w, dst := guard.Slice[int16](t, TapsLen(len(k))), guard.Slice[uint8](t, width)
	SplitTaps(w, k)
	Resample(dst, src, stride, len(k), w)
	for x, got := range dst {
		if want := resampled(src[x:], stride, k); got != want {
			t.Fatalf("sample %d of %d, weights %d: got %d, want %d", x, width, k, got, want)
		}
	}
}

func TestResample(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for width := 1; width <= 100; width++ {
			for _, n := range []int{1, 2, 3, 4, 5, 12, 13, 64, 65, 131} {
				stride := width + r.IntN(3)
				src := guard.Copy(t, noise(r, (n-1)*stride+width))
				checkResample(t, src, width, stride, taps(r, n))
			}
		}
		for _, bad := range []func(){
			func() { Resample(make([]uint8, 8), make([]uint8, 15), 8, 2, make([]int16, 4)) },
			func() { Resample(make([]uint8, 8), make([]uint8, 16), 7, 2, make([]int16, 4)) },
			func() { Resample(make([]uint8, 8), make([]uint8, 16), 8, 2, make([]int16, 8)) },
			func() { Resample(make([]uint8, 8), make([]uint8, 16), 8, 0, nil) },
			func() { SplitTaps(make([]int16, 3), make([]int32, 1)) },
		} {
			panics(t, "Resample", bad)
		}
	})
}

func FuzzResample(f *testing.F) {
	f.Add([]byte{0, 255}, uint8(33), uint8(3), uint64(1))
	f.Add([]byte{1, 2, 3, 250}, uint8(96), uint8(12), uint64(2))
	f.Fuzz(func(t *testing.T, data []byte, width, n uint8, seed uint64) {
		if len(data) == 0 || width == 0 || n == 0 {
			return
		}
		k := taps(rand.New(rand.NewPCG(seed, 0)), int(n))
		stride := int(width) + int(seed%5)
		src := fill(t, data, []int{(len(k)-1)*stride + int(width)})[0]
		checkResample(t, src, int(width), stride, k)
	})
}

func TestTranspose(t *testing.T) {
	eachBackend(t, func(t *testing.T) {
		r := newRand()
		for range 500 {
			rows, cols := 1+r.IntN(50), 1+r.IntN(70)
			ss, ds := cols+r.IntN(4), rows+r.IntN(4)
			src := guard.Copy(t, noise(r, (rows-1)*ss+cols))
			dst := guard.Slice[uint8](t, (cols-1)*ds+rows)
			want := bytes.Repeat([]byte{77}, len(dst))
			copy(dst, want)
			for i := range rows {
				for c := range cols {
					want[c*ds+i] = src[i*ss+c]
				}
			}
			Transpose(dst, ds, src, ss, rows, cols)
			if !bytes.Equal(dst, want) {
				t.Fatalf("%d x %d differs", rows, cols)
			}
		}
		panics(t, "Transpose", func() { Transpose(make([]uint8, 6), 2, make([]uint8, 5), 3, 2, 3) })
		panics(t, "Transpose", func() { Transpose(make([]uint8, 5), 2, make([]uint8, 6), 3, 2, 3) })
		panics(t, "Transpose", func() { Transpose(make([]uint8, 6), 1, make([]uint8, 6), 3, 2, 3) })
	})
}

func BenchmarkResample(b *testing.B) {
	r := newRand()
	const width, n = 96, 12 // 32 rows of a pixel, of which every third is kept
	src, dst, w := noise(r, width*n), make([]uint8, width), make([]int16, TapsLen(n))
	SplitTaps(w, taps(r, n))
	b.SetBytes(width * n)
	for b.Loop() {
		Resample(dst, src, width, n, w)
	}
}

func BenchmarkTranspose(b *testing.B) {
	const rows, cols = 32, 3 * 640
	src, dst := make([]uint8, rows*cols), make([]uint8, rows*cols)
	b.SetBytes(rows * cols)
	for b.Loop() {
		Transpose(dst, rows, src, cols, rows, cols)
	}
}
