#include "textflag.h"

// Products of GGML blocks: eight rows with one vector. The integer sums of a block come to
// lie in one register, a row to a lane, and each lane adds its blocks in order.
//
// DI dst, SI blocks of rows 0 to 3, R10 of rows 4 to 7, R8 bytes of a row, R9 3*R8, R11 q,
// R12 scale, R13 sum, CX blocks left; Y15 the result, Y14 ones, Y13 a block of x.

DATA ones16<>+0(SB)/4, $0x00010001
GLOBL ones16<>(SB), RODATA|NOPTR, $4

DATA nibble<>+0(SB)/4, $0x0f0f0f0f
GLOBL nibble<>(SB), RODATA|NOPTR, $4

DATA eights<>+0(SB)/4, $0x08080808
GLOBL eights<>(SB), RODATA|NOPTR, $4

#define BEGIN \
	MOVQ dst+0(FP), DI      \
	MOVQ w+8(FP), SI        \
	MOVQ q+16(FP), R11      \
	MOVQ scale+24(FP), R12  \
	MOVQ sum+32(FP), R13    \
	MOVQ rowBytes+40(FP), R8 \
	MOVQ blocks+48(FP), CX  \
	LEAQ (R8)(R8*2), R9     \
	LEAQ (SI)(R8*4), R10    \
	VPBROADCASTD ones16<>(SB), Y14 \
	VXORPS X15, X15, X15

#define UNPACK \
	MOVQ dst+0(FP), DI       \
	MOVQ w+8(FP), SI         \
	MOVQ rowBytes+16(FP), R8 \
	MOVQ blocks+24(FP), CX   \
	LEAQ (R8)(R8*2), R9      \
	LEAQ (SI)(R8*4), R10     \
	VPBROADCASTD ones16<>(SB), Y14

// SUMS adds the lanes of Y0 to Y7 into Y0.
#define SUMS \
	VPHADDD Y1, Y0, Y0 \
	VPHADDD Y3, Y2, Y2 \
	VPHADDD Y5, Y4, Y4 \
	VPHADDD Y7, Y6, Y6 \
	VPHADDD Y2, Y0, Y0 \
	VPHADDD Y6, Y4, Y4 \
	VPERM2I128 $0x20, Y4, Y0, Y1 \
	VPERM2I128 $0x31, Y4, Y0, Y0 \
	VPADDD Y1, Y0, Y0

// SCALES reads those of eight blocks.
#define SCALES(X, Y) \
	VPXOR X, X, X                    \
	VPINSRW $0, (SI), X, X           \
	VPINSRW $1, (SI)(R8*1), X, X     \
	VPINSRW $2, (SI)(R8*2), X, X     \
	VPINSRW $3, (SI)(R9*1), X, X     \
	VPINSRW $4, (R10), X, X          \
	VPINSRW $5, (R10)(R8*1), X, X    \
	VPINSRW $6, (R10)(R8*2), X, X    \
	VPINSRW $7, (R10)(R9*1), X, X    \
	VCVTPH2PS X, Y

// ADD adds the sums in Y0, scaled, to the result.
#define ADD(bytes) \
	SCALES(X1, Y1)                      \
	VBROADCASTSS (R12), Y2              \
	VMULPS Y2, Y1, Y1                   \
	VCVTDQ2PS Y0, Y0                    \
	VMULPS Y1, Y0, Y0                   \
	VADDPS Y0, Y15, Y15                 \
	ADDQ $bytes, SI                     \
	ADDQ $bytes, R10                    \
	ADDQ $32, R11                       \
	ADDQ $4, R12                        \
	ADDQ $4, R13

// |w| times x with the sign of w: a pair of products is at most 2*128*127.
#define Q8(at, D) \
	VMOVDQU at, Y8           \
	VPABSB Y8, Y9            \
	VPSIGNB Y8, Y13, Y10     \
	VPMADDUBSW Y10, Y9, Y10  \
	VPMADDWD Y14, Y10, D

// func mulQ8(dst *float32, w *byte, q *int8, scale *float32, sum *int32, rowBytes, blocks int)
TEXT ·mulQ8(SB), NOSPLIT, $0-56
	BEGIN

block:
	VMOVDQU (R11), Y13
	PREFETCHT0 1024(SI)
	Q8(2(SI), Y0)
	PREFETCHT0 1024(SI)(R8*1)
	Q8(2(SI)(R8*1), Y1)
	PREFETCHT0 1024(SI)(R8*2)
	Q8(2(SI)(R8*2), Y2)
	PREFETCHT0 1024(SI)(R9*1)
	Q8(2(SI)(R9*1), Y3)
	PREFETCHT0 1024(R10)
	Q8(2(R10), Y4)
	PREFETCHT0 1024(R10)(R8*1)
	Q8(2(R10)(R8*1), Y5)
	PREFETCHT0 1024(R10)(R8*2)
	Q8(2(R10)(R8*2), Y6)
	PREFETCHT0 1024(R10)(R9*1)
	Q8(2(R10)(R9*1), Y7)
	SUMS
	ADD(34)
	DECQ CX
	JNZ block
	VMOVUPS Y15, (DI)
	VZEROUPPER
	RET

