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

// func addRows(dst, rows, x *float32, n, stride, cols int)
TEXT ·addRows(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ x+16(FP), R8
	MOVQ n+24(FP), R9
	MOVQ stride+32(FP), DX
	MOVQ cols+40(FP), BX

wide:
	CMPQ BX, $32
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
	VBROADCASTSS (R8)(CX*4), Y4
	VMULPS (R10), Y4, Y5
	VMULPS 32(R10), Y4, Y6
	VMULPS 64(R10), Y4, Y7
	VMULPS 96(R10), Y4, Y8
	VADDPS Y5, Y0, Y0
	VADDPS Y6, Y1, Y1
	VADDPS Y7, Y2, Y2
	VADDPS Y8, Y3, Y3
	ADDQ DX, R10
	INCQ CX
	CMPQ CX, R9
	JNE wideRow

wideDone:
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $128, DI
	ADDQ $128, SI
	SUBQ $32, BX
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

// STREAM_ROWS sums rows four at a time, each from its first column to its last, so that
// the weights are read in the order in which they lie; the sums stay in the nearest
// cache. LOAD(ROW, X, DST) multiplies the 8 values of a row that begin at column CX by X.
//
// DI dst, SI rows, R8 x, R9 rows left, DX stride, BX columns, CX column.
#define STREAM_ROWS(LOAD) \
	VXORPS Y4, Y4, Y4; \
	XORQ CX, CX; \
	zero: \
	VMOVUPS Y4, (DI)(CX*4); \
	ADDQ $8, CX; \
	CMPQ CX, BX; \
	JLT zero; \
	four: \
	CMPQ R9, $4; \
	JLT one; \
	VBROADCASTSS (R8), Y0; \
	VBROADCASTSS 4(R8), Y1; \
	VBROADCASTSS 8(R8), Y2; \
	VBROADCASTSS 12(R8), Y3; \
	LEAQ (SI)(DX*1), R10; \
	LEAQ (SI)(DX*2), R11; \
	LEAQ (R10)(DX*2), R12; \
	XORQ CX, CX; \
	fourColumns: \
	LOAD(SI, Y0, Y5); \
	LOAD(R10, Y1, Y6); \
	LOAD(R11, Y2, Y7); \
	LOAD(R12, Y3, Y8); \
	VADDPS (DI)(CX*4), Y5, Y4; \
	VADDPS Y6, Y4, Y4; \
	VADDPS Y7, Y4, Y4; \
	VADDPS Y8, Y4, Y4; \
	VMOVUPS Y4, (DI)(CX*4); \
	ADDQ $8, CX; \
	CMPQ CX, BX; \
	JLT fourColumns; \
	LEAQ (SI)(DX*4), SI; \
	ADDQ $16, R8; \
	SUBQ $4, R9; \
	JMP four; \
	one: \
	TESTQ R9, R9; \
	JZ done; \
	VBROADCASTSS (R8), Y0; \
	XORQ CX, CX; \
	oneColumns: \
	LOAD(SI, Y0, Y5); \
	VADDPS (DI)(CX*4), Y5, Y4; \
	VMOVUPS Y4, (DI)(CX*4); \
	ADDQ $8, CX; \
	CMPQ CX, BX; \
	JLT oneColumns; \
	ADDQ DX, SI; \
	ADDQ $4, R8; \
	DECQ R9; \
	JMP one; \
	done: \
	VZEROUPPER; \
	RET

#define FLOATS(ROW, X, DST) VMULPS (ROW)(CX*4), X, DST
#define HALVES(ROW, X, DST) VCVTPH2PS (ROW)(CX*2), DST; VMULPS DST, X, DST

// func streamRows(dst, rows, x *float32, n, stride, cols int)
TEXT ·streamRows(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ x+16(FP), R8
	MOVQ n+24(FP), R9
	MOVQ stride+32(FP), DX
	MOVQ cols+40(FP), BX
	STREAM_ROWS(FLOATS)

// func streamHalfRows(dst *float32, rows *byte, x *float32, n, stride, cols int)
TEXT ·streamHalfRows(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ rows+8(FP), SI
	MOVQ x+16(FP), R8
	MOVQ n+24(FP), R9
	MOVQ stride+32(FP), DX
	MOVQ cols+40(FP), BX
	STREAM_ROWS(HALVES)
