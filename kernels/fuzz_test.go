package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

// fuzzFloats reads n floats out of b, over and over; what is not a number, or so large that
// sums of it leave single precision, is made smaller.
func fuzzFloats(t testing.TB, b []byte, n int) []float32 {
	x := guard.Slice[float32](t, n)
	for i := range x {
		if len(b) >= 4 {
			at := 4 * i % (len(b) - 3)
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[at:]))
		}
		if v := math.Abs(float64(x[i])); !(v < 1e8) {
			x[i] = float32(i%7) - 3
		}
	}
	return x
}

// fuzzSeeds adds inputs of common numbers, of zeros of either sign and of tiny values.
func fuzzSeeds(f *testing.F) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 7))
		var b []byte
		for range 40 {
			v := float32(r.NormFloat64())
			switch seed % 4 {
			case 1:
				v *= 1e4
			case 2:
				v = float32(math.Copysign(0, float64(v)))
			case 3:
				v *= 1e-40
			}
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		f.Add(b, seed)
	}
}

// within fails unless got is near want, where terms of that size were added up.
func within(t testing.TB, what string, got, want, size []float32, n int) {
	t.Helper()
	for i, v := range got {
		bound := float64(n+8) * 1.2e-7 * float64(size[i])
		if d := math.Abs(float64(v) - float64(want[i])); !(d <= bound+1e-37) {
			t.Fatalf("%s: value %d is %v, portable %v, bound %g", what, i, v, want[i], bound)
		}
	}
}

func absolute(x []float32) []float32 {
	a := make([]float32, len(x))
	for i, v := range x {
		a[i] = float32(math.Abs(float64(v)))
	}
	return a
}

// FuzzVector compares elementwise functions with package portable: the same bits, but for
// transcendental ones, which may differ in the last place.
func FuzzVector(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		n := int(seed % 67)
		for _, u := range unary {
			x := fuzzFloats(t, b, n)
			for i := range x {
				x[i] = max(min(x[i], 80), -80)
			}
			got, want := guard.Slice[float32](t, n), make([]float32, n)
			u.f(got, x)
			u.plain(want, x)
			for i, v := range got {
				if d := math.Abs(float64(v) - float64(want[i])); !(d <= 2*ulp(float32(math.Abs(float64(want[i])))) && (d == 0 || !u.exact)) {
					t.Fatalf("%s(%v) = %v, portable %v", u.name, x[i], v, want[i])
				}
			}
		}
		for _, e := range elementwise {
			in := make([][]float32, e.inputs)
			for i := range in {
				in[i] = fuzzFloats(t, b[min(4*i, len(b)):], n)
			}
			got := guard.Slice[float32](t, n)
			e.f(got, in)
			for i, v := range got {
				args := make([]float32, e.inputs)
				for j := range args {
					args[j] = in[j][i]
				}
				if want := e.ref(args); math.Float32bits(v) != math.Float32bits(want) && !(v != v && want != want) {
					t.Fatalf("%s%v = %v, want %v", e.name, args, v, want)
				}
			}
		}
	})
}

