#include "textflag.h"

// Scores of attention: a register holds the sums of 16 keys (8 with AVX2) and one query,
// each in the order of its values. Values of different keys come by VGATHERDPS, for all
// queries of the call, so that nothing is transposed, but in scores8.
//
// DI scores, SI q, R8 k, DX bytes from a query to the next, R13 3*DX, R10 bytes from a row
// of scores to the next, R9 3*R10, R11 values from a key to the next, R12 dim, BX keys
// left, CX values left, R14 the value of the first query, AX of one in four.

DATA lane<>+0(SB)/8, $0x0000000100000000
DATA lane<>+8(SB)/8, $0x0000000300000002
DATA lane<>+16(SB)/8, $0x0000000500000004
DATA lane<>+24(SB)/8, $0x0000000700000006
DATA lane<>+32(SB)/8, $0x0000000900000008
DATA lane<>+40(SB)/8, $0x0000000b0000000a
DATA lane<>+48(SB)/8, $0x0000000d0000000c
DATA lane<>+56(SB)/8, $0x0000000f0000000e
GLOBL lane<>(SB), RODATA|NOPTR, $64

#define BEGIN \
	MOVQ scores+0(FP), DI       \
	MOVQ q+8(FP), SI            \
	MOVQ k+16(FP), R8           \
	MOVQ scoresStride+24(FP), R10 \
	MOVQ qStride+32(FP), DX     \
	MOVQ kStride+40(FP), R11    \
	MOVQ keys+48(FP), BX        \
	MOVQ dim+56(FP), R12        \
	LEAQ (DX)(DX*2), R13        \
	LEAQ (R10)(R10*2), R9

// AVX-512: Z31 scale, Z30 places of the keys, Z29 lanes, Z28 stride, Z16 values of keys,
// K1 the keys there are, K2 consumed by the gather.

#define BLOCK512 \
	VPBROADCASTD BX, Z27        \
	VPCMPD $1, Z27, Z29, K1     \
	VPTERNLOGD $0xff, Z26, Z26, Z26 \
	VPADDD Z26, Z27, Z27        \
	VPMINSD Z27, Z29, Z30       \
	VPMULLD Z28, Z30, Z30       \
	MOVQ SI, R14                \
	MOVQ R12, CX

#define QUERIES512(A, B, C, D) \
	VMULPS.BCST (AX), Z16, Z17        \
	VMULPS.BCST (AX)(DX*1), Z16, Z18  \
	VMULPS.BCST (AX)(DX*2), Z16, Z19  \
	VMULPS.BCST (AX)(R13*1), Z16, Z20 \
	VADDPS Z17, A, A                  \
	VADDPS Z18, B, B                  \
	VADDPS Z19, C, C                  \
	VADDPS Z20, D, D                  \
	LEAQ (AX)(DX*4), AX

#define STORE512(A, B, C, D) \
	VMULPS Z31, A, A            \
	VMULPS Z31, B, B            \
	VMULPS Z31, C, C            \
	VMULPS Z31, D, D            \
	VMOVUPS A, K1, (AX)         \
	VMOVUPS B, K1, (AX)(R10*1)  \
	VMOVUPS C, K1, (AX)(R10*2)  \
	VMOVUPS D, K1, (AX)(R9*1)   \
	LEAQ (AX)(R10*4), AX

#define CLEAR512(A, B, C, D) \
	VPXORD A, A, A \
	VPXORD B, B, B \
	VPXORD C, C, C \
	VPXORD D, D, D

// func scores16x512(scores, q, k *float32, scoresStride, qStride, kStride, keys, dim int, scale float32)
TEXT ·scores16x512(SB), NOSPLIT, $0-68
	BEGIN
	VBROADCASTSS scale+64(FP), Z31
	VMOVDQU32 lane<>(SB), Z29
	VPBROADCASTD R11, Z28
	SHLQ $6, R11

