package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

// An implementation that computes something else than package portable on the CPU it
// has met, because of an emulator, a hypervisor that hides a feature or a broken chip,
// would make captions that look plausible and are wrong. So the one chosen proves
// itself before the first model is opened, on small inputs, within a millisecond or so;
// commands that compute nothing are spared that. When a kernel of it
// disagrees the whole implementation is given up for the next one: where one kernel
// cannot be trusted the CPU is not what its feature bits say.

// Distrusted is an implementation that failed its self-check.
type Distrusted struct {
	Backend string
	Kernel  string // the first that disagreed with package portable
}

var distrusted = sync.OnceValue(func() []Distrusted {
	at := slices.IndexFunc(implementations, func(i implementation) bool { return i.level == level })
	return settle(implementations[at:], checks())
})

// SelfCheck checks the implementation in use, the first time that it is called, and tells
// which ones were given up, and over which kernel. No kernel may run meanwhile.
func SelfCheck() []Distrusted { return slices.Clone(distrusted()) }

// settle makes the first of the implementations that agrees with the last, which is
// portable, the one in use, and returns those before it.
func settle(from []implementation, checks []check) (failed []Distrusted) {
	for _, i := range from {
		bad := slices.IndexFunc(checks, func(c check) bool { return !c.passes(i.level) })
		level = i.level
		if bad < 0 {
			break
		}
		failed = append(failed, Distrusted{i.name, checks[bad].kernel})
	}
	return failed
}

// check runs one kernel on inputs of its own and returns the result.
type check struct {
	kernel string
	run    func() []float32
}

// passes compares the kernel at a level with that of package portable. The tolerance
// is far above what the comparison policy allows and far below what a wrong kernel does.
func (c check) passes(at int) bool {
	if at == portableLevel {
		return true
	}
	level = at
	got := c.run()
	level = portableLevel
	for i, want := range c.run() {
		if d := math.Abs(float64(got[i] - want)); !(d <= 1e-4*(1+math.Abs(float64(want)))) {
			return false
		}
	}
	return true
}

func checks() []check {
	rng := rand.New(rand.NewPCG(1, 2))
	floats := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	const size = 64 // head size of the published models
	const n = 2 * size
	x, y, z, u, v := floats(n), floats(n), floats(n), floats(n), floats(n)
	state := floats(size * size)
	var halves []byte
	for _, f := range x {
		h := F32ToF16(f)
		halves = append(halves, byte(h), byte(h>>8))
	}
	w := make([]float32, n)
	sigmoid(w, v)

	result := func(f func(dst []float32)) func() []float32 {
		return func() []float32 {
			dst := make([]float32, n)
			f(dst)
			return dst
		}
	}
	var all []check
	add1 := func(kernel string, f func(dst, x []float32)) {
		all = append(all, check{kernel, result(func(dst []float32) { f(dst, x) })})
	}
	add1("Exp", exp)
	add1("Sigmoid", sigmoid)
	add1("Tanh", tanh)
	add1("SiLU", silu)
	add1("GELU", gelu)
	add1("GELUTanh", geluTanh)
	add1("QuickGELU", quickGELU)
	add1("ReLU", relu)
	add1("SquaredReLU", squaredReLU)
	add1("Decay", decay)
	add1("Softmax", func(dst, x []float32) { copy(dst, x); softmax(dst) })
	add1("Add", func(dst, x []float32) { add(dst, x, y) })
	add1("Mul", func(dst, x []float32) { mul(dst, x, y) })
	add1("AddMul", func(dst, x []float32) { addMul(dst, x, y) })
	add1("Lerp", func(dst, x []float32) { lerp(dst, x, y, z) })
	add1("LerpAdd", func(dst, x []float32) { lerpAdd(dst, x, y, z, u) })
	add1("Blend", func(dst, x []float32) { blend(dst, x, y, z) })
	add1("LayerNorm", func(dst, x []float32) { layerNorm(dst, x, y, z, 1e-5) })
	add1("GroupNorm", func(dst, x []float32) { groupNorm(dst, x, y, z, n/size, 64e-5) })
	add1("LowRank", func(dst, x []float32) { lowRank(dst[:16], x[:8], y, 1, 8, 16, 0, 16) })
	add1("LowRankF16", func(dst, x []float32) { lowRankF16(dst[:80], x[:40], halves, 5, 8, 16, 0, 16) })
	add1("StateRead", func(dst, x []float32) { stateRead(dst[:size], state, x[:size], 1, size) })
	all = append(all, check{"WKV6", func() []float32 {
		dst, s := make([]float32, size), slices.Clone(state)
		wkv6(dst, s, x[:size], y[:size], z[:size], w[:size], u[:size], 1, size, 1, size)
		return append(dst, s...)
	}})
	all = append(all, check{"WKV7", func() []float32 {
		dst, s := make([]float32, size), slices.Clone(state)
		wkv7(dst, s, x[:size], y[:size], z[:size], w[:size], u[:size], v[:size], 1, size, 1, size)
		return append(dst, s...)
	}})
	all = append(all, rowChecks(floats)...)
	return append(append(all, imageChecks(rng)...), packedChecks(rng, floats)...)
}

