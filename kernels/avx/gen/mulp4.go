//go:build ignore

package main

import "fmt"

var p4VNNI = []shape{
	{1, 1, 2}, {1, 4, 2}, {2, 1, 2}, {2, 2, 2}, {3, 1, 2}, {3, 2, 1}, {4, 1, 2}, {4, 2, 1}, {8, 1, 1}, {12, 1, 1},
}

func mulP4(f, stubs *file) {
	f.text(`
DATA nibbles<>+0(SB)/4, $0x0f0f0f0f
GLOBL nibbles<>(SB), RODATA|NOPTR, $4

// -8 in the low word: times Σx, of which the low word is all that counts.
DATA bias<>+0(SB)/4, $0x0000fff8
GLOBL bias<>(SB), RODATA|NOPTR, $4

// The same for each dword of a register.
DATA minus8<>+0(SB)/8, $0x0000fff80000fff8
DATA minus8<>+8(SB)/8, $0x0000fff80000fff8
DATA minus8<>+16(SB)/8, $0x0000fff80000fff8
DATA minus8<>+24(SB)/8, $0x0000fff80000fff8
GLOBL minus8<>(SB), RODATA|NOPTR, $32

// By how much the scales of the even and of the odd group are shifted.
DATA shifts<>+0(SB)/8, $0
DATA shifts<>+8(SB)/8, $0
DATA shifts<>+16(SB)/8, $4
DATA shifts<>+24(SB)/8, $0
GLOBL shifts<>(SB), RODATA|NOPTR, $32

// AVX-512 VNNI. A group's sums start at -8*Σx and end within ±32512, a signed word: one
// VPDPWSSD multiplies the low words by the group scales and adds to the block's sums;
// the high words meet zeros.
`)
	for _, s := range p4VNNI {
		s.p4VNNI(f, stubs)
	}
	f.text(`
// AVX2. A group's two words of a row start at -8*Σx and 0. Pairs of products are at most
// 2*15*127, eight of them ±30480: the second word fits, and so does the first when complete,
// within ±32512. VPMADDWD by the group scale adds the two. From three vectors on the sums of
// a block are in tmp, for which there are no registers.
`)
	for _, t := range tilesAVX2 {
		p4AVX2(f, stubs, t)
	}
}

