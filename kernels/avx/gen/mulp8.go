//go:build ignore

package main

import "fmt"

// shape is a tile of t vectors and r row tiles. With few of them u accumulators take
// turns at each sum, so that its latency does not bind.
type shape struct{ t, r, u int }

// One vector streams four row tiles side by side: memory answers more requests at a time.
var p8VNNI = []shape{
	{1, 1, 4}, {1, 4, 2}, {2, 1, 4}, {2, 2, 2}, {3, 1, 4}, {3, 2, 2}, {4, 1, 4}, {4, 2, 2},
	{8, 1, 2}, {8, 2, 1}, {12, 1, 1}, {12, 2, 1},
}

// tilesAVX2 are the numbers of vectors that there are tiles for.
var tilesAVX2 = []int{1, 2, 3, 4, 12}

// unroll is the number of units in one turn of the inner loop.
func (s shape) unroll() int { return max(2, s.u) }

func (s shape) name(base string) string { return fmt.Sprintf("%sx%dr%dVNNI", base, s.t, s.r) }

// How far weights are prefetched, in bytes. With AVX-512 no difference could be measured
// between 4096 and 16384. With AVX2 one vector and a matrix in memory get 98 % of the read
// bandwidth of a Zen 4 core with 256, 90 % with 512, 75 % from 768 to 8192.
const (
	ahead     = 4096
	aheadAVX2 = 256
)

// General registers, the same in all tiles.
const (
	rDst, rStride = "DI", "R12" // the strip's rows of the first vector; bytes to the next
	rW, rPitchW   = "SI", "R13" // weights; bytes from a row tile to the next
	rWS, rPitchWS = "R8", "R14" // their scales
	rQ, rScale    = "R9", "R10" // activations and their scales
	rSum          = "R11"
	rCols         = "BX" // columns left
	rCount, rTmp  = "CX", "AX"
	rPitchW3      = "R15" // 3*rPitchW
	rWG           = "DX"  // P4, AVX-512: group scales
)

func mulP8(f, stubs *file) {
	f.text(`
// Result lane t of the sums of a block; VPERMD spreads it over a register.
DATA lanes<>+0(SB)/4, $0
DATA lanes<>+4(SB)/4, $1
DATA lanes<>+8(SB)/4, $2
DATA lanes<>+12(SB)/4, $3
DATA lanes<>+16(SB)/4, $4
DATA lanes<>+20(SB)/4, $5
DATA lanes<>+24(SB)/4, $6
DATA lanes<>+28(SB)/4, $7
DATA lanes<>+32(SB)/4, $8
DATA lanes<>+36(SB)/4, $9
DATA lanes<>+40(SB)/4, $10
DATA lanes<>+44(SB)/4, $11
GLOBL lanes<>(SB), RODATA|NOPTR, $48

DATA signs<>+0(SB)/4, $0x80808080
GLOBL signs<>(SB), RODATA|NOPTR, $4

DATA words<>+0(SB)/8, $0x0001000100010001
DATA words<>+8(SB)/8, $0x0001000100010001
DATA words<>+16(SB)/8, $0x0001000100010001
DATA words<>+24(SB)/8, $0x0001000100010001
GLOBL words<>(SB), RODATA|NOPTR, $32

// AVX-512 VNNI. VPDPBUSD multiplies unsigned with signed bytes: weights are flipped to
// w+128, and a block's sums start at -128*Σx.
`)
	for _, s := range p8VNNI {
		s.p8VNNI(f, stubs)
	}
	f.text(`
// AVX2. VPMADDUBSW multiplies |w| with x, negated where w is negative, and VPMADDWD adds
// the pairs. VPSIGNB would negate, but competes with both for two of the four pipes of Zen:
// from two vectors on VPXOR does, on any pipe. It gives -x-1, and |w| times that lacks |w|,
// which is the same for all vectors: the sum of |w| over the negative weights is taken as
// that of another vector, of zeros, and put back at the end of a block. Pairs of products
// are within -2*128*128 and 2*128*127, the words of that sum above 64*-2*128: nothing
// saturates.
`)
	for _, t := range tilesAVX2 {
		p8AVX2(f, stubs, t)
	}
}

