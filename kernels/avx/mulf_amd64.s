#include "textflag.h"

// Products of float rows: four rows with one vector, two sums of eight lanes to a row.
//
// DI dst, SI w, R8 bytes of a row, R9 3*R8, R10 x, CX columns left.

#define BEGIN \
	MOVQ dst+0(FP), DI       \
	MOVQ w+8(FP), SI         \
	MOVQ x+16(FP), R10       \
	MOVQ rowBytes+24(FP), R8 \
	MOVQ cols+32(FP), CX     \
	LEAQ (R8)(R8*2), R9      \
	VXORPS X0, X0, X0        \
	VXORPS X1, X1, X1        \
	VXORPS X2, X2, X2        \
	VXORPS X3, X3, X3        \
	VXORPS X4, X4, X4        \
	VXORPS X5, X5, X5        \
	VXORPS X6, X6, X6        \
	VXORPS X7, X7, X7

#define END \
	VADDPS Y1, Y0, Y0  \
	VADDPS Y3, Y2, Y2  \
	VADDPS Y5, Y4, Y4  \
	VADDPS Y7, Y6, Y6  \
	VHADDPS Y2, Y0, Y0 \
	VHADDPS Y6, Y4, Y4 \
	VHADDPS Y4, Y0, Y0 \
	VEXTRACTF128 $1, Y0, X1 \
	VADDPS X1, X0, X0  \
	VMOVUPS X0, (DI)   \
	VZEROUPPER         \
	RET

// Sixteen columns; A and B are the sums of their halves. F32, F16 and BF16 widen.
#define ROW(WIDEN, lo, hi, A, B) \
	WIDEN(lo, Y10)         \
	WIDEN(hi, Y11)         \
	VFMADD231PS Y8, Y10, A \
	VFMADD231PS Y9, Y11, B

#define F32(at, D) VMOVUPS at, D
#define F16(at, D) VCVTPH2PS at, D
#define BF16(at, D) VPMOVZXWD at, D; VPSLLD $16, D, D

#define LOOP(WIDEN, half) \
loop:                                                  \
	VMOVUPS (R10), Y8                                      \
	VMOVUPS 32(R10), Y9                                    \
	ROW(WIDEN, (SI), half(SI), Y0, Y1)                     \
	ROW(WIDEN, (SI)(R8*1), half(SI)(R8*1), Y2, Y3)         \
	ROW(WIDEN, (SI)(R8*2), half(SI)(R8*2), Y4, Y5)         \
	ROW(WIDEN, (SI)(R9*1), half(SI)(R9*1), Y6, Y7)         \
	ADDQ $(2*half), SI                                     \
	ADDQ $64, R10                                          \
	SUBQ $16, CX                                           \
	JNZ loop

// func mulF32(dst *float32, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulF32(SB), NOSPLIT, $0-40
	BEGIN
	LOOP(F32, 32)
	END

// func mulF16(dst *float32, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulF16(SB), NOSPLIT, $0-40
	BEGIN
	LOOP(F16, 16)
	END

// func mulBF16(dst *float32, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulBF16(SB), NOSPLIT, $0-40
	BEGIN
	LOOP(BF16, 16)
	END
