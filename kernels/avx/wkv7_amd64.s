#include "textflag.h"

// In the functions below: DI y, which holds q, SI state, R8 r, R9 k, R10 v, R11 w,
// R13 kappa, R15 a, BX size, DX bytes of a row of the state; AX, R12 the strip of columns,
// CX the row.

// ROW512 takes 16 columns of a row: Y the output, V the value, Q what kappa reads; Z20 r,
// Z21 w, Z22 k, Z23 kappa*a.
#define ROW512(offset, Y, V, Q, A, B) \
	VMOVUPS offset(R12), A \
	VMULPS Z21, A, A       \
	VMULPS Z23, Q, B       \
	VSUBPS B, A, A         \
	VMULPS Z22, V, B       \
	VADDPS B, A, A         \
	VMOVUPS A, offset(R12) \
	VMULPS Z20, A, B       \
	VADDPS B, Y, Y

// func wkv7Head512(y, state, r, k, v, w, kappa, a *float32, size int)
TEXT ·wkv7Head512(SB), NOSPLIT, $0-72
	MOVQ y+0(FP), DI
	MOVQ state+8(FP), SI
	MOVQ r+16(FP), R8
	MOVQ k+24(FP), R9
	MOVQ v+32(FP), R10
	MOVQ w+40(FP), R11
	MOVQ kappa+48(FP), R13
	MOVQ a+56(FP), R15
	MOVQ size+64(FP), BX
	LEAQ (BX*4), DX
	XORQ AX, AX

strip:
	VMOVUPS (R10)(AX*4), Z2
	VMOVUPS 64(R10)(AX*4), Z3
	VMOVUPS (DI)(AX*4), Z4
	VMOVUPS 64(DI)(AX*4), Z5
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	LEAQ (SI)(AX*4), R12
	XORQ CX, CX

row:
	VBROADCASTSS (R13)(CX*4), Z23
	VBROADCASTSS (R15)(CX*4), Z24
	VMULPS Z24, Z23, Z23
	VBROADCASTSS (R8)(CX*4), Z20
	VBROADCASTSS (R11)(CX*4), Z21
	VBROADCASTSS (R9)(CX*4), Z22
	ROW512(0, Z0, Z2, Z4, Z6, Z7)
	ROW512(64, Z1, Z3, Z5, Z8, Z9)
	ADDQ DX, R12
	INCQ CX
	CMPQ CX, BX
	JNE row
	VMOVUPS Z0, (DI)(AX*4)
	VMOVUPS Z1, 64(DI)(AX*4)
	ADDQ $32, AX
	CMPQ AX, BX
	JNE strip
	VZEROUPPER
	RET

// ROW takes 8 columns of a row; Y8 r, Y9 w, Y10 k, Y11 kappa*a.
#define ROW(offset, Y, V, Q, A, B) \
	VMOVUPS offset(R12), A \
	VMULPS Y9, A, A        \
	VMULPS Y11, Q, B       \
	VSUBPS B, A, A         \
	VMULPS Y10, V, B       \
	VADDPS B, A, A         \
	VMOVUPS A, offset(R12) \
	VMULPS Y8, A, B        \
	VADDPS B, Y, Y

// func wkv7Head(y, state, r, k, v, w, kappa, a *float32, size int)
TEXT ·wkv7Head(SB), NOSPLIT, $0-72
	MOVQ y+0(FP), DI
	MOVQ state+8(FP), SI
	MOVQ r+16(FP), R8
	MOVQ k+24(FP), R9
	MOVQ v+32(FP), R10
	MOVQ w+40(FP), R11
	MOVQ kappa+48(FP), R13
	MOVQ a+56(FP), R15
	MOVQ size+64(FP), BX
	LEAQ (BX*4), DX
	XORQ AX, AX

strip:
	VMOVUPS (R10)(AX*4), Y2
	VMOVUPS 32(R10)(AX*4), Y3
	VMOVUPS (DI)(AX*4), Y4
	VMOVUPS 32(DI)(AX*4), Y5
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	LEAQ (SI)(AX*4), R12
	XORQ CX, CX

row:
	VBROADCASTSS (R13)(CX*4), Y11
	VBROADCASTSS (R15)(CX*4), Y12
	VMULPS Y12, Y11, Y11
	VBROADCASTSS (R8)(CX*4), Y8
	VBROADCASTSS (R11)(CX*4), Y9
	VBROADCASTSS (R9)(CX*4), Y10
	ROW(0, Y0, Y2, Y4, Y6, Y7)
	ROW(32, Y1, Y3, Y5, Y13, Y14)
	ADDQ DX, R12
	INCQ CX
	CMPQ CX, BX
	JNE row
	VMOVUPS Y0, (DI)(AX*4)
	VMOVUPS Y1, 32(DI)(AX*4)
	ADDQ $16, AX
	CMPQ AX, BX
	JNE strip
	VZEROUPPER
	RET