block:
	BLOCK512
	CLEAR512(Z0, Z1, Z2, Z3)
	CLEAR512(Z4, Z5, Z6, Z7)
	CLEAR512(Z8, Z9, Z10, Z11)
	CLEAR512(Z12, Z13, Z14, Z15)

value:
	KXNORW K2, K2, K2
	VPXORD Z16, Z16, Z16
	VGATHERDPS (R8)(Z30*4), K2, Z16
	MOVQ R14, AX
	QUERIES512(Z0, Z1, Z2, Z3)
	QUERIES512(Z4, Z5, Z6, Z7)
	QUERIES512(Z8, Z9, Z10, Z11)
	QUERIES512(Z12, Z13, Z14, Z15)
	ADDQ $4, R8
	ADDQ $4, R14
	DECQ CX
	JNZ value
	MOVQ DI, AX
	STORE512(Z0, Z1, Z2, Z3)
	STORE512(Z4, Z5, Z6, Z7)
	STORE512(Z8, Z9, Z10, Z11)
	STORE512(Z12, Z13, Z14, Z15)
	ADDQ $64, DI
	SHLQ $2, R12
	SUBQ R12, R8
	SHRQ $2, R12
	ADDQ R11, R8
	SUBQ $16, BX
	JGT block
	VZEROUPPER
	RET

// func scores4x512(scores, q, k *float32, scoresStride, qStride, kStride, keys, dim int, scale float32)
TEXT ·scores4x512(SB), NOSPLIT, $0-68
	BEGIN
	VBROADCASTSS scale+64(FP), Z31
	VMOVDQU32 lane<>(SB), Z29
	VPBROADCASTD R11, Z28
	SHLQ $6, R11

block:
	BLOCK512
	CLEAR512(Z0, Z1, Z2, Z3)

value:
	KXNORW K2, K2, K2
	VPXORD Z16, Z16, Z16
	VGATHERDPS (R8)(Z30*4), K2, Z16
	MOVQ R14, AX
	QUERIES512(Z0, Z1, Z2, Z3)
	ADDQ $4, R8
	ADDQ $4, R14
	DECQ CX
	JNZ value
	MOVQ DI, AX
	STORE512(Z0, Z1, Z2, Z3)
	ADDQ $64, DI
	SHLQ $2, R12
	SUBQ R12, R8
	SHRQ $2, R12
	ADDQ R11, R8
	SUBQ $16, BX
	JGT block
	VZEROUPPER
	RET

// AVX2: Y15 scale, Y14 stride, Y13 places of the keys, Y12 the keys there are, Y8 values of
// keys, Y9 consumed by the gather.

#define BLOCK \
	MOVL BX, AX               \
	VMOVD AX, X9              \
	VPBROADCASTD X9, Y9       \
	VMOVDQU lane<>(SB), Y10   \
	VPCMPGTD Y10, Y9, Y12     \
	VPCMPEQD Y11, Y11, Y11    \
	VPADDD Y11, Y9, Y9        \
	VPMINSD Y9, Y10, Y13      \
	VPMULLD Y14, Y13, Y13     \
	MOVQ SI, R14              \
	MOVQ R12, CX

#define QUERY(at, A) \
	VBROADCASTSS at, Y10 \
	VMULPS Y8, Y10, Y10  \
	VADDPS Y10, A, A

#define QUERIES(A, B, C, D) \
	QUERY((AX), A)         \
	QUERY((AX)(DX*1), B)   \
	QUERY((AX)(DX*2), C)   \
	QUERY((AX)(R13*1), D)  \
	LEAQ (AX)(DX*4), AX

#define STORE(A, B, C, D) \
	VMULPS Y15, A, A                \
	VMULPS Y15, B, B                \
	VMULPS Y15, C, C                \
	VMULPS Y15, D, D                \
	VMASKMOVPS A, Y12, (AX)         \
	VMASKMOVPS B, Y12, (AX)(R10*1)  \
	VMASKMOVPS C, Y12, (AX)(R10*2)  \
	VMASKMOVPS D, Y12, (AX)(R9*1)   \
	LEAQ (AX)(R10*4), AX

