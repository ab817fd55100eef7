#include "go_asm.h"
#include "textflag.h"

// Where the bytes of eight pixels come from: of R0-R7 G0-G7 and of B0-B7 twice, for the
// first 16 bytes and the last eight.
DATA red<>+0(SB)/8, $0x0a02800901800800
DATA red<>+8(SB)/8, $0x05800c04800b0380
DATA red<>+16(SB)/8, $0x800f07800e06800d
DATA red<>+24(SB)/8, $0x8080808080808080
GLOBL red<>(SB), RODATA|NOPTR, $32

DATA blue<>+0(SB)/8, $0x8080018080008080
DATA blue<>+8(SB)/8, $0x8004808003808002
DATA blue<>+16(SB)/8, $0x0780800680800580
DATA blue<>+24(SB)/8, $0x8080808080808080
GLOBL blue<>(SB), RODATA|NOPTR, $32

// Words of U and V out of words of both in turn; those of U double words too.
DATA even<>+0(SB)/8, $0x0504050401000100
DATA even<>+8(SB)/8, $0x0d0c0d0c09080908
GLOBL even<>(SB), RODATA|NOPTR, $16

DATA odd<>+0(SB)/8, $0x0706070603020302
DATA odd<>+8(SB)/8, $0x0f0e0f0e0b0a0b0a
GLOBL odd<>(SB), RODATA|NOPTR, $16

// Grey, three times each.
DATA three<>+0(SB)/8, $0x0202010101000000
DATA three<>+8(SB)/8, $0x0504040403030302
DATA three<>+16(SB)/8, $0x0707070606060505
DATA three<>+24(SB)/8, $0x0a0a090909080808
DATA three<>+32(SB)/8, $0x0d0c0c0c0b0b0b0a
DATA three<>+40(SB)/8, $0x0f0f0f0e0e0e0d0d
GLOBL three<>(SB), RODATA|NOPTR, $48

DATA c128<>+0(SB)/4, $0x00800080
GLOBL c128<>(SB), RODATA|NOPTR, $4

// PART makes words of two sums of 32 bits, which lack half and their whole multiples of y,
// u and v.
#define PART(LO, HI, OUT) \
	VPADDD    Y12, LO, LO  \
	VPADDD    Y12, HI, HI  \
	VPSRAD    $16, LO, LO  \
	VPSRAD    $16, HI, HI  \
	VPACKSSDW HI, LO, OUT

// RGB converts 16 pixels, words of Y in Y0, of U in Y1 and of V in Y2, to 48 bytes at DI.
// R8 are the factors, Y11 black, Y12 half, Y13 to Y15 R, G and B.
#define RGB \
	VPSUBW       Y11, Y0, Y0                  \
	VPSUBW       Y10, Y1, Y1                  \
	VPSUBW       Y10, Y2, Y2                  \
	VPUNPCKLWD   Y2, Y0, Y3                   \
	VPUNPCKHWD   Y2, Y0, Y4                   \
	VPUNPCKLWD   Y1, Y0, Y5                   \
	VPUNPCKHWD   Y1, Y0, Y6                   \
	VPMADDWD     Y13, Y3, Y7                  \
	VPMADDWD     Y13, Y4, Y8                  \
	PART(Y7, Y8, Y9)                          \
	VPMADDWD     Y14, Y3, Y3                  \
	VPMADDWD     Y14, Y4, Y4                  \
	VPBROADCASTD yuvFactors_gu(R8), Y8        \
	VPMADDWD     Y8, Y5, Y7                   \
	VPMADDWD     Y8, Y6, Y8                   \
	VPADDD       Y7, Y3, Y3                   \
	VPADDD       Y8, Y4, Y4                   \
	PART(Y3, Y4, Y7)                          \
	VPMADDWD     Y15, Y5, Y5                  \
	VPMADDWD     Y15, Y6, Y6                  \
	PART(Y5, Y6, Y8)                          \
	VPBROADCASTD yuvFactors_rvWhole(R8), Y3   \
	VPMULLW      Y3, Y2, Y3                   \
	VPADDW       Y0, Y9, Y9                   \
	VPADDW       Y3, Y9, Y9                   \
	VPADDW       Y0, Y7, Y7                   \
	VPSUBW       Y2, Y7, Y7                   \
	VPADDW       Y0, Y8, Y8                   \
	VPADDW       Y1, Y8, Y8                   \
	VPADDW       Y1, Y8, Y8                   \
	VPACKUSWB    Y7, Y9, Y7                   \
	VPACKUSWB    Y8, Y8, Y8                   \
	VBROADCASTI128 red<>(SB), Y0              \
	VBROADCASTI128 blue<>(SB), Y1             \
	VBROADCASTI128 red<>+16(SB), Y2           \
	VBROADCASTI128 blue<>+16(SB), Y3          \
	VPSHUFB      Y0, Y7, Y0                   \
	VPSHUFB      Y1, Y8, Y1                   \
	VPSHUFB      Y2, Y7, Y2                   \
	VPSHUFB      Y3, Y8, Y3                   \
	VPOR         Y0, Y1, Y0                   \
	VPOR         Y2, Y3, Y2                   \
	VMOVDQU      X0, (DI)                     \
	VMOVQ        X2, 16(DI)                   \
	VEXTRACTI128 $1, Y0, 24(DI)               \
	VEXTRACTI128 $1, Y2, X2                   \
	VMOVQ        X2, 40(DI)

