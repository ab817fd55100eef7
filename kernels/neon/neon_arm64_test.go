package neon

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/visualrwkv/edged/internal/guard"
	"github.com/visualrwkv/edged/kernels/portable"
)

// What has the bits of package portable. Package kernels tests products and attention.

func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) && (v == v || want[i] == want[i]) {
			t.Fatalf("%s: value %d of %d is %v, want %v", what, i, len(got), v, want[i])
		}
	}
}

// values returns n numbers of many magnitudes, with infinities, NaN and zeros among them
// if wild.
func values(t *testing.T, r *rand.Rand, n int, wild bool) []float32 {
	x := guard.Slice[float32](t, n)
	odd := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
		math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 88.8, -103.9, 0.16, -0.16, 14.5, -14.5}
	for i := range x {
		x[i] = float32(r.NormFloat64()) * float32(math.Ldexp(1, r.IntN(12)-6))
		if wild && r.IntN(8) == 0 {
			x[i] = odd[r.IntN(len(odd))]
		}
	}
	return x
}

func TestUnary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, u := range []struct {
		name     string
		f, plain func(dst, x []float32)
	}{
		{"Exp", Exp, portable.Exp}, {"Sigmoid", Sigmoid, portable.Sigmoid}, {"Tanh", Tanh, portable.Tanh},
		{"SiLU", SiLU, portable.SiLU}, {"GELU", GELU, portable.GELU}, {"GELUTanh", GELUTanh, portable.GELUTanh},
		{"QuickGELU", QuickGELU, portable.QuickGELU}, {"Decay", Decay, portable.Decay},
		{"ReLU", ReLU, portable.ReLU}, {"SquaredReLU", SquaredReLU, portable.SquaredReLU},
	} {
		for n := 0; n <= 400; n += 4 {
			x, dst, want := values(t, r, n, n%8 == 0), guard.Slice[float32](t, n), make([]float32, n)
			u.plain(want, x)
			u.f(dst, x)
			same(t, u.name, dst, want)
			u.f(x, x)
			same(t, u.name+" in place", x, want)
		}
	}
}

func TestMix(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := 0; n <= 64; n += 4 {
		for range 4 {
			a, b, c, d := values(t, r, n, true), values(t, r, n, true), values(t, r, n, true), values(t, r, n, true)
			for name, f := range map[string][2]func(dst []float32){
				"Add":     {func(y []float32) { Add(y, a, b) }, func(y []float32) { portable.Add(y, a, b) }},
				"Mul":     {func(y []float32) { Mul(y, a, b) }, func(y []float32) { portable.Mul(y, a, b) }},
				"AddMul":  {func(y []float32) { AddMul(y, a, b) }, func(y []float32) { portable.AddMul(y, a, b) }},
				"Lerp":    {func(y []float32) { Lerp(y, a, b, c) }, func(y []float32) { portable.Lerp(y, a, b, c) }},
				"LerpAdd": {func(y []float32) { LerpAdd(y, a, b, c, d) }, func(y []float32) { portable.LerpAdd(y, a, b, c, d) }},
				"Blend":   {func(y []float32) { Blend(y, a, b, c) }, func(y []float32) { portable.Blend(y, a, b, c) }},
			} {
				dst, want := guard.Copy(t, d), append([]float32(nil), d...)
				f[0](dst)
				f[1](want)
				same(t, name, dst, want)
			}
		}
	}
}

func TestNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for n := 4; n <= 260; n += 4 {
		x, w, b := values(t, r, 3*n, n%12 == 0), values(t, r, 3*n, false), values(t, r, 3*n, false)
		dst, want := guard.Slice[float32](t, 3*n), make([]float32, 3*n)
		LayerNorm(dst, x, w, b, 1e-5)
		portable.LayerNorm(want, x, w, b, 1e-5)
		same(t, "LayerNorm", dst, want)
		GroupNorm(dst, x, w, b, 3, 6.4e-4)
		portable.GroupNorm(want, x, w, b, 3, 6.4e-4)
		same(t, "GroupNorm", dst, want)
		GroupNorm(x, x, w, b, 3, 6.4e-4)
		same(t, "GroupNorm in place", x, want)
	}
}

func TestSoftmax(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for n := 1; n <= 100; n++ {
		x := values(t, r, n, n%16 == 0)
		x[r.IntN(n)] = float32(math.Inf(-1))
		want := append([]float32(nil), x...)
		portable.Softmax(want)
		Softmax(x)
		same(t, "Softmax", x, want)
	}
}