// Nibbles are the weights plus 8: 8*Σx is taken off at the end.
#define Q4(at, D) \
	VMOVDQU at, X8           \
	VPSRLW $4, X8, X9        \
	VINSERTI128 $1, X9, Y8, Y8 \
	VPAND Y12, Y8, Y8        \
	VPMADDUBSW Y13, Y8, Y8   \
	VPMADDWD Y14, Y8, D

// func mulQ4(dst *float32, w *byte, q *int8, scale *float32, sum *int32, rowBytes, blocks int)
TEXT ·mulQ4(SB), NOSPLIT, $0-56
	BEGIN
	VPBROADCASTD nibble<>(SB), Y12

block:
	VMOVDQU (R11), Y13
	PREFETCHT0 1024(SI)
	Q4(2(SI), Y0)
	PREFETCHT0 1024(SI)(R8*1)
	Q4(2(SI)(R8*1), Y1)
	PREFETCHT0 1024(SI)(R8*2)
	Q4(2(SI)(R8*2), Y2)
	PREFETCHT0 1024(SI)(R9*1)
	Q4(2(SI)(R9*1), Y3)
	PREFETCHT0 1024(R10)
	Q4(2(R10), Y4)
	PREFETCHT0 1024(R10)(R8*1)
	Q4(2(R10)(R8*1), Y5)
	PREFETCHT0 1024(R10)(R8*2)
	Q4(2(R10)(R8*2), Y6)
	PREFETCHT0 1024(R10)(R9*1)
	Q4(2(R10)(R9*1), Y7)
	SUMS
	VPBROADCASTD (R13), Y1
	VPSLLD $3, Y1, Y1
	VPSUBD Y1, Y0, Y0
	ADD(18)
	DECQ CX
	JNZ block
	VMOVUPS Y15, (DI)
	VZEROUPPER
	RET

// Prepared blocks: eight rows with four vectors. A block is 576 bytes: eight units of 32
// bytes |w| and 32 of signs, eight scales, eight sums. See mulP8 for the signs.

// ROWS8 does OP for the eight rows of a block.
#define ROWS8(OP) \
	OP(2(SI), X0, Y0)          \
	OP(2(SI)(R8*1), X1, Y1)    \
	OP(2(SI)(R8*2), X2, Y2)    \
	OP(2(SI)(R9*1), X3, Y3)    \
	OP(2(R10), X4, Y4)         \
	OP(2(R10)(R8*1), X5, Y5)   \
	OP(2(R10)(R8*2), X6, Y6)   \
	OP(2(R10)(R9*1), X7, Y7)

#define BYTES(at, X, Y) VMOVDQU at, Y

// Y12 nibble, Y13 eights.
#define NIBBLES(at, X, Y) \
	VMOVDQU at, X            \
	VPSRLW $4, X, X8         \
	VINSERTI128 $1, X8, Y, Y \
	VPAND Y12, Y, Y          \
	VPSUBB Y13, Y, Y

// TURN makes columns of four rows: dword i of A, B, C and D come to lie in register i of
// E, F, G and H, dword 4+i in its upper half.
#define TURN(A, B, C, D, E, F, G, H) \
	VPUNPCKLDQ B, A, E  \
	VPUNPCKHDQ B, A, G  \
	VPUNPCKLDQ D, C, F  \
	VPUNPCKHDQ D, C, H  \
	VPUNPCKLQDQ F, E, A \
	VPUNPCKHQDQ F, E, B \
	VPUNPCKLQDQ H, G, C \
	VPUNPCKHQDQ H, G, D

// UNIT stores a unit and adds up its negative weights in Y15.
#define UNIT(how, A, B, at) \
	VPERM2I128 how, B, A, Y8     \
	VPXOR Y9, Y9, Y9             \
	VPCMPGTB Y8, Y9, Y9          \
	VPABSB Y8, Y8                \
	VMOVDQU Y8, at(DI)           \
	VMOVDQU Y9, (at+32)(DI)      \
	VPMADDUBSW Y9, Y8, Y8        \
	VPADDW Y8, Y15, Y15

