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

// ADD adds the sums in Y0, scaled, to the result.
#define ADD(bytes) \
	VPXOR X1, X1, X1                    \
	VPINSRW $0, (SI), X1, X1            \
	VPINSRW $1, (SI)(R8*1), X1, X1      \
	VPINSRW $2, (SI)(R8*2), X1, X1      \
	VPINSRW $3, (SI)(R9*1), X1, X1      \
	VPINSRW $4, (R10), X1, X1           \
	VPINSRW $5, (R10)(R8*1), X1, X1     \
	VPINSRW $6, (R10)(R8*2), X1, X1     \
	VPINSRW $7, (R10)(R9*1), X1, X1     \
	VCVTPH2PS X1, Y1                    \
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
