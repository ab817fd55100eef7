#include "textflag.h"

// func bonus4(y, r, k, u *float32, size, pitch int)
//
// Four sums run side by side, each in order: their latency is what costs.
//
// DI y, SI r, R8 k, R9 u, CX size left, DX pitch, R10 3*pitch
TEXT ·bonus4(SB), NOSPLIT, $0-48
	MOVQ y+0(FP), DI
	MOVQ r+8(FP), SI
	MOVQ k+16(FP), R8
	MOVQ u+24(FP), R9
	MOVQ size+32(FP), CX
	MOVQ pitch+40(FP), DX
	LEAQ (DX)(DX*2), R10
	VXORPS X0, X0, X0
	VXORPS X1, X1, X1
	VXORPS X2, X2, X2
	VXORPS X3, X3, X3

channel:
	VMOVSS (SI), X4
	VMOVSS (SI)(DX*1), X5
	VMOVSS (SI)(DX*2), X6
	VMOVSS (SI)(R10*1), X7
	VMULSS (R9), X4, X4
	VMULSS (R9), X5, X5
	VMULSS (R9), X6, X6
	VMULSS (R9), X7, X7
	VMULSS (R8), X4, X4
	VMULSS (R8)(DX*1), X5, X5
	VMULSS (R8)(DX*2), X6, X6
	VMULSS (R8)(R10*1), X7, X7
	VADDSS X4, X0, X0
	VADDSS X5, X1, X1
	VADDSS X6, X2, X2
	VADDSS X7, X3, X3
	ADDQ $4, SI
	ADDQ $4, R8
	ADDQ $4, R9
	DECQ CX
	JNZ channel
	VMOVSS X0, (DI)
	VMOVSS X1, (DI)(DX*1)
	VMOVSS X2, (DI)(DX*2)
	VMOVSS X3, (DI)(R10*1)
	RET

// func bonus1(y, r, k, u *float32, size int)
TEXT ·bonus1(SB), NOSPLIT, $0-40
	MOVQ y+0(FP), DI
	MOVQ r+8(FP), SI
	MOVQ k+16(FP), R8
	MOVQ u+24(FP), R9
	MOVQ size+32(FP), CX
	VXORPS X0, X0, X0

channel:
	VMOVSS (SI), X4
	VMULSS (R9), X4, X4
	VMULSS (R8), X4, X4
	VADDSS X4, X0, X0
	ADDQ $4, SI
	ADDQ $4, R8
	ADDQ $4, R9
	DECQ CX
	JNZ channel
	VMOVSS X0, (DI)
	RET

// In the functions below: DI y, SI state, R8 r, R9 k, R10 v, R11 w, BX size, DX bytes of
// a row of the state; AX, R12 the strip of 32 columns, CX the row.

// ROW512 takes 16 columns of a row: Y the output, V the value.
#define ROW512(offset, Y, V, A, B) \
	VMOVUPS offset(R12), A \
	VMULPS Z20, A, B       \
	VADDPS B, Y, Y         \
	VMULPS Z21, A, A       \
	VMULPS Z22, V, B       \
	VADDPS B, A, A         \
	VMOVUPS A, offset(R12)

// func wkv6Head512(y, state, r, k, v, w *float32, size int)
TEXT ·wkv6Head512(SB), NOSPLIT, $0-56
	MOVQ y+0(FP), DI
	MOVQ state+8(FP), SI
	MOVQ r+16(FP), R8
	MOVQ k+24(FP), R9
	MOVQ v+32(FP), R10
	MOVQ w+40(FP), R11
	MOVQ size+48(FP), BX
	LEAQ (BX*4), DX
	XORQ AX, AX
	VBROADCASTSS (DI), Z31

strip:
	VMOVUPS (R10)(AX*4), Z2
	VMOVUPS 64(R10)(AX*4), Z3
	VMULPS Z31, Z2, Z0
	VMULPS Z31, Z3, Z1
	LEAQ (SI)(AX*4), R12
	XORQ CX, CX

row:
	VBROADCASTSS (R8)(CX*4), Z20
	VBROADCASTSS (R11)(CX*4), Z21
	VBROADCASTSS (R9)(CX*4), Z22
	ROW512(0, Z0, Z2, Z4, Z5)
	ROW512(64, Z1, Z3, Z6, Z7)
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

// ROW takes 8 columns of a row.
#define ROW(offset, Y, V) \
	VMOVUPS offset(R12), Y11 \
	VMULPS Y8, Y11, Y12      \
	VADDPS Y12, Y, Y         \
	VMULPS Y9, Y11, Y11      \
	VMULPS Y10, V, Y12       \
	VADDPS Y12, Y11, Y11     \
	VMOVUPS Y11, offset(R12)

// func wkv6Head(y, state, r, k, v, w *float32, size int)
TEXT ·wkv6Head(SB), NOSPLIT, $0-56
	MOVQ y+0(FP), DI
	MOVQ state+8(FP), SI
	MOVQ r+16(FP), R8
	MOVQ k+24(FP), R9
	MOVQ v+32(FP), R10
	MOVQ w+40(FP), R11
	MOVQ size+48(FP), BX
	LEAQ (BX*4), DX
	XORQ AX, AX
	VBROADCASTSS (DI), Y15

strip:
	VMOVUPS (R10)(AX*4), Y4
	VMOVUPS 32(R10)(AX*4), Y5
	VMOVUPS 64(R10)(AX*4), Y6
	VMOVUPS 96(R10)(AX*4), Y7
	VMULPS Y15, Y4, Y0
	VMULPS Y15, Y5, Y1
	VMULPS Y15, Y6, Y2
	VMULPS Y15, Y7, Y3
	LEAQ (SI)(AX*4), R12
	XORQ CX, CX

row:
	VBROADCASTSS (R8)(CX*4), Y8
	VBROADCASTSS (R11)(CX*4), Y9
	VBROADCASTSS (R9)(CX*4), Y10
	ROW(0, Y0, Y4)
	ROW(32, Y1, Y5)
	ROW(64, Y2, Y6)
	ROW(96, Y3, Y7)
	ADDQ DX, R12
	INCQ CX
	CMPQ CX, BX
	JNE row
	VMOVUPS Y0, (DI)(AX*4)
	VMOVUPS Y1, 32(DI)(AX*4)
	VMOVUPS Y2, 64(DI)(AX*4)
	VMOVUPS Y3, 96(DI)(AX*4)
	ADDQ $32, AX
	CMPQ AX, BX
	JNE strip
	VZEROUPPER
	RET
