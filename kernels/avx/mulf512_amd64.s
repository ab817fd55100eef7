#include "textflag.h"

// Products of float rows with AVX-512: one sum of sixteen lanes to a row and vector, which
// are the two sums of eight of mulf_amd64.s and are added in the same order.
//
// Four rows with six vectors: DI dst, DX bytes from a vector to the next in it, SI w, R8 bytes
// of a row, R9 3*R8, R10 x, R11 bytes of a vector, R12 3*R11, R13 x+3*R11, CX columns left.
// Z0 to Z23 are the sums, the four rows of a vector after those of another.

#define CLEAR4(A, B, C, D) \
	VPXORQ A, A, A \
	VPXORQ B, B, B \
	VPXORQ C, C, C \
	VPXORQ D, D, D

#define BEGIN \
	MOVQ dst+0(FP), DI             \
	MOVQ stride+8(FP), DX          \
	MOVQ w+16(FP), SI              \
	MOVQ x+24(FP), R10             \
	MOVQ rowBytes+32(FP), R8       \
	MOVQ cols+40(FP), CX           \
	LEAQ (R8)(R8*2), R9            \
	LEAQ (CX*4), R11               \
	LEAQ (R11)(R11*2), R12         \
	LEAQ (R10)(R12*1), R13         \
	CLEAR4(Z0, Z1, Z2, Z3)         \
	CLEAR4(Z4, Z5, Z6, Z7)         \
	CLEAR4(Z8, Z9, Z10, Z11)       \
	CLEAR4(Z12, Z13, Z14, Z15)     \
	CLEAR4(Z16, Z17, Z18, Z19)     \
	CLEAR4(Z20, Z21, Z22, Z23)

// F32, F16 and BF16 widen sixteen values.
#define F32(at, D) VMOVUPS at, D
#define F16(at, D) VCVTPH2PS at, D
#define BF16(at, D) VPMOVZXWD at, D; VPSLLD $16, D, D

#define VECTOR(at, A, B, C, D) \
	VMOVUPS at, Z28           \
	VFMADD231PS Z28, Z24, A   \
	VFMADD231PS Z28, Z25, B   \
	VFMADD231PS Z28, Z26, C   \
	VFMADD231PS Z28, Z27, D

#define LOOP(WIDEN, bytes) \
loop: \
	WIDEN((SI), Z24)                              \
	WIDEN((SI)(R8*1), Z25)                        \
	WIDEN((SI)(R8*2), Z26)                        \
	WIDEN((SI)(R9*1), Z27)                        \
	VECTOR((R10), Z0, Z1, Z2, Z3)                 \
	VECTOR((R10)(R11*1), Z4, Z5, Z6, Z7)          \
	VECTOR((R10)(R11*2), Z8, Z9, Z10, Z11)        \
	VECTOR((R13), Z12, Z13, Z14, Z15)             \
	VECTOR((R13)(R11*1), Z16, Z17, Z18, Z19)      \
	VECTOR((R13)(R11*2), Z20, Z21, Z22, Z23)      \
	ADDQ $bytes, SI                               \
	ADDQ $64, R10                                 \
	ADDQ $64, R13                                 \
	SUBQ $16, CX                                  \
	JNZ loop

// FOLD adds the upper lanes of a sum to the lower ones.
#define FOLD(Z, Y, D) \
	VEXTRACTF64X4 $1, Z, Y24 \
	VADDPS Y24, Y, D

// STORE writes the four rows of a vector. The first vector's registers are free after it.
#define STORE(ZA, YA, ZB, YB, ZC, YC, ZD, YD) \
	FOLD(ZA, YA, Y0)   \
	FOLD(ZB, YB, Y1)   \
	FOLD(ZC, YC, Y2)   \
	FOLD(ZD, YD, Y3)   \
	VHADDPS Y1, Y0, Y0 \
	VHADDPS Y3, Y2, Y2 \
	VHADDPS Y2, Y0, Y0 \
	VEXTRACTF128 $1, Y0, X1 \
	VADDPS X1, X0, X0  \
	VMOVUPS X0, (DI)   \
	ADDQ DX, DI

#define END \
	STORE(Z0, Y0, Z1, Y1, Z2, Y2, Z3, Y3)         \
	STORE(Z4, Y4, Z5, Y5, Z6, Y6, Z7, Y7)         \
	STORE(Z8, Y8, Z9, Y9, Z10, Y10, Z11, Y11)     \
	STORE(Z12, Y12, Z13, Y13, Z14, Y14, Z15, Y15) \
	STORE(Z16, Y16, Z17, Y17, Z18, Y18, Z19, Y19) \
	STORE(Z20, Y20, Z21, Y21, Z22, Y22, Z23, Y23) \
	VZEROUPPER \
	RET

// func mulF32x6r4x512(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulF32x6r4x512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(F32, 64)
	END

// func mulF16x6r4x512(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulF16x6r4x512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(F16, 32)
	END

// func mulBF16x6r4x512(dst *float32, stride int, w *byte, x *float32, rowBytes, cols int)
TEXT ·mulBF16x6r4x512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(BF16, 32)
	END