// fused returns a*b + c, rounded once. The product is exact in float64; the sum is
// rounded to odd there, which keeps the second rounding from erring.
func fused(a, b, c float32) float32 {
	p, q := float64(a)*float64(b), float64(c)
	sum := math.FMA(float64(a), float64(b), q)
	part := sum - p
	rest := (p - (sum - part)) + (q - part)
	if bits := math.Float64bits(sum); rest != 0 && bits&1 == 0 {
		if (rest > 0) == (sum > 0) {
			sum = math.Float64frombits(bits + 1)
		} else {
			sum = math.Float64frombits(bits - 1)
		}
	}
	return float32(sum)
}

// fusedWKV6 is a step of portable.WKV6 with the operations that are fused here.
func fusedWKV6(y, state, r, k, v, w, u []float32, heads, size int) {
	for h := range heads {
		var sums [8]float32
		for i := range size {
			a := h*size + i
			sums[i%8] = fused(r[a]*u[a], k[a], sums[i%8])
		}
		for i := range 4 {
			sums[i] += sums[i+4]
		}
		c := (sums[0] + sums[1]) + (sums[2] + sums[3])
		for j := range size {
			b := h*size + j
			sum := float32(c * v[b])
			for i := range size {
				a := h*size + i
				s := &state[a*size+j]
				sum = fused(r[a], *s, sum)
				*s = fused(k[a], v[b], float32(w[a]**s))
			}
			y[b] = sum
		}
	}
}

// TestWKV6 wants the bits of fusedWKV6; package kernels compares with the definition.
func TestWKV6(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, sh := range [][3]int{{1, 1, 32}, {3, 2, 64}, {2, 3, 96}, {5, 1, 128}} {
		steps, heads, size := sh[0], sh[1], sh[2]
		c := heads * size
		in := func(n int) []float32 { return values(t, r, n, false) }
		rr, k, v, w, u, state := in(steps*c), in(steps*c), in(steps*c), in(steps*c), in(c), in(c*size)
		y, wantY, want := guard.Slice[float32](t, steps*c), make([]float32, steps*c), append([]float32(nil), state...)
		one := guard.Copy(t, state)
		for i := range steps {
			a, b := i*c, (i+1)*c
			fusedWKV6(wantY[a:b], want, rr[a:b], k[a:b], v[a:b], w[a:b], u, heads, size)
			WKV6(y[a:b], one, rr[a:b], k[a:b], v[a:b], w[a:b], u, 1, c, heads, size)
		}
		same(t, "y of steps", y, wantY)
		same(t, "state of steps", one, want)
		clear(y)
		WKV6(y, state, rr, k, v, w, u, steps, c, heads, size)
		same(t, "y", y, wantY)
		same(t, "state", state, want)
		StateRead(y[:c], state, rr[:c], heads, size)
		portable.StateRead(wantY[:c], state, rr[:c], heads, size)
		same(t, "StateRead", y[:c], wantY[:c])
	}
}

// fusedWKV7 is a step of portable.WKV7 with the operations that are fused here.
func fusedWKV7(y, state, r, k, v, w, kappa, a []float32, heads, size int) {
	for h := range heads {
		for j := range size {
			b := h*size + j
			var q, sum float32
			for i := range size {
				q = fused(kappa[h*size+i], state[(h*size+i)*size+j], q)
			}
			for i := range size {
				c := h*size + i
				s := &state[c*size+j]
				*s = fused(-float32(kappa[c]*a[c]), q, float32(w[c]**s))
				*s = fused(k[c], v[b], *s)
				sum = fused(r[c], *s, sum)
			}
			y[b] = sum
		}
	}
}

// TestWKV7 wants the bits of fusedWKV7; package kernels compares with the definition.
func TestWKV7(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, sh := range [][3]int{{1, 1, 32}, {3, 2, 64}, {2, 3, 96}, {2, 1, 128}} {
		steps, heads, size := sh[0], sh[1], sh[2]
		c := heads * size
		in := func(n int) []float32 { return values(t, r, n, false) }
		rr, k, v, w, kappa, a, state := in(steps*c), in(steps*c), in(steps*c), in(steps*c), in(steps*c), in(steps*c), in(c*size)
		y, wantY, want := guard.Slice[float32](t, steps*c), make([]float32, steps*c), append([]float32(nil), state...)
		for i := range steps {
			p, q := i*c, (i+1)*c
			fusedWKV7(wantY[p:q], want, rr[p:q], k[p:q], v[p:q], w[p:q], kappa[p:q], a[p:q], heads, size)
		}
		WKV7(y, state, rr, k, v, w, kappa, a, steps, c, heads, size)
		same(t, "y", y, wantY)
		same(t, "state", state, want)
	}
}

func TestLowRank(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, sh := range [][3]int{{1, 1, 4}, {2, 5, 32}, {1, 64, 160}, {3, 33, 44}} {
		n, in, out := sh[0], sh[1], sh[2]
		x, a := values(t, r, n*in, false), values(t, r, in*out, false)
		dst, want := guard.Slice[float32](t, n*out), make([]float32, n*out)
		LowRank(dst, x, a, n, in, out, 0, out)
		portable.LowRank(want, x, a, n, in, out, 0, out)
		same(t, "LowRank", dst, want)
	}
}

