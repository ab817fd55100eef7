#include "textflag.h"

// Four vectors times a block of columns of half-precision rows: the sums stay in registers
// from the first row to the last, and every weight is converted once.
//
// SI the block's first row, R10 row, DX stride, R9 rows, CX row index, BX columns left;
// R8, R12, R13, R14 the vectors; DI, R11, AX results of the first and strides to the others.

#define BEGIN4 \
	MOVQ dst+0(FP), DI        \
	MOVQ rows+8(FP), SI       \
	MOVQ x+16(FP), R8         \
	MOVQ n+24(FP), R9         \
	MOVQ stride+32(FP), DX    \
	MOVQ cols+40(FP), BX      \
	MOVQ dstStride+48(FP), R11 \
	MOVQ xStride+56(FP), R12  \
	LEAQ (R11)(R11*2), AX     \
	LEAQ (R8)(R12*2), R13     \
	LEAQ (R13)(R12*1), R14    \
	ADDQ R8, R12

// Products are rounded before they are added, as in package portable.
#define ADD4x64(X, A, B, C, D) \
	VBROADCASTSS (X)(CX*4), Z20 \
	VMULPS Z20, Z16, Z21 \
	VMULPS Z20, Z17, Z22 \
	VMULPS Z20, Z18, Z23 \
	VMULPS Z20, Z19, Z24 \
	VADDPS Z21, A, A     \
	VADDPS Z22, B, B     \
	VADDPS Z23, C, C     \
	VADDPS Z24, D, D

#define ADD4x16(X, A) \
	VMULPS.BCST (X)(CX*4), Z16, Z20 \
	VADDPS Z20, A, A

#define STORE4x64(at, A, B, C, D) \
	VMOVUPS A, at    \
	VMOVUPS B, 64+at \
	VMOVUPS C, 128+at \
	VMOVUPS D, 192+at

#define ADD4x2(X, A, B) \
	VBROADCASTSS (X)(CX*4), Y10 \
	VMULPS Y10, Y8, Y11 \
	VMULPS Y10, Y9, Y12 \
	VADDPS Y11, A, A    \
	VADDPS Y12, B, B

#define ADD4x1(X, A) \
	VBROADCASTSS (X)(CX*4), Y10 \
	VMULPS Y10, Y8, Y11 \
	VADDPS Y11, A, A

// func halfRows4x512(dst *float32, rows *byte, x *float32, n, stride, cols, dstStride, xStride int)
TEXT ·halfRows4x512(SB), NOSPLIT, $0-64
	BEGIN4

wide:
	CMPQ BX, $64
	JLT narrow
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	VPXORD Z4, Z4, Z4
	VPXORD Z5, Z5, Z5
	VPXORD Z6, Z6, Z6
	VPXORD Z7, Z7, Z7
	VPXORD Z8, Z8, Z8
	VPXORD Z9, Z9, Z9
	VPXORD Z10, Z10, Z10
	VPXORD Z11, Z11, Z11
	VPXORD Z12, Z12, Z12
	VPXORD Z13, Z13, Z13
	VPXORD Z14, Z14, Z14
	VPXORD Z15, Z15, Z15
	MOVQ SI, R10
	XORQ CX, CX

wideRow:
	PREFETCHT0 128(R10)
	PREFETCHT0 192(R10)
	VCVTPH2PS (R10), Z16
	VCVTPH2PS 32(R10), Z17
	VCVTPH2PS 64(R10), Z18
	VCVTPH2PS 96(R10), Z19
	ADD4x64(R8, Z0, Z1, Z2, Z3)
	ADD4x64(R12, Z4, Z5, Z6, Z7)
	ADD4x64(R13, Z8, Z9, Z10, Z11)
	ADD4x64(R14, Z12, Z13, Z14, Z15)
	ADDQ DX, R10
	INCQ CX
	CMPQ CX, R9
	JNE wideRow
	STORE4x64(0(DI), Z0, Z1, Z2, Z3)
	STORE4x64(0(DI)(R11*1), Z4, Z5, Z6, Z7)
	STORE4x64(0(DI)(R11*2), Z8, Z9, Z10, Z11)
	STORE4x64(0(DI)(AX*1), Z12, Z13, Z14, Z15)
	ADDQ $256, DI
	ADDQ $128, SI
	SUBQ $64, BX
	JMP wide

	// Sixteen columns, or the last eight; K1 says which lanes.
narrow:
	TESTQ BX, BX
	JLE done
	MOVL $0xffff, CX
	KMOVW CX, K1
	CMPQ BX, $16
	JGE lanes
	MOVL $0xff, CX
	KMOVW CX, K1

lanes:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	MOVQ SI, R10
	XORQ CX, CX

narrowRow:
	VCVTPH2PS.Z (R10), K1, Z16
	ADD4x16(R8, Z0)
	ADD4x16(R12, Z1)
	ADD4x16(R13, Z2)
	ADD4x16(R14, Z3)
	ADDQ DX, R10
	INCQ CX
	CMPQ CX, R9
	JNE narrowRow
	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z1, K1, (DI)(R11*1)
	VMOVUPS Z2, K1, (DI)(R11*2)
	VMOVUPS Z3, K1, (DI)(AX*1)
	ADDQ $64, DI
	ADDQ $32, SI
	SUBQ $16, BX
	JMP narrow

done:
	VZEROUPPER
	RET

// func halfRows4(dst *float32, rows *byte, x *float32, n, stride, cols, dstStride, xStride int)
TEXT ·halfRows4(SB), NOSPLIT, $0-64
	BEGIN4

wide:
	CMPQ BX, $16
	JLT narrow
	VXORPS X0, X0, X0
	VXORPS X1, X1, X1
	VXORPS X2, X2, X2
	VXORPS X3, X3, X3
	VXORPS X4, X4, X4
	VXORPS X5, X5, X5
	VXORPS X6, X6, X6
	VXORPS X7, X7, X7
	MOVQ SI, R10
	XORQ CX, CX

wideRow:
	VCVTPH2PS (R10), Y8
	VCVTPH2PS 16(R10), Y9
	ADD4x2(R8, Y0, Y1)
	ADD4x2(R12, Y2, Y3)
	ADD4x2(R13, Y4, Y5)
	ADD4x2(R14, Y6, Y7)
	ADDQ DX, R10
	INCQ CX
	CMPQ CX, R9
	JNE wideRow
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, (DI)(R11*1)
	VMOVUPS Y3, 32(DI)(R11*1)
	VMOVUPS Y4, (DI)(R11*2)
	VMOVUPS Y5, 32(DI)(R11*2)
	VMOVUPS Y6, (DI)(AX*1)
	VMOVUPS Y7, 32(DI)(AX*1)
	ADDQ $64, DI
	ADDQ $32, SI
	SUBQ $16, BX
	JMP wide

narrow:
	TESTQ BX, BX
	JZ done
	VXORPS X0, X0, X0
	VXORPS X1, X1, X1
	VXORPS X2, X2, X2
	VXORPS X3, X3, X3
	XORQ CX, CX

narrowRow:
	VCVTPH2PS (SI), Y8
	ADD4x1(R8, Y0)
	ADD4x1(R12, Y1)
	ADD4x1(R13, Y2)
	ADD4x1(R14, Y3)
	ADDQ DX, SI
	INCQ CX
	CMPQ CX, R9
	JNE narrowRow
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, (DI)(R11*1)
	VMOVUPS Y2, (DI)(R11*2)
	VMOVUPS Y3, (DI)(AX*1)

done:
	VZEROUPPER
	RET