#define UNITS \
	TURN(Y0, Y1, Y2, Y3, Y8, Y9, Y10, Y11) \
	TURN(Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11) \
	VPXOR Y15, Y15, Y15         \
	UNIT($0x20, Y0, Y4, 0)      \
	UNIT($0x20, Y1, Y5, 64)     \
	UNIT($0x20, Y2, Y6, 128)    \
	UNIT($0x20, Y3, Y7, 192)    \
	UNIT($0x31, Y0, Y4, 256)    \
	UNIT($0x31, Y1, Y5, 320)    \
	UNIT($0x31, Y2, Y6, 384)    \
	UNIT($0x31, Y3, Y7, 448)    \
	VPMADDWD Y14, Y15, Y15      \
	VMOVDQU Y15, 544(DI)        \
	SCALES(X1, Y1)              \
	VMOVUPS Y1, 512(DI)         \
	ADDQ $576, DI

// func unpackQ8(dst *blocks8, w *byte, rowBytes, blocks int)
TEXT ·unpackQ8(SB), NOSPLIT, $0-32
	UNPACK

block:
	ROWS8(BYTES)
	UNITS
	ADDQ $34, SI
	ADDQ $34, R10
	DECQ CX
	JNZ block
	VZEROUPPER
	RET

// func unpackQ4(dst *blocks8, w *byte, rowBytes, blocks int)
TEXT ·unpackQ4(SB), NOSPLIT, $0-32
	UNPACK
	VPBROADCASTD nibble<>(SB), Y12
	VPBROADCASTD eights<>(SB), Y13

block:
	ROWS8(NIBBLES)
	UNITS
	ADDQ $18, SI
	ADDQ $18, R10
	DECQ CX
	JNZ block
	VZEROUPPER
	RET

// Y12 |w|, Y13 signs.
#define VECTOR(at, A, P) \
	VPBROADCASTD at, P   \
	VPXOR Y13, P, P      \
	VPMADDUBSW P, Y12, P \
	VPMADDWD Y15, P, P   \
	VPADDD P, A, A

#define COLUMNS(i) \
	VMOVDQU (64*i)(SI), Y12               \
	VMOVDQU (64*i+32)(SI), Y13            \
	VECTOR((4*i)(R11), Y0, Y4)            \
	VECTOR((4*i)(R11)(R8*1), Y1, Y5)      \
	VECTOR((4*i)(R11)(R8*2), Y2, Y6)      \
	VECTOR((4*i)(R11)(R9*1), Y3, Y7)

// Y12 sums of negative weights, Y13 scales.
#define ADDBLOCK(at, A, P, D) \
	VPSUBD Y12, A, A     \
	VCVTDQ2PS A, A       \
	VBROADCASTSS at, P   \
	VMULPS P, Y13, P     \
	VMULPS P, A, A       \
	VADDPS A, D, D

// func mulBlocks4(dst *float32, stride int, w *blocks8, q *int8, scale *float32, cols, blocks int)
TEXT ·mulBlocks4(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ stride+8(FP), DX
	MOVQ w+16(FP), SI
	MOVQ q+24(FP), R11
	MOVQ scale+32(FP), R12
	MOVQ cols+40(FP), R8
	MOVQ blocks+48(FP), CX
	LEAQ (R8)(R8*2), R9
	MOVQ R8, R13
	SHRQ $3, R13 // bytes of the scales of a vector
	LEAQ (R13)(R13*2), R14
	LEAQ (DX)(DX*2), BX
	VPBROADCASTD ones16<>(SB), Y15
	VMOVUPS (DI), Y8
	VMOVUPS (DI)(DX*1), Y9
	VMOVUPS (DI)(DX*2), Y10
	VMOVUPS (DI)(BX*1), Y11

block:
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1
	VPXOR X2, X2, X2
	VPXOR X3, X3, X3
	COLUMNS(0)
	COLUMNS(1)
	COLUMNS(2)
	COLUMNS(3)
	COLUMNS(4)
	COLUMNS(5)
	COLUMNS(6)
	COLUMNS(7)
	VMOVDQU 544(SI), Y12
	VMOVUPS 512(SI), Y13
	ADDBLOCK((R12), Y0, Y4, Y8)
	ADDBLOCK((R12)(R13*1), Y1, Y5, Y9)
	ADDBLOCK((R12)(R13*2), Y2, Y6, Y10)
	ADDBLOCK((R12)(R14*1), Y3, Y7, Y11)
	ADDQ $576, SI
	ADDQ $32, R11
	ADDQ $4, R12
	DECQ CX
	JNZ block
	VMOVUPS Y8, (DI)
	VMOVUPS Y9, (DI)(DX*1)
	VMOVUPS Y10, (DI)(DX*2)
	VMOVUPS Y11, (DI)(BX*1)
	VZEROUPPER
	RET