// FuzzRecurrence compares the wkv recurrence of RWKV-6, the read of a state and low-rank
// products with package portable.
func FuzzRecurrence(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		sizes := []int{4, 8, 16, 32, 64}
		size, heads, steps := sizes[r.IntN(len(sizes))], 1+r.IntN(2), 1+r.IntN(4)
		c := heads * size
		part := func(n int) []float32 { return fuzzFloats(t, b[r.IntN(len(b)+1):], n) }
		rr, k, v, u, w := part(steps*c), part(steps*c), part(steps*c), part(c), part(steps*c)
		portable.Decay(w, w)
		got, want := part(c*size), make([]float32, c*size)
		copy(want, got)
		large := absolute(got)
		y, plain := guard.Slice[float32](t, steps*c), make([]float32, steps*c)
		sums := make([]float32, steps*c)
		WKV6(y, got, rr, k, v, w, u, steps, c, heads, size)
		portable.WKV6(plain, want, rr, k, v, w, u, steps, c, heads, size)
		portable.WKV6(sums, large, absolute(rr), absolute(k), absolute(v), w, absolute(u), steps, c, heads, size)
		within(t, "WKV6", y, plain, sums, 2*size*steps)
		within(t, "WKV6 state", got, want, large, 2*steps)

		p, read := guard.Slice[float32](t, c), make([]float32, c)
		StateRead(p, want, rr[:c], heads, size)
		portable.StateRead(read, want, rr[:c], heads, size)
		portable.StateRead(sums[:c], absolute(want), absolute(rr[:c]), heads, size)
		within(t, "StateRead", p, read, sums[:c], size)

		n, in, out := 1+r.IntN(9), 1+r.IntN(40), 8*(1+r.IntN(24))
		x, a := part(n*in), part(in*out)
		half := guard.Slice[byte](t, 2*in*out)
		for i, v := range a {
			a[i] = max(min(v, 6e4), -6e4)
			binary.LittleEndian.PutUint16(half[2*i:], F32ToF16(a[i]))
		}
		portable.DecodeF16(a, half)
		dst, low, most := guard.Slice[float32](t, n*out), make([]float32, n*out), make([]float32, n*out)
		LowRank(dst, x, a, n, in, out, 0, out)
		portable.LowRank(low, x, a, n, in, out, 0, out)
		portable.LowRank(most, absolute(x), absolute(a), n, in, out, 0, out)
		within(t, "LowRank", dst, low, most, in)
		again := guard.Slice[float32](t, n*out)
		LowRankF16(again, x, half, n, in, out, 0, out)
		equalBits(t, "LowRankF16", again, dst)
	})
}

// FuzzAttention compares attention with package portable, and its parts with it.
func FuzzAttention(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 2))
		queries, keys, dim := 1+r.IntN(17), 1+r.IntN(40), []int{4, 8, 12, 64, 72}[r.IntN(5)]
		stride := dim + r.IntN(5)
		part := func(rows int) []float32 {
			x := fuzzFloats(t, b[r.IntN(len(b)+1):], (rows-1)*stride+dim)
			for i, v := range x {
				x[i] = max(min(v, 4), -4) // scores that softmax does not reduce to one key
			}
			return x
		}
		q, k, v := part(queries), part(keys), part(keys)
		scores, plain, most := guard.Slice[float32](t, queries*keys), make([]float32, queries*keys), make([]float32, queries*keys)
		AttentionScores(scores, q, stride, k, stride, queries, keys, dim, 0.125)
		portable.AttentionScores(plain, q, stride, k, stride, queries, keys, dim, 0.125)
		portable.AttentionScores(most, absolute(q), stride, absolute(k), stride, queries, keys, dim, 0.125)
		within(t, "AttentionScores", scores, plain, most, dim)

		for i := range queries {
			portable.Softmax(plain[i*keys:][:keys])
		}
		dst, want, sums := guard.Slice[float32](t, (queries-1)*stride+dim), make([]float32, (queries-1)*stride+dim), make([]float32, (queries-1)*stride+dim)
		AttentionValues(dst, stride, plain, v, stride, queries, keys, dim)
		portable.AttentionValues(want, stride, plain, v, stride, queries, keys, dim)
		portable.AttentionValues(sums, stride, plain, absolute(v), stride, queries, keys, dim)
		within(t, "AttentionValues", dst, want, sums, keys)

		Attention(dst, stride, q, stride, k, v, stride, queries, keys, dim, 0.125, scores)
		for i, w := range want {
			// The scores' errors, at most 1e-5 or so, are relative ones of the weights.
			if d := math.Abs(float64(dst[i] - w)); !(d <= 1e-4*(4+math.Abs(float64(w)))) {
				t.Fatalf("Attention: value %d is %v, portable %v", i, dst[i], w)
			}
		}
	})
}