func TestLowRankF16(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for _, sh := range [][3]int{{1, 5, 8}, {4, 7, 16}, {5, 64, 160}, {9, 33, 40}, {12, 1, 24}} {
		n, in, out := sh[0], sh[1], sh[2]
		x, a := values(t, r, n*in, false), guard.Slice[byte](t, 2*in*out)
		for i := range in * out {
			binary.LittleEndian.PutUint16(a[2*i:], uint16(r.Uint32())&^0x4000) // finite, below 2
		}
		dst, want := guard.Slice[float32](t, n*out), make([]float32, n*out)
		mid := r.IntN(out) &^ 7
		LowRankF16(dst, x, a, n, in, out, mid, out)
		if mid > 0 {
			LowRankF16(dst, x, a, n, in, out, 0, mid)
		}
		portable.LowRankF16(want, x, a, n, in, out, 0, out)
		same(t, "LowRankF16", dst, want)
	}
}

// TestMulFloatStrips: a row has the same bits wherever its strip begins, and those of
// half precision are those of the same weights in float32.
func TestMulFloatStrips(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for rows := 1; rows <= 9; rows++ {
		for _, cols := range []int{8, 40, 256, 264} {
			const n = 3
			half, bf := guard.Slice[byte](t, 2*rows*cols), guard.Slice[byte](t, 2*rows*cols)
			wide, wideBF := make([]float32, rows*cols), make([]float32, rows*cols)
			for i := range wide {
				v := float32(r.NormFloat64())
				h, b := portable.F32ToF16(v), portable.F32ToBF16(v)
				half[2*i], half[2*i+1], bf[2*i], bf[2*i+1] = byte(h), byte(h>>8), byte(b), byte(b>>8)
				wide[i], wideBF[i] = portable.F16ToF32(h), portable.BF16ToF32(b)
			}
			x := values(t, r, n*cols, false)
			single := bytesOf(t, wide)
			got, want, first := guard.Slice[float32](t, n*rows), make([]float32, n*rows), make([]float32, n)
			MulF32(got, rows, single, x, rows, cols, n)
			portable.MulF32(want, rows, single, x, rows, cols, n)
			for i, v := range got {
				var size float64
				for k, a := range wide[i%rows*cols:][:cols] {
					size += math.Abs(float64(a) * float64(x[i/rows*cols+k]))
				}
				if math.Abs(float64(v-want[i])) > float64(cols+2)*size*0x1p-24 {
					t.Fatalf("%dx%d: value %d is %v, portable %v", rows, cols, i, v, want[i])
				}
			}
			for row := range rows {
				MulF32(first, 1, single[4*row*cols:][:4*cols], x, 1, cols, n)
				for i, v := range first {
					same(t, "row alone", got[i*rows+row:][:1], []float32{v})
				}
			}
			MulF16(want, rows, half, x, rows, cols, n)
			same(t, "MulF16", want, got)
			MulF32(got, rows, bytesOf(t, wideBF), x, rows, cols, n)
			MulBF16(want, rows, bf, x, rows, cols, n)
			same(t, "MulBF16", want, got)
		}
	}
}

func bytesOf(t *testing.T, x []float32) []byte {
	b := guard.Slice[byte](t, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
	}
	return b
}

func TestAttention(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, dim := range []int{4, 16, 20, 64, 72} {
		for _, keys := range []int{4, 5, 6, 7, 8, 29} {
			const queries = 6
			in := func(n int) []float32 {
				x := guard.Slice[float32](t, n)
				for i := range x {
					x[i] = float32(r.NormFloat64())
				}
				return x
			}
			q, k, v := in(queries*dim), in(keys*dim), in(keys*dim)
			got, want := guard.Slice[float32](t, queries*dim), make([]float32, queries*dim)
			scores := guard.Slice[float32](t, queries*keys)
			Attention(got, dim, q, dim, k, v, dim, queries, keys, dim, 0.1, scores)
			portable.Attention(want, dim, q, dim, k, v, dim, queries, keys, dim, 0.1, scores)
			for i, a := range got {
				if !(math.Abs(float64(a-want[i])) < 1e-5) {
					t.Fatalf("dim %d, %d keys: value %d is %v, portable %v", dim, keys, i, a, want[i])
				}
			}
			for i := range queries {
				Attention(want[:dim], dim, q[i*dim:], dim, k, v, dim, 1, keys, dim, 0.1, scores)
				same(t, "row alone", got[i*dim:][:dim], want[:dim])
			}
		}
	}
}
