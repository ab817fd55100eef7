#include "textflag.h"
#include "arm64x.h"

// FACTORS spreads those of a channel at R4: mean, std, 1/std and what it lacks.
#define FACTORS(MEAN, STD, HIGH, LOW) \
	VLD4R.P 16(R4), [MEAN.S4, STD.S4, HIGH.S4, LOW.S4]

// PLANE does a channel of eight pixels, bytes in the register IN. Quotients are products
// with the divisor's reciprocal in two parts, the sum rounded once.
#define PLANE(IN, HIGH, TO, MEAN, LOW) \
	VUXTL IN.B8, V3.H8;            \
	VUXTL2 V3.H8, V4.S4;           \
	VUXTL V3.H4, V3.S4;            \
	SCVTF_4S(3, 3);                \
	SCVTF_4S(4, 4);                \
	FMUL_4S(31, 3, 5);             \
	FMUL_4S(31, 4, 6);             \
	VFMLA V30.S4, V3.S4, V5.S4;    \
	VFMLA V30.S4, V4.S4, V6.S4;    \
	FSUB_4S(MEAN, 5, 5);              \
	FSUB_4S(MEAN, 6, 6);              \
	FMUL_4S(LOW, 5, 3);              \
	FMUL_4S(LOW, 6, 4);              \
	VFMLA HIGH.S4, V5.S4, V3.S4;   \
	VFMLA HIGH.S4, V6.S4, V4.S4;   \
	FSTPQ.P (F3, F4), 32(TO)

// func normalize(red, green, blue *float32, rgb *uint8, factors *[3][4]float32, n int)
//
//	R0, R1, R2 planes   R3 rgb   R4 factors   R5 pixels left
//	V16 to V27 factors of red, green and blue   V30, V31 1/255 to 48 bits
TEXT ·normalize(SB), NOSPLIT, $0-48
	MOVD red+0(FP), R0
	MOVD green+8(FP), R1
	MOVD blue+16(FP), R2
	MOVD rgb+24(FP), R3
	MOVD factors+32(FP), R4
	MOVD n+40(FP), R5
	FACTORS(V16, V17, V18, V19)
	FACTORS(V20, V21, V22, V23)
	FACTORS(V24, V25, V26, V27)
	MOVW $0x3b808081, R6
	VDUP R6, V30.S4
	MOVW $0xaf7efeff, R6
	VDUP R6, V31.S4

pixels:
	VLD3.P 24(R3), [V0.B8, V1.B8, V2.B8]
	PLANE(V0, V18, R0, 16, 19)
	PLANE(V1, V22, R1, 20, 23)
	PLANE(V2, V26, R2, 24, 27)
	SUBS $8, R5
	BNE pixels
	RET