func (s shape) p8VNNI(f, stubs *file) {
	f.begin(stubs, s.name("mulP8"), []argument{
		{"dst", "*float32", rDst}, {"stride", "int", rStride}, {"w", "*byte", rW}, {"ws", "*byte", rWS},
		{"q", "*int8", rQ}, {"scale", "*float32", rScale}, {"sum", "*int32", rSum}, {"cols", "int", rCols},
	})
	n := s.t * s.r // sums
	acc := func(u, r, t int) string { return reg("Z", u*n+r*s.t+t) }
	w := func(r int) string { return reg("Z", s.u*n+r) }
	x, signs, zero := "Z29", "Z30", "Z31"
	f.op("VPBROADCASTD", "signs<>(SB)", signs)
	f.op("VPXORD", zero, zero, zero)
	if s.t > 1 {
		f.op("MOVQ", fmt.Sprintf("$%#x", 1<<s.t-1), rTmp)
		f.op("KMOVQ", rTmp, "K1")
	}
	f.pitches(s.r, 4)
	f.clearDst(s, zero)

	f.label("block")
	f.blockCols()
	f.op("VPXORD", x, x, x)
	f.op("MOVQ", rCount, rTmp)
	f.op("SHRQ", "$5", rTmp)
	f.label("sums")
	if s.t > 1 {
		f.op("VPADDD", at(0, rSum), x, "K1", x)
	} else {
		f.op("VMOVD", at(0, rSum), "X28")
		f.op("VPADDD", "X28", "X29", "X29")
	}
	f.op("ADDQ", fmt.Sprintf("$%d", 4*s.t), rSum)
	f.op("DECQ", rTmp)
	f.op("JNZ", "sums")
	f.op("VPSLLD", "$7", x, x)
	f.op("VPSUBD", x, zero, x)
	for t := range s.t {
		if s.t == 1 {
			f.op("VPBROADCASTD", "X29", acc(0, 0, 0))
		} else {
			f.op("VPBROADCASTD", fmt.Sprintf("lanes<>+%d(SB)", 4*t), acc(0, 0, t))
			f.op("VPERMD", x, acc(0, 0, t), acc(0, 0, t))
		}
		for r := 1; r < s.r; r++ {
			f.op("VMOVDQA64", acc(0, 0, t), acc(0, r, t))
		}
	}
	for u := 1; u < s.u; u++ {
		for i := range n {
			f.op("VPXORD", acc(u, 0, i), acc(u, 0, i), acc(u, 0, i))
		}
	}
	f.op("SHRQ", fmt.Sprintf("$%d", 1+log2(2*s.unroll())), rCount)

	f.label("units")
	for i := range s.unroll() {
		u := i % s.u
		for r := range s.r {
			f.op("PREFETCHT0", at(64*i+ahead, rW, index(r, rPitchW)))
			f.op("VPXORD", at(64*i, rW, index(r, rPitchW)), signs, w(r))
		}
		for t := range s.t {
			if s.r == 1 {
				f.op("VPDPBUSD.BCST", at(4*(i*s.t+t), rQ), w(0), acc(u, 0, t))
				continue
			}
			f.op("VPBROADCASTD", at(4*(i*s.t+t), rQ), x)
			for r := range s.r {
				f.op("VPDPBUSD", x, w(r), acc(u, r, t))
			}
		}
	}
	f.op("ADDQ", fmt.Sprintf("$%d", 64*s.unroll()), rW)
	f.op("ADDQ", fmt.Sprintf("$%d", 4*s.t*s.unroll()), rQ)
	f.op("DECQ", rCount)
	f.op("JNZ", "units")

	for i := range n {
		for half := s.u / 2; half > 0; half /= 2 {
			for u := range half {
				f.op("VPADDD", acc(u+half, 0, i), acc(u, 0, i), acc(u, 0, i))
			}
		}
	}
	f.finish(s, func(r, t int) string { return acc(0, r, t) }, w)
	f.op("TESTQ", rCols, rCols)
	f.op("JNZ", "block")
	f.end()
}

