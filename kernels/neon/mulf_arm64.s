#include "textflag.h"
#include "arm64x.h"

// Four rows of float weights times one vector, eight columns at a time, fused, into two
// registers of sums to a row.
//
//	R0 dst  R1, R6, R7, R8 rows, running  R3 x  R4 columns left
//	V0-V7 sums  V16, V17 x  V18, V19 weights

#define START \
	MOVD dst+0(FP), R0;           \
	MOVD w+8(FP), R1;             \
	MOVD rowBytes+16(FP), R2;     \
	MOVD x+24(FP), R3;            \
	MOVD cols+32(FP), R4;         \
	ADD  R2, R1, R6;              \
	ADD  R2, R6, R7;              \
	ADD  R2, R7, R8;              \
	VEOR V0.B16, V0.B16, V0.B16;  \
	VEOR V1.B16, V1.B16, V1.B16;  \
	VEOR V2.B16, V2.B16, V2.B16;  \
	VEOR V3.B16, V3.B16, V3.B16;  \
	VEOR V4.B16, V4.B16, V4.B16;  \
	VEOR V5.B16, V5.B16, V5.B16;  \
	VEOR V6.B16, V6.B16, V6.B16;  \
	VEOR V7.B16, V7.B16, V7.B16

// LOOP: LOAD(R) leaves eight weights in V18 and V19.
#define LOOP(LOAD) \
loop:                                   \
	FLDPQ.P 32(R3), (F16, F17);     \
	LOAD(R1);                       \
	VFMLA   V16.S4, V18.S4, V0.S4;  \
	VFMLA   V17.S4, V19.S4, V1.S4;  \
	LOAD(R6);                       \
	VFMLA   V16.S4, V18.S4, V2.S4;  \
	VFMLA   V17.S4, V19.S4, V3.S4;  \
	LOAD(R7);                       \
	VFMLA   V16.S4, V18.S4, V4.S4;  \
	VFMLA   V17.S4, V19.S4, V5.S4;  \
	LOAD(R8);                       \
	VFMLA   V16.S4, V18.S4, V6.S4;  \
	VFMLA   V17.S4, V19.S4, V7.S4;  \
	SUBS    $8, R4;                 \
	BNE     loop;                   \
	FADD_4S(1, 0, 0);               \
	FADD_4S(3, 2, 2);               \
	FADD_4S(5, 4, 4);               \
	FADD_4S(7, 6, 6);               \
	FADDP_4S(2, 0, 0);              \
	FADDP_4S(6, 4, 4);              \
	FADDP_4S(4, 0, 0);              \
	FMOVQ   F0, (R0);               \
	RET

#define LOADF32(R) FLDPQ.P 32(R), (F18, F19)

#define LOADF16(R) \
	FMOVQ.P 16(R), F19; \
	FCVTL_4S(19, 18);   \
	FCVTL2_4S(19, 19)

// A bfloat16 is the upper half of a float32; V20 is zero.
#define LOADBF16(R) \
	FMOVQ.P 16(R), F19;             \
	VZIP1   V19.H8, V20.H8, V18.H8; \
	VZIP2   V19.H8, V20.H8, V19.H8

// func mulF32(dst *float32, w *byte, rowBytes int, x *float32, cols int)
TEXT ·mulF32(SB), NOSPLIT, $0-40
	START
	LOOP(LOADF32)

// func mulF16(dst *float32, w *byte, rowBytes int, x *float32, cols int)
TEXT ·mulF16(SB), NOSPLIT, $0-40
	START
	LOOP(LOADF16)

// func mulBF16(dst *float32, w *byte, rowBytes int, x *float32, cols int)
TEXT ·mulBF16(SB), NOSPLIT, $0-40
	START
	VEOR V20.B16, V20.B16, V20.B16
	LOOP(LOADBF16)