// rowChecks are products of rows that are not packed, and attention, which is made of such:
// whole tiles, and vectors and rows beyond them.
func rowChecks(floats func(int) []float32) []check {
	const rows, cols, n = 9, 64, 10
	x, w := floats(n*cols), floats(rows*cols)
	wide, halves, upper := make([]byte, 4*len(w)), make([]byte, 2*len(w)), make([]byte, 2*len(w))
	for i, v := range w {
		bits := math.Float32bits(v)
		binary.LittleEndian.PutUint32(wide[4*i:], bits)
		binary.LittleEndian.PutUint16(halves[2*i:], F32ToF16(v))
		binary.LittleEndian.PutUint16(upper[2*i:], uint16(bits>>16))
	}
	var all []check
	product := func(kernel string, f func(dst []float32)) {
		all = append(all, check{kernel, func() []float32 {
			dst := make([]float32, n*rows)
			f(dst)
			return dst
		}})
	}
	product("MulF32", func(dst []float32) { mulF32(dst, rows, wide, x, rows, cols, n) })
	product("MulF16", func(dst []float32) { mulF16(dst, rows, halves, x, rows, cols, n) })
	product("MulBF16", func(dst []float32) { mulBF16(dst, rows, upper, x, rows, cols, n) })

	q, scale, sum := make([]int8, n*cols), make([]float32, n*cols/Block), make([]int32, n*cols/Block)
	acts := func() { quantizeActs(q, scale, sum, x) }
	all = append(all, check{"QuantizeActs", func() []float32 {
		acts()
		return widen(widen(scale, q), sum)
	}})
	// A block is its scale in half precision and signed bytes, or pairs of four bits.
	blocks := func(size int) []byte {
		b := make([]byte, rows*cols/Block*size)
		for i := range b {
			b[i] = byte(int8(40 * w[i%len(w)]))
		}
		for i := 0; i < len(b); i += size {
			binary.LittleEndian.PutUint16(b[i:], F32ToF16(w[i%len(w)]))
		}
		return b
	}
	q8, q4 := blocks(Q8Bytes), blocks(Q4Bytes)
	product("MulQ8", func(dst []float32) { acts(); mulQ8(dst, rows, q8, q, scale, sum, rows, cols, n) })
	product("MulQ4", func(dst []float32) { acts(); mulQ4(dst, rows, q4, q, scale, sum, rows, cols, n) })

	const queries, keys = n, rows
	all = append(all, check{"Attention", func() []float32 {
		dst, scores := make([]float32, queries*cols), make([]float32, queries*keys)
		attention(dst, cols, x, cols, w, w, cols, queries, keys, cols, 0.125, scores)
		return dst
	}}, check{"AttentionScores", func() []float32 {
		scores := make([]float32, queries*keys)
		attentionScores(scores, x, cols, w, cols, queries, keys, cols, 0.125)
		return scores
	}}, check{"AttentionValues", func() []float32 {
		dst := make([]float32, queries*cols)
		attentionValues(dst, cols, x[:queries*keys], w, cols, queries, keys, cols)
		return dst
	}})
	return all
}