// pitches computes the distance between row tiles, of weights with units of 64 bytes
// for unitCols columns and of their scales.
func (f *file) pitches(r, unitCols int) {
	if r == 1 {
		return
	}
	f.op("MOVQ", rCols, rPitchW)
	f.op("SHLQ", fmt.Sprintf("$%d", log2(64/unitCols)), rPitchW)
	f.op("LEAQ", at(255, rCols), rPitchWS)
	f.op("SHRQ", "$8", rPitchWS)
	f.op("SHLQ", "$5", rPitchWS)
	if r == 4 {
		f.op("LEAQ", at(0, rPitchW, rPitchW+"*2"), rPitchW3)
	}
}

// clearDst zeroes the result, which then grows by a block at a time.
func (f *file) clearDst(s shape, zero string) {
	f.op("MOVQ", rDst, rTmp)
	for t := range s.t {
		for r := range s.r {
			f.op("VMOVUPS", zero, at(64*r, rTmp))
		}
		if t+1 < s.t {
			f.op("ADDQ", rStride, rTmp)
		}
	}
}

// blockCols takes the columns of the next block, into rCount.
func (f *file) blockCols() {
	f.op("MOVQ", "$256", rCount)
	f.op("CMPQ", rCols, rCount)
	f.op("CMOVQLT", rCols, rCount)
	f.op("SUBQ", rCount, rCols)
}

// finish adds the block's integer sums, scaled, to the result and moves on to the next
// block's scales.
func (f *file) finish(s shape, acc func(r, t int) string, ws func(r int) string) {
	for r := range s.r {
		if r == 3 {
			f.op("LEAQ", at(0, rWS, rPitchWS+"*2"), rTmp)
			f.op("VCVTPH2PS", at(0, rTmp, rPitchWS+"*1"), ws(3))
			continue
		}
		f.op("VCVTPH2PS", at(0, rWS, index(r, rPitchWS)), ws(r))
	}
	f.op("MOVQ", rDst, rTmp)
	for t := range s.t {
		for r := range s.r {
			f.op("VCVTDQ2PS", acc(r, t), acc(r, t))
			f.op("VMULPS.BCST", at(4*t, rScale), ws(r), "Z29")
			f.op("VMULPS", "Z29", acc(r, t), acc(r, t))
			f.op("VADDPS", at(64*r, rTmp), acc(r, t), acc(r, t))
			f.op("VMOVUPS", acc(r, t), at(64*r, rTmp))
		}
		if t+1 < s.t {
			f.op("ADDQ", rStride, rTmp)
		}
	}
	f.op("ADDQ", "$32", rWS)
	f.op("ADDQ", fmt.Sprintf("$%d", 4*s.t), rScale)
}

// index is the index register with factor for row tile r: for the fourth, of weights.
func index(r int, pitch string) string {
	if r == 0 {
		return ""
	}
	if r == 3 {
		return rPitchW3 + "*1"
	}
	return fmt.Sprintf("%s*%d", pitch, r)
}

func log2(n int) (l int) {
	for ; n > 1; n /= 2 {
		l++
	}
	return l
}

