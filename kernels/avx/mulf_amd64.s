#include "textflag.h"

// Products of float rows: two sums of eight lanes to a row and vector.
//
// Four rows with one vector: DI dst, SI w, R8 bytes of a row, R9 3*R8, R10 x, CX columns left.

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

// Two rows with three vectors: DX bytes from a vector to the next in dst, R11 in x. Y0 to Y5
// are the sums of the lower lanes, two rows of a vector after those of another, Y6 to Y11
// those of the upper ones.

#define BEGIN3 \
	MOVQ dst+0(FP), DI       \
	MOVQ stride+8(FP), DX    \
	MOVQ w+16(FP), SI        \
	MOVQ x+24(FP), R10       \
	MOVQ rowBytes+32(FP), R8 \
	MOVQ cols+40(FP), CX     \
	LEAQ (CX*4), R11         \
	VXORPS X0, X0, X0        \
	VXORPS X1, X1, X1        \
	VXORPS X2, X2, X2        \
	VXORPS X3, X3, X3        \
	VXORPS X4, X4, X4        \
	VXORPS X5, X5, X5        \
	VXORPS X6, X6, X6        \
	VXORPS X7, X7, X7        \
	VXORPS X8, X8, X8        \
	VXORPS X9, X9, X9        \
	VXORPS X10, X10, X10     \
	VXORPS X11, X11, X11

#define VECTOR(at, A, B) \
	VMOVUPS at, Y14          \
	VFMADD231PS Y14, Y12, A  \
	VFMADD231PS Y14, Y13, B

#define LANES(WIDEN, W0, W1, at, A, B, C, D, E, F) \
	WIDEN(W0, Y12)                 \
	WIDEN(W1, Y13)                 \
	VECTOR(at(R10), A, B)          \
	VECTOR(at(R10)(R11*1), C, D)   \
	VECTOR(at(R10)(R11*2), E, F)

#define LOOP3(WIDEN, half) \
loop:                                                                      \
	LANES(WIDEN, (SI), (SI)(R8*1), 0, Y0, Y1, Y2, Y3, Y4, Y5)                 \
	LANES(WIDEN, half(SI), half(SI)(R8*1), 32, Y6, Y7, Y8, Y9, Y10, Y11)      \
	ADDQ $(2*half), SI                                                        \
	ADDQ $64, R10                                                             \
	SUBQ $16, CX                                                              \
	JNZ loop

// Lanes are added in the order of END.
#define END3 \
	VADDPS Y6, Y0, Y0  \
	VADDPS Y7, Y1, Y1  \
	VADDPS Y8, Y2, Y2  \
	VADDPS Y9, Y3, Y3  \
	VADDPS Y10, Y4, Y4 \
	VADDPS Y11, Y5, Y5 \
	VHADDPS Y1, Y0, Y0 \
	VHADDPS Y3, Y2, Y2 \
	VHADDPS Y5, Y4, Y4 \
	VHADDPS Y2, Y0, Y0 \
	VHADDPS Y4, Y4, Y4 \
	VEXTRACTF128 $1, Y0, X1  \
	VEXTRACTF128 $1, Y4, X5  \
	VADDPS X1, X0, X0        \
	VADDPS X5, X4, X4        \
	VMOVLPS X0, (DI)         \
	VMOVHPS X0, (DI)(DX*1)   \
	VMOVLPS X4, (DI)(DX*2)   \
	VZEROUPPER               \
	RET

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

// func mulF32x3(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulF32x3(SB), NOSPLIT, $0-48
	BEGIN3
	LOOP3(F32, 32)
	END3

// func mulF16x3(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulF16x3(SB), NOSPLIT, $0-48
	BEGIN3
	LOOP3(F16, 16)
	END3

// func mulBF16x3(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulBF16x3(SB), NOSPLIT, $0-48
	BEGIN3
	LOOP3(BF16, 16)
	END3