func (s shape) p4VNNI(f, stubs *file) {
	f.begin(stubs, s.name("mulP4"), []argument{
		{"dst", "*float32", rDst}, {"stride", "int", rStride}, {"w", "*byte", rW}, {"ws", "*byte", rWS}, {"wg", "*byte", rWG},
		{"q", "*int8", rQ}, {"scale", "*float32", rScale}, {"sum", "*int32", rSum}, {"cols", "int", rCols},
	})
	n := s.t * s.r
	total := func(r, t int) string { return reg("Z", r*s.t+t) }
	group := func(u, r, t int) string { return reg("Z", (1+u)*n+r*s.t+t) }
	next := (1 + s.u) * n
	lo := func(r int) string { return reg("Z", next+r) }
	hi := func(r int) string { return reg("Z", next+s.r+r) }
	gs := func(r int) string { return reg("Z", next+2*s.r+r) }
	const x, nibbles, bias = "Z29", "Z30", "Z31"
	f.op("VPBROADCASTD", "nibbles<>(SB)", nibbles)
	f.op("VPBROADCASTD", "bias<>(SB)", bias)
	f.op("VPXORD", x, x, x)
	f.pitches(s.r, 8)
	f.clearDst(s, x)

	f.label("block")
	f.blockCols()
	for i := range n {
		f.op("VPXORD", total(0, i), total(0, i), total(0, i))
	}
	f.op("SHRQ", "$6", rCount)

	f.label("pair")
	f.op("VPMOVZXBD", at(0, rWG), gs(0))
	if s.r > 1 {
		f.op("MOVQ", rPitchW, rTmp)
		f.op("SHRQ", "$5", rTmp)
		f.op("VPMOVZXBD", at(0, rWG, rTmp+"*1"), gs(1))
	}
	if s.r == 4 {
		f.op("VPMOVZXBD", at(0, rWG, rTmp+"*2"), gs(2))
		f.op("LEAQ", at(0, rTmp, rTmp+"*2"), rTmp)
		f.op("VPMOVZXBD", at(0, rWG, rTmp+"*1"), gs(3))
	}
	f.op("MOVQ", "$2", rTmp)

	f.label("group")
	for t := range s.t {
		f.op("VPXORD", group(0, 0, t), group(0, 0, t), group(0, 0, t))
		f.op("VPDPWSSD.BCST", at(4*t, rSum), bias, group(0, 0, t))
		for r := 1; r < s.r; r++ {
			f.op("VMOVDQA64", group(0, 0, t), group(0, r, t))
		}
	}
	if s.u == 2 {
		for i := range n {
			f.op("VPXORD", group(1, 0, i), group(1, 0, i), group(1, 0, i))
		}
	}
	for i := range 4 {
		for r := range s.r {
			f.op("PREFETCHT0", at(64*i+ahead, rW, index(r, rPitchW)))
			f.op("VMOVDQU64", at(64*i, rW, index(r, rPitchW)), lo(r))
			f.op("VPSRLW", "$4", lo(r), hi(r))
			f.op("VPANDD", nibbles, lo(r), lo(r))
			f.op("VPANDD", nibbles, hi(r), hi(r))
		}
		for part, weights := range []func(int) string{lo, hi} {
			for t := range s.t {
				q := at(4*((2*i+part)*s.t+t), rQ)
				if s.r == 1 {
					f.op("VPDPBUSD.BCST", q, weights(0), group(part%s.u, 0, t))
					continue
				}
				f.op("VPBROADCASTD", q, x)
				for r := range s.r {
					f.op("VPDPBUSD", x, weights(r), group(part%s.u, r, t))
				}
			}
		}
	}
	for r := range s.r {
		f.op("VPANDD", nibbles, gs(r), lo(r))
		f.op("VPSRLD", "$4", gs(r), gs(r))
		for t := range s.t {
			if s.u == 2 {
				f.op("VPADDD", group(1, r, t), group(0, r, t), group(0, r, t))
			}
			f.op("VPDPWSSD", lo(r), group(0, r, t), total(r, t))
		}
	}
	f.op("ADDQ", "$256", rW)
	f.op("ADDQ", fmt.Sprintf("$%d", 32*s.t), rQ)
	f.op("ADDQ", fmt.Sprintf("$%d", 4*s.t), rSum)
	f.op("DECQ", rTmp)
	f.op("JNZ", "group")
	f.op("ADDQ", "$16", rWG)
	f.op("DECQ", rCount)
	f.op("JNZ", "pair")

	f.finish(s, total, lo)
	f.op("TESTQ", rCols, rCols)
	f.op("JNZ", "block")
	f.end()
}