// p8AVX2 writes a tile of t vectors and 16 rows in two halves, or, for eight vectors and
// more, 8 rows: dst, w and ws then begin at either half of a row tile.
func p8AVX2(f, stubs *file, t int) {
	f.begin(stubs, fmt.Sprintf("mulP8x%dAVX2", t), []argument{
		{"dst", "*float32", rDst}, {"stride", "int", rStride}, {"w", "*byte", rW}, {"ws", "*byte", rWS},
		{"q", "*int8", rQ}, {"scale", "*float32", rScale}, {"cols", "int", rCols},
	})
	halves := halvesAVX2(t)
	n := halves * t
	acc := func(h, v int) string { return reg("Y", h*t+v) }
	sign := func(h int) string { return reg("Y", n+3*h) }
	abs := func(h int) string { return reg("Y", n+3*h+1) }
	negative := func(h int) string { return reg("Y", n+3*h+2) }
	p := reg("Y", n+3*halves)
	x := p // a broadcast that no other half uses
	if halves == 2 {
		x = reg("Y", n+3*halves+1)
	}
	f.clearHalves(t, halves)

	f.label("block")
	f.blockCols()
	for h := range halves {
		for v := range t {
			f.op("VPXOR", acc(h, v), acc(h, v), acc(h, v))
		}
		if t > 1 {
			f.op("VPXOR", negative(h), negative(h), negative(h))
		}
	}
	f.op("SHRQ", "$3", rCount)

	f.label("units")
	for i := range 2 {
		f.op("PREFETCHT0", at(64*i+aheadAVX2, rW))
		for h := range halves {
			if t == 1 {
				f.op("VMOVDQU", at(64*i+32*h, rW), sign(h))
				f.op("VPABSB", sign(h), abs(h))
				continue
			}
			f.op("VMOVDQU", at(64*i+32*h, rW), abs(h))
			f.op("VPXOR", p, p, p)
			f.op("VPCMPGTB", abs(h), p, sign(h))
			f.op("VPABSB", abs(h), abs(h))
			f.op("VPMADDUBSW", sign(h), abs(h), p)
			f.op("VPADDW", p, negative(h), negative(h))
		}
		for v := range t {
			f.op("VPBROADCASTD", at(4*(i*t+v), rQ), x)
			for h := range halves {
				if t == 1 {
					f.op("VPSIGNB", sign(h), x, p)
				} else {
					f.op("VPXOR", sign(h), x, p)
				}
				f.op("VPMADDUBSW", p, abs(h), p)
				f.op("VPMADDWD", "words<>(SB)", p, p)
				f.op("VPADDD", p, acc(h, v), acc(h, v))
			}
		}
	}
	f.op("ADDQ", "$128", rW)
	f.op("ADDQ", fmt.Sprintf("$%d", 8*t), rQ)
	f.op("DECQ", rCount)
	f.op("JNZ", "units")

	for h := range halves {
		if t == 1 {
			break
		}
		f.op("VPMADDWD", "words<>(SB)", negative(h), negative(h))
		for v := range t {
			f.op("VPSUBD", negative(h), acc(h, v), acc(h, v))
		}
	}
	f.finishHalves(t, halves, acc)
	f.op("TESTQ", rCols, rCols)
	f.op("JNZ", "block")
	f.end()
}

// halvesAVX2 is the number of halves of a row tile that a tile of t vectors does at a time.
func halvesAVX2(t int) int {
	if t < 8 {
		return 2
	}
	return 1
}

// clearHalves and finishHalves are clearDst and finish for halves of a row tile.
func (f *file) clearHalves(t, halves int) {
	f.op("VXORPS", "Y0", "Y0", "Y0")
	f.op("MOVQ", rDst, rTmp)
	for v := range t {
		for h := range halves {
			f.op("VMOVUPS", "Y0", at(32*h, rTmp))
		}
		if v+1 < t {
			f.op("ADDQ", rStride, rTmp)
		}
	}
}

func (f *file) finishHalves(t, halves int, acc func(h, v int) string) {
	for h := range halves {
		f.op("VCVTPH2PS", at(16*h, rWS), reg("Y", 13+h))
	}
	f.op("MOVQ", rDst, rTmp)
	for v := range t {
		for h := range halves {
			f.op("VBROADCASTSS", at(4*v, rScale), "Y15")
			f.op("VCVTDQ2PS", acc(h, v), acc(h, v))
			f.op("VMULPS", reg("Y", 13+h), "Y15", "Y15")
			f.op("VMULPS", "Y15", acc(h, v), acc(h, v))
			f.op("VADDPS", at(32*h, rTmp), acc(h, v), acc(h, v))
			f.op("VMOVUPS", acc(h, v), at(32*h, rTmp))
		}
		if v+1 < t {
			f.op("ADDQ", rStride, rTmp)
		}
	}
	f.op("ADDQ", "$32", rWS)
	f.op("ADDQ", fmt.Sprintf("$%d", 4*t), rScale)
}