// imageChecks are rows of whole registers and some samples more.
func imageChecks(rng *rand.Rand) []check {
	const n = 44
	src := make([]uint8, 16*n)
	for i := range src {
		src[i] = uint8(rng.Uint32())
	}
	w := make([]int16, TapsLen(5))
	SplitTaps(w, []int32{-1 << 19, 1<<20 - 7, 1<<21 + 5, 1<<20 + 1, 1<<19 + 1})
	var all []check
	bytes := func(kernel string, size int, f func(dst []uint8)) {
		all = append(all, check{kernel, func() []float32 {
			dst := make([]uint8, size)
			f(dst)
			return widen(nil, dst)
		}})
	}
	bytes("YUYVToRGB", 3*n, func(dst []uint8) { yuyvToRGB(dst, src[:2*n], false) })
	bytes("UYVYToRGB", 3*n, func(dst []uint8) { uyvyToRGB(dst, src[:2*n], true) })
	bytes("NV12ToRGB", 3*n, func(dst []uint8) { nv12ToRGB(dst, src[:n], src[n:2*n], false) })
	bytes("I420ToRGB", 3*n, func(dst []uint8) { i420ToRGB(dst, src[:n], src[n:][:n/2], src[2*n:][:n/2], true) })
	bytes("GreyToRGB", 3*n, func(dst []uint8) { greyToRGB(dst, src[:n]) })
	bytes("Resample", n, func(dst []uint8) { resample(dst, src, n, 5, w) })
	bytes("Transpose", 16*n, func(dst []uint8) { transpose(dst, 16, src, n, 16, n) })
	norm := NewNorm([3]float32{.485, .456, .406}, [3]float32{.229, .224, .225})
	all = append(all, check{"Normalize", func() []float32 {
		dst := make([]float32, 3*40)
		Normalize(dst[:40], dst[40:80], dst[80:], src[:3*40], norm)
		return dst
	}})
	return all
}

// packedChecks cover a whole block of columns and a short one. The tiles left out use
// the same instructions.
func packedChecks(rng *rand.Rand, floats func(int) []float32) []check {
	const rows, cols, blocks = PackRows, PackBlock + 2*PackGroup, 2
	p8, p4, groups := make([]byte, rows*cols), make([]byte, rows*cols/2), make([]byte, rows*cols/64)
	for i := range p8 {
		p8[i] = byte(rng.IntN(255) - 127)
	}
	for i := range p4 {
		p4[i] = byte(1+rng.IntN(15)) | byte(1+rng.IntN(15))<<4
	}
	for i := range groups {
		groups[i] = byte(1+rng.IntN(15)) | byte(1+rng.IntN(15))<<4
	}
	var scales []byte
	for range blocks * rows {
		h := F32ToF16(rng.Float32() + 0.5)
		scales = append(scales, byte(h), byte(h>>8))
	}
	x := floats(MaxTile * cols)
	all := []check{{"UnpackP4", func() []float32 {
		dst := make([]int8, rows*cols)
		unpackP4(dst, p4, groups, rows, cols)
		return widen(nil, dst)
	}}}
	for _, t := range []int{1, 4, MaxTile} {
		tile := func() (q []int8, scale []float32, sum []int32) {
			q, scale, sum = make([]int8, t*cols), make([]float32, t*blocks), make([]int32, t*cols/PackGroup)
			quantizeTile(q, scale, sum, x[:t*cols], cols, t)
			return q, scale, sum
		}
		all = append(all, check{"QuantizeTile", func() []float32 {
			q, scale, sum := tile()
			return widen(widen(scale, q), sum)
		}}, check{"MulP8", func() []float32 {
			q, scale, sum := tile()
			dst := make([]float32, t*rows)
			mulP8(dst, rows, p8, scales, q, scale, sum, rows, cols, t)
			return dst
		}}, check{"MulP4", func() []float32 {
			q, scale, sum := tile()
			dst := make([]float32, t*rows)
			mulP4(dst, rows, p4, scales, groups, q, scale, sum, rows, cols, t)
			return dst
		}})
	}
	return all
}

func widen[T int8 | uint8 | int32](dst []float32, x []T) []float32 {
	for _, v := range x {
		dst = append(dst, float32(v))
	}
	return dst
}