// p4AVX2 writes a tile of t vectors and 16 rows in two halves, or, for eight vectors and
// more, 8 rows: dst, w, ws and wg then begin at either half of a row tile. tmp has room for
// the sums, aligned to 32 bytes.
func p4AVX2(f, stubs *file, t int) {
	const wg, end, tmp = "R13", "R14", "DX"
	f.begin(stubs, fmt.Sprintf("mulP4x%dAVX2", t), []argument{
		{"dst", "*float32", rDst}, {"stride", "int", rStride}, {"w", "*byte", rW}, {"ws", "*byte", rWS}, {"wg", "*byte", wg},
		{"q", "*int8", rQ}, {"scale", "*float32", rScale}, {"sum", "*int32", rSum}, {"cols", "int", rCols}, {"tmp", "*int32", tmp},
	})
	halves := halvesAVX2(t)
	n := halves * t
	words := func(h, v int) string { return reg("Y", h*t+v) }
	next := n
	total := func(h, v int) string { return at(32*(h*t+v), tmp) }
	if t <= 2 {
		total = func(h, v int) string { return reg("Y", n+h*t+v) }
		next += n
	}
	lo := func(h int) string { return reg("Y", next+h) }
	hi := func(h int) string { return reg("Y", next+halves+h) }
	p := reg("Y", next+2*halves)
	nibbles := reg("Y", next+2*halves+1)
	x := p // a broadcast that no other half uses
	if halves == 2 {
		x = reg("Y", next+2*halves+2)
	}
	f.op("LEAQ", "shifts<>+32(SB)", end)
	f.clearHalves(t, halves)

	f.label("block")
	f.blockCols()
	f.op("VPBROADCASTD", "nibbles<>(SB)", nibbles) // finishHalves needs the register
	if t > 2 {
		f.op("VPXOR", p, p, p)
	}
	for h := range halves {
		for v := range t {
			if t > 2 {
				f.op("VMOVDQU", p, total(h, v))
			} else {
				f.op("VPXOR", total(h, v), total(h, v), total(h, v))
			}
		}
	}
	f.op("SHRQ", "$6", rCount)

	f.label("pair")
	f.op("LEAQ", "shifts<>(SB)", rTmp)
	f.label("group")
	for v := range t {
		f.op("VPBROADCASTD", at(4*v, rSum), words(0, v))
		f.op("VPMULLW", "minus8<>(SB)", words(0, v), words(0, v))
		if halves == 2 {
			f.op("VMOVDQA", words(0, v), words(1, v))
		}
	}
	for i := range 4 {
		f.op("PREFETCHT0", at(64*i+aheadAVX2, rW))
		for h := range halves {
			f.op("VMOVDQU", at(64*i+32*h, rW), lo(h))
			f.op("VPSRLW", "$4", lo(h), hi(h))
			f.op("VPAND", nibbles, lo(h), lo(h))
			f.op("VPAND", nibbles, hi(h), hi(h))
		}
		for part, weights := range []func(int) string{lo, hi} {
			for v := range t {
				f.op("VPBROADCASTD", at(4*((2*i+part)*t+v), rQ), x)
				for h := range halves {
					f.op("VPMADDUBSW", x, weights(h), p)
					f.op("VPADDW", p, words(h, v), words(h, v))
				}
			}
		}
	}
	for h := range halves {
		scale, both := lo(h), hi(h)
		f.op("VPMOVZXBD", at(8*h, wg), scale)
		f.op("VPSRLD", at(0, rTmp), scale, scale)
		f.op("VPAND", nibbles, scale, scale)
		f.op("VPSLLD", "$16", scale, both)
		f.op("VPOR", scale, both, both)
		for v := range t {
			f.op("VPMADDWD", both, words(h, v), p)
			if t > 2 {
				f.op("VPADDD", total(h, v), p, p)
				f.op("VMOVDQU", p, total(h, v))
			} else {
				f.op("VPADDD", p, total(h, v), total(h, v))
			}
		}
	}
	f.op("ADDQ", "$256", rW)
	f.op("ADDQ", fmt.Sprintf("$%d", 32*t), rQ)
	f.op("ADDQ", fmt.Sprintf("$%d", 4*t), rSum)
	f.op("ADDQ", "$16", rTmp)
	f.op("CMPQ", rTmp, end)
	f.op("JNE", "group")
	f.op("ADDQ", "$16", wg)
	f.op("DECQ", rCount)
	f.op("JNZ", "pair")

	if t > 2 {
		for h := range halves {
			for v := range t {
				f.op("VMOVDQU", total(h, v), words(h, v))
			}
		}
		total = words
	}
	f.finishHalves(t, halves, total)
	f.op("TESTQ", rCols, rCols)
	f.op("JNZ", "block")
	f.end()
}