#define CLEAR(A, B, C, D) \
	VXORPS A, A, A \
	VXORPS B, B, B \
	VXORPS C, C, C \
	VXORPS D, D, D

// func scores4(scores, q, k *float32, scoresStride, qStride, kStride, keys, dim int, scale float32)
TEXT ·scores4(SB), NOSPLIT, $0-68
	BEGIN
	VBROADCASTSS scale+64(FP), Y15
	VMOVD R11, X14
	VPBROADCASTD X14, Y14
	SHLQ $5, R11

block:
	BLOCK
	CLEAR(Y0, Y1, Y2, Y3)

value:
	VPCMPEQD Y9, Y9, Y9
	VXORPS Y8, Y8, Y8
	VGATHERDPS Y9, (R8)(Y13*4), Y8
	MOVQ R14, AX
	QUERIES(Y0, Y1, Y2, Y3)
	ADDQ $4, R8
	ADDQ $4, R14
	DECQ CX
	JNZ value
	MOVQ DI, AX
	STORE(Y0, Y1, Y2, Y3)
	ADDQ $32, DI
	SHLQ $2, R12
	SUBQ R12, R8
	SHRQ $2, R12
	ADDQ R11, R8
	SUBQ $8, BX
	JGT block
	VZEROUPPER
	RET

// Eight queries, and at least eight keys: the last eight overlap those before. Gathering is
// slow where it is done by microcode: four values of eight keys are loaded and turned.
//
// R11 bytes from a key to the next, R9 3*R11, R10 the fifth key, R12 bytes of dim, AX the
// value of the fifth query; Y8 to Y11 four values of keys.

#define KEYS(low, high, X, Y) \
	VMOVUPS low, X             \
	VINSERTF128 $1, high, Y, Y

#define QUERY8(at, K, A) \
	VBROADCASTSS at, Y12 \
	VMULPS K, Y12, Y12   \
	VADDPS Y12, A, A

#define VALUE(at, K) \
	QUERY8(at(R14), K, Y0)         \
	QUERY8(at(R14)(DX*1), K, Y1)   \
	QUERY8(at(R14)(DX*2), K, Y2)   \
	QUERY8(at(R14)(R13*1), K, Y3)  \
	QUERY8(at(AX), K, Y4)          \
	QUERY8(at(AX)(DX*1), K, Y5)    \
	QUERY8(at(AX)(DX*2), K, Y6)    \
	QUERY8(at(AX)(R13*1), K, Y7)

#define STORE8(A, B, C, D) \
	VMULPS Y15, A, A          \
	VMULPS Y15, B, B          \
	VMULPS Y15, C, C          \
	VMULPS Y15, D, D          \
	VMOVUPS A, (AX)           \
	VMOVUPS B, (AX)(R10*1)    \
	VMOVUPS C, (AX)(R10*2)    \
	VMOVUPS D, (AX)(R9*1)     \
	LEAQ (AX)(R10*4), AX

// func scores8(scores, q, k *float32, scoresStride, qStride, kStride, keys, dim int, scale float32)
TEXT ·scores8(SB), NOSPLIT, $0-68
	BEGIN
	SHLQ $2, R11
	SHLQ $2, R12

block:
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	MOVQ SI, R14
	LEAQ (SI)(DX*4), AX
	LEAQ (R11)(R11*2), R9
	LEAQ (R8)(R11*4), R10
	MOVQ R12, CX

