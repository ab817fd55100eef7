#include "textflag.h"

// Where the bytes of red, green and blue are among those of four pixels: the first in the
// lower half, the last of 16 bytes in the upper one. They become double words.
DATA red4<>+0(SB)/8, $0x8080800380808000
DATA red4<>+8(SB)/8, $0x8080800980808006
DATA red4<>+16(SB)/8, $0x8080800780808004
DATA red4<>+24(SB)/8, $0x8080800d8080800a
GLOBL red4<>(SB), RODATA|NOPTR, $32

DATA green4<>+0(SB)/8, $0x8080800480808001
DATA green4<>+8(SB)/8, $0x8080800a80808007
DATA green4<>+16(SB)/8, $0x8080800880808005
DATA green4<>+24(SB)/8, $0x8080800e8080800b
GLOBL green4<>(SB), RODATA|NOPTR, $32

DATA blue4<>+0(SB)/8, $0x8080800580808002
DATA blue4<>+8(SB)/8, $0x8080800b80808008
DATA blue4<>+16(SB)/8, $0x8080800980808006
DATA blue4<>+24(SB)/8, $0x8080800f8080800c
GLOBL blue4<>(SB), RODATA|NOPTR, $32

// 1/255 to 48 bits: rounded to nearest, and what is missing.
DATA part255<>+0(SB)/4, $0x3b808081
DATA part255<>+4(SB)/4, $0xaf7efeff
GLOBL part255<>(SB), RODATA|NOPTR, $8

// PLANE does a channel of eight pixels: v/255 is v*HIGH + v*LOW, the sum rounded once, for
// all 256 values.
#define PLANE(MASK, MEAN, STD, TO) \
	VPSHUFB     MASK, Y0, Y1   \
	VCVTDQ2PS   Y1, Y1         \
	VMULPS      Y12, Y1, Y2    \
	VFMADD231PS Y13, Y1, Y2    \
	VSUBPS      MEAN, Y2, Y2   \
	VDIVPS      STD, Y2, Y2    \
	VMOVUPS     Y2, (TO)(AX*4)

// func normalize(red, green, blue *float32, rgb *uint8, factors *[3][4]float32, n int)
//
// DI, R8, R9 planes, SI rgb, CX pixels, AX pixels done
// Y3-Y5 masks, Y6-Y8 mean, Y9-Y11 std, Y12 and Y13 1/255
TEXT ·normalize(SB), NOSPLIT, $0-48
	MOVQ red+0(FP), DI
	MOVQ green+8(FP), R8
	MOVQ blue+16(FP), R9
	MOVQ rgb+24(FP), SI
	MOVQ factors+32(FP), DX
	MOVQ n+40(FP), CX
	VMOVDQU red4<>(SB), Y3
	VMOVDQU green4<>(SB), Y4
	VMOVDQU blue4<>(SB), Y5
	VBROADCASTSS (DX), Y6
	VBROADCASTSS 16(DX), Y7
	VBROADCASTSS 32(DX), Y8
	VBROADCASTSS 4(DX), Y9
	VBROADCASTSS 20(DX), Y10
	VBROADCASTSS 36(DX), Y11
	VBROADCASTSS part255<>+4(SB), Y12
	VBROADCASTSS part255<>(SB), Y13
	XORQ AX, AX

pixels:
	VMOVDQU (SI), X0
	VINSERTI128 $1, 8(SI), Y0, Y0
	ADDQ $24, SI
	PLANE(Y3, Y6, Y9, DI)
	PLANE(Y4, Y7, Y10, R8)
	PLANE(Y5, Y8, Y11, R9)
	ADDQ $8, AX
	CMPQ AX, CX
	JNE pixels
	VZEROUPPER
	RET
