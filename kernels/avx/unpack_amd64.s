#include "textflag.h"

DATA low<>+0(SB)/4, $0x000f000f
GLOBL low<>(SB), RODATA|NOPTR, $4

DATA high<>+0(SB)/4, $0x0f000f00
GLOBL high<>(SB), RODATA|NOPTR, $4

// UNIT unpacks half a unit with the group scales of its 8 rows: words in Y0, eight
// times the scale in every byte in Y1. Nibbles of even and odd bytes are multiplied
// apart, and a product of at most 225 fits its byte.
#define UNIT(from, to) \
	VMOVDQU from(SI), Y2   \
	VPSRLW $4, Y2, Y3      \
	VPAND Y2, Y14, Y4      \
	VPAND Y2, Y15, Y5      \
	VPAND Y3, Y14, Y6      \
	VPAND Y3, Y15, Y7      \
	VPMULLW Y0, Y4, Y4     \
	VPMULLW Y0, Y5, Y5     \
	VPMULLW Y0, Y6, Y6     \
	VPMULLW Y0, Y7, Y7     \
	VPOR Y5, Y4, Y4        \
	VPOR Y7, Y6, Y6        \
	VPSUBB Y1, Y4, Y4      \
	VPSUBB Y1, Y6, Y6      \
	VMOVDQU Y4, to(DI)     \
	VMOVDQU Y6, (to+64)(DI)

// GROUP unpacks 32 columns of 8 rows with the scales in Y0, dwords.
#define GROUP(from, to) \
	VPSLLD $16, Y0, Y1       \
	VPOR Y1, Y0, Y0          \
	VPSLLW $3, Y0, Y1        \
	VPSLLW $11, Y0, Y2       \
	VPOR Y2, Y1, Y1          \
	UNIT((from), (to))         \
	UNIT((from+64), (to+128))  \
	UNIT((from+128), (to+256)) \
	UNIT((from+192), (to+384))

// func unpackP4(dst *int8, w, wg *byte, pairs int)
TEXT ·unpackP4(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ w+8(FP), SI
	MOVQ wg+16(FP), DX
	MOVQ pairs+24(FP), CX
	VPBROADCASTD low<>(SB), Y14
	VPBROADCASTD high<>(SB), Y15

pair:
	VPMOVZXBD (DX), Y0
	VPAND Y14, Y0, Y0
	GROUP(0, 0)
	VPMOVZXBD 8(DX), Y0
	VPAND Y14, Y0, Y0
	GROUP(32, 32)
	VPMOVZXBD (DX), Y0
	VPSRLD $4, Y0, Y0
	GROUP(256, 512)
	VPMOVZXBD 8(DX), Y0
	VPSRLD $4, Y0, Y0
	GROUP(288, 544)
	ADDQ $512, SI
	ADDQ $16, DX
	ADDQ $1024, DI
	DECQ CX
	JNZ pair
	VZEROUPPER
	RET