values:
	KEYS((R8), (R10), X8, Y8)
	KEYS((R8)(R11*1), (R10)(R11*1), X9, Y9)
	KEYS((R8)(R11*2), (R10)(R11*2), X10, Y10)
	KEYS((R8)(R9*1), (R10)(R9*1), X11, Y11)
	VUNPCKLPS Y9, Y8, Y12
	VUNPCKHPS Y9, Y8, Y13
	VUNPCKLPS Y11, Y10, Y14
	VUNPCKHPS Y11, Y10, Y15
	VUNPCKLPD Y14, Y12, Y8
	VUNPCKHPD Y14, Y12, Y9
	VUNPCKLPD Y15, Y13, Y10
	VUNPCKHPD Y15, Y13, Y11
	VALUE(0, Y8)
	VALUE(4, Y9)
	VALUE(8, Y10)
	VALUE(12, Y11)
	ADDQ $16, R8
	ADDQ $16, R10
	ADDQ $16, R14
	ADDQ $16, AX
	SUBQ $16, CX
	JNZ values
	VBROADCASTSS scale+64(FP), Y15
	MOVQ scoresStride+24(FP), R10
	LEAQ (R10)(R10*2), R9
	MOVQ DI, AX
	STORE8(Y0, Y1, Y2, Y3)
	STORE8(Y4, Y5, Y6, Y7)
	SUBQ R12, R8
	SUBQ $8, BX
	JZ done
	ADDQ $32, DI
	LEAQ (R8)(R11*8), R8
	CMPQ BX, $8
	JGE block
	SUBQ $8, BX // by how many keys too far
	LEAQ (DI)(BX*4), DI
	IMULQ R11, BX
	ADDQ BX, R8
	MOVQ $8, BX
	JMP block

done:
	VZEROUPPER
	RET

// addRows4 is addRows for four vectors, sixteen columns at a time, so that a row comes
// from a farther cache once for all four. The last sixteen columns overlap those before.
//
// DI dst, DX bytes to the next, R13 3*DX, R8 x, R10 bytes to the next, R9 3*R10, SI rows,
// R11 bytes to the next, R12 row, AX value of x, BX n, CX rows left, R14 columns left.

#define VECTOR4(at, A, B) \
	VBROADCASTSS at, Y10  \
	VMULPS Y8, Y10, Y11   \
	VMULPS Y9, Y10, Y10   \
	VADDPS Y11, A, A      \
	VADDPS Y10, B, B

// func addRows4(dst, rows, x *float32, n, stride, cols, dstStride, xStride int)
TEXT ·addRows4(SB), NOSPLIT, $0-64
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ x+16(FP), R8
	MOVQ n+24(FP), BX
	MOVQ stride+32(FP), R11
	MOVQ cols+40(FP), R14
	MOVQ dstStride+48(FP), DX
	MOVQ xStride+56(FP), R10
	LEAQ (DX)(DX*2), R13
	LEAQ (R10)(R10*2), R9

columns:
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	MOVQ SI, R12
	MOVQ R8, AX
	MOVQ BX, CX

row:
	VMOVUPS (R12), Y8
	VMOVUPS 32(R12), Y9
	VECTOR4((AX), Y0, Y1)
	VECTOR4((AX)(R10*1), Y2, Y3)
	VECTOR4((AX)(R10*2), Y4, Y5)
	VECTOR4((AX)(R9*1), Y6, Y7)
	ADDQ R11, R12
	ADDQ $4, AX
	DECQ CX
	JNZ row
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, (DI)(DX*1)
	VMOVUPS Y3, 32(DI)(DX*1)
	VMOVUPS Y4, (DI)(DX*2)
	VMOVUPS Y5, 32(DI)(DX*2)
	VMOVUPS Y6, (DI)(R13*1)
	VMOVUPS Y7, 32(DI)(R13*1)
	SUBQ $16, R14
	JZ done
	MOVQ $64, AX
	CMPQ R14, $16
	JGE next
	MOVQ $32, AX // eight columns are left
	MOVQ $16, R14

next:
	ADDQ AX, DI
	ADDQ AX, SI
	JMP columns

done:
	VZEROUPPER
	RET
