#include "textflag.h"

// addRows: DI dst, SI rows, R8 x, R9 n, DX stride, BX columns left; R10 row, CX row index.

// func addRows512(dst, rows, x *float32, n, stride, cols int)
TEXT ·addRows512(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ x+16(FP), R8
	MOVQ n+24(FP), R9
	MOVQ stride+32(FP), DX
	MOVQ cols+40(FP), BX

wide:
	CMPQ BX, $64
	JLT narrow
	VXORPS X0, X0, X0
	VXORPS X1, X1, X1
	VXORPS X2, X2, X2
	VXORPS X3, X3, X3
	MOVQ SI, R10
	XORQ CX, CX
	TESTQ R9, R9
	JZ wideDone

wideRow:
	VBROADCASTSS (R8)(CX*4), Z4
	VMULPS (R10), Z4, Z5
	VMULPS 64(R10), Z4, Z6
	VMULPS 128(R10), Z4, Z7
	VMULPS 192(R10), Z4, Z8
	VADDPS Z5, Z0, Z0
	VADDPS Z6, Z1, Z1
	VADDPS Z7, Z2, Z2
	VADDPS Z8, Z3, Z3
	ADDQ DX, R10
	INCQ CX
	CMPQ CX, R9
	JNE wideRow

wideDone:
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VMOVUPS Z2, 128(DI)
	VMOVUPS Z3, 192(DI)
	ADDQ $256, DI
	ADDQ $256, SI
	SUBQ $64, BX
	JMP wide

narrow:
	TESTQ BX, BX
	JZ done
	VXORPS X0, X0, X0
	MOVQ SI, R10
	XORQ CX, CX
	TESTQ R9, R9
	JZ narrowDone

narrowRow:
	VBROADCASTSS (R8)(CX*4), Y4
	VMULPS (R10), Y4, Y5
	VADDPS Y5, Y0, Y0
	ADDQ DX, R10
	INCQ CX
	CMPQ CX, R9
	JNE narrowRow

narrowDone:
	VMOVUPS Y0, (DI)
	ADDQ $32, DI
	ADDQ $32, SI
	SUBQ $8, BX
	JMP narrow

done:
	VZEROUPPER
	RET

// SUM_ROWS is the loop of addRows and addHalfRows. FOUR and ONE multiply a row's 32 or 8
// values at R10 by Y4; WIDE and NARROW are the bytes that they take.
#define SUM_ROWS(FOUR, ONE, WIDE, NARROW) \
	wide: \
	CMPQ BX, $32; \
	JLT narrow; \
	VXORPS X0, X0, X0; \
	VXORPS X1, X1, X1; \
	VXORPS X2, X2, X2; \
	VXORPS X3, X3, X3; \
	MOVQ SI, R10; \
	XORQ CX, CX; \
	TESTQ R9, R9; \
	JZ wideDone; \
	wideRow: \
	VBROADCASTSS (R8)(CX*4), Y4; \
	FOUR; \
	VADDPS Y5, Y0, Y0; \
	VADDPS Y6, Y1, Y1; \
	VADDPS Y7, Y2, Y2; \
	VADDPS Y8, Y3, Y3; \
	ADDQ DX, R10; \
	INCQ CX; \
	CMPQ CX, R9; \
	JNE wideRow; \
	wideDone: \
	VMOVUPS Y0, (DI); \
	VMOVUPS Y1, 32(DI); \
	VMOVUPS Y2, 64(DI); \
	VMOVUPS Y3, 96(DI); \
	ADDQ $128, DI; \
	ADDQ WIDE, SI; \
	SUBQ $32, BX; \
	JMP wide; \
	narrow: \
	TESTQ BX, BX; \
	JZ done; \
	VXORPS X0, X0, X0; \
	MOVQ SI, R10; \
	XORQ CX, CX; \
	TESTQ R9, R9; \
	JZ narrowDone; \
	narrowRow: \
	VBROADCASTSS (R8)(CX*4), Y4; \
	ONE; \
	VADDPS Y5, Y0, Y0; \
	ADDQ DX, R10; \
	INCQ CX; \
	CMPQ CX, R9; \
	JNE narrowRow; \
	narrowDone: \
	VMOVUPS Y0, (DI); \
	ADDQ $32, DI; \
	ADDQ NARROW, SI; \
	SUBQ $8, BX; \
	JMP narrow; \
	done: \
	VZEROUPPER; \
	RET

#define FLOATS4 VMULPS (R10), Y4, Y5; VMULPS 32(R10), Y4, Y6; VMULPS 64(R10), Y4, Y7; VMULPS 96(R10), Y4, Y8
#define FLOATS1 VMULPS (R10), Y4, Y5
#define HALVES4 \
	VCVTPH2PS (R10), Y5;   \
	VCVTPH2PS 16(R10), Y6; \
	VCVTPH2PS 32(R10), Y7; \
	VCVTPH2PS 48(R10), Y8; \
	VMULPS Y5, Y4, Y5;     \
	VMULPS Y6, Y4, Y6;     \
	VMULPS Y7, Y4, Y7;     \
	VMULPS Y8, Y4, Y8
#define HALVES1 VCVTPH2PS (R10), Y5; VMULPS Y5, Y4, Y5

// func addRows(dst, rows, x *float32, n, stride, cols int)
TEXT ·addRows(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ x+16(FP), R8
	MOVQ n+24(FP), R9
	MOVQ stride+32(FP), DX
	MOVQ cols+40(FP), BX
	SUM_ROWS(FLOATS4, FLOATS1, $128, $32)

// func addHalfRows(dst *float32, rows *byte, x *float32, n, stride, cols int)
TEXT ·addHalfRows(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ x+16(FP), R8
	MOVQ n+24(FP), R9
	MOVQ stride+32(FP), DX
	MOVQ cols+40(FP), BX
	SUM_ROWS(HALVES4, HALVES1, $64, $16)