#define FACTORS \
	VPBROADCASTD c128<>(SB), Y10              \
	VPBROADCASTD yuvFactors_black(R8), Y11    \
	VPBROADCASTD yuvFactors_half(R8), Y12     \
	VPBROADCASTD yuvFactors_r(R8), Y13        \
	VPBROADCASTD yuvFactors_g(R8), Y14        \
	VPBROADCASTD yuvFactors_b(R8), Y15

// NEXT leaves in AX how many pixels to advance: 16, or what is left to the last 16.
// It jumps to done after those.
#define NEXT \
	SUBQ    $16, CX   \
	JEQ     done      \
	MOVQ    $16, AX   \
	CMPQ    CX, AX    \
	CMOVQLT CX, AX    \
	MOVQ    $16, R10  \
	CMOVQLT R10, CX   \
	LEAQ    (AX)(AX*2), R10 \
	ADDQ    R10, DI

// func packedToRGB(dst, src *uint8, n int, o *order, f *yuvFactors)
TEXT ·packedToRGB(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ o+24(FP), R9
	MOVQ f+32(FP), R8
	FACTORS

pixels:
	VMOVDQU (SI), Y2
	VBROADCASTI128 (R9), Y0
	VBROADCASTI128 16(R9), Y1
	VBROADCASTI128 32(R9), Y3
	VPSHUFB Y0, Y2, Y0
	VPSHUFB Y1, Y2, Y1
	VPSHUFB Y3, Y2, Y2
	RGB
	NEXT
	LEAQ (SI)(AX*2), SI
	JMP pixels

done:
	VZEROUPPER
	RET

// func nv12ToRGB(dst, y, uv *uint8, n int, f *yuvFactors)
TEXT ·nv12ToRGB(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ uv+16(FP), DX
	MOVQ n+24(FP), CX
	MOVQ f+32(FP), R8
	FACTORS

pixels:
	VPMOVZXBW (SI), Y0
	VPMOVZXBW (DX), Y2
	VBROADCASTI128 even<>(SB), Y1
	VBROADCASTI128 odd<>(SB), Y3
	VPSHUFB Y1, Y2, Y1
	VPSHUFB Y3, Y2, Y2
	RGB
	NEXT
	ADDQ AX, SI
	ADDQ AX, DX
	JMP pixels

done:
	VZEROUPPER
	RET

// func i420ToRGB(dst, y, u, v *uint8, n int, f *yuvFactors)
TEXT ·i420ToRGB(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ y+8(FP), SI
	MOVQ u+16(FP), DX
	MOVQ v+24(FP), BX
	MOVQ n+32(FP), CX
	MOVQ f+40(FP), R8
	FACTORS

pixels:
	VPMOVZXBW (SI), Y0
	VPMOVZXBD (DX), Y1
	VPMOVZXBD (BX), Y2
	VBROADCASTI128 even<>(SB), Y3
	VPSHUFB Y3, Y1, Y1
	VPSHUFB Y3, Y2, Y2
	RGB
	NEXT
	ADDQ AX, SI
	SHRQ $1, AX
	ADDQ AX, DX
	ADDQ AX, BX
	JMP pixels

done:
	VZEROUPPER
	RET

// func greyToRGB(dst, src *uint8, n int)
TEXT ·greyToRGB(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VMOVDQU three<>(SB), X1
	VMOVDQU three<>+16(SB), X2
	VMOVDQU three<>+32(SB), X3

pixels:
	VMOVDQU (SI), X0
	VPSHUFB X1, X0, X4
	VPSHUFB X2, X0, X5
	VPSHUFB X3, X0, X6
	VMOVDQU X4, (DI)
	VMOVDQU X5, 16(DI)
	VMOVDQU X6, 32(DI)
	NEXT
	ADDQ AX, SI
	JMP pixels

done:
	VZEROUPPER
	RET
