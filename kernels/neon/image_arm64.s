#include "textflag.h"
#include "arm64x.h"

// Eight pairs of pixels at a time, which share their chroma: products with it are made
// once for the even and the odd pixels.
//
//	V0 to V3   bytes of U, V, even and odd Y, in the order of the format
//	V4   the factors, lanes as in yuvFactors   V5 black   V6 half   V7 128
//	V16, V17 rv*v   V18, V19 gu*u + gv*v   V20, V21 bu*u
//	V22 rvWhole*v   V23 v   V24 2*u

// CHROMA makes the products with the bytes in U and V.
#define CHROMA(U, V) \
	USUBL_8H(7, U, 24);              \
	USUBL_8H(7, V, 23);              \
	SMULL_4S_LANE(1, 4, 23, 16);     \
	SMULL2_4S_LANE(1, 4, 23, 17);    \
	SMULL_4S_LANE(2, 4, 24, 18);     \
	SMULL2_4S_LANE(2, 4, 24, 19);    \
	SMLAL_4S_LANE(3, 4, 23, 18);     \
	SMLAL2_4S_LANE(3, 4, 23, 19);    \
	SMULL_4S_LANE(4, 4, 24, 20);     \
	SMULL2_4S_LANE(4, 4, 24, 21);    \
	MUL_8H_LANE(5, 4, 23, 22);       \
	VADD V24.H8, V24.H8, V24.H8

// LUMA makes R, G and B of eight pixels out of the bytes in Y.
#define LUMA(Y, R, G, B, vR, vG, vB) \
	USUBL_8H(5, Y, 25);              \
	SMULL_4S_LANE(0, 4, 25, 26);     \
	SMULL2_4S_LANE(0, 4, 25, 27);    \
	VADD V6.S4, V26.S4, V26.S4;      \
	VADD V6.S4, V27.S4, V27.S4;      \
	ADDHN_4H(16, 26, R);             \
	ADDHN2_8H(17, 27, R);            \
	ADDHN_4H(18, 26, G);             \
	ADDHN2_8H(19, 27, G);            \
	ADDHN_4H(20, 26, B);             \
	ADDHN2_8H(21, 27, B);            \
	VADD vR.H8, V25.H8, vR.H8;       \
	VADD vG.H8, V25.H8, vG.H8;       \
	VADD vB.H8, V25.H8, vB.H8;       \
	VADD V22.H8, vR.H8, vR.H8;       \
	VSUB V23.H8, vG.H8, vG.H8;       \
	VADD V24.H8, vB.H8, vB.H8;       \
	SQXTUN_8B(R, R);                 \
	SQXTUN_8B(G, G);                 \
	SQXTUN_8B(B, B)

// RGB converts and stores 16 pixels: the even and the odd ones.
#define RGB(EVEN, ODD, U, V) \
	CHROMA(U, V);                            \
	LUMA(EVEN, 28, 29, 30, V28, V29, V30);   \
	LUMA(ODD, 0, 1, 2, V0, V1, V2);          \
	VZIP1 V0.B16, V28.B16, V28.B16;          \
	VZIP1 V1.B16, V29.B16, V29.B16;          \
	VZIP1 V2.B16, V30.B16, V30.B16;          \
	VST3  [V28.B16, V29.B16, V30.B16], (R0)

// FACTORS loads them from R5.
#define FACTORS \
	FMOVQ (R5), F4;          \
	VDUP  V4.B[12], V5.B16;  \
	VDUP  V4.H[7], V6.H8;    \
	VUXTL V6.H4, V6.S4;      \
	VMOVI $128, V7.B16;      \
	MOVD  $16, R6

// NEXT leaves in R7 how many pixels to advance: 16, or what is left to the last 16. It
// jumps to done after those.
#define NEXT \
	SUBS R6, R4;          \
	BEQ  done;            \
	CMP  R6, R4;          \
	CSEL LT, R4, R6, R7;  \
	CSEL LT, R6, R4, R4;  \
	ADD  R7<<1, R0;       \
	ADD  R7, R0

// func yuyvToRGB(dst, src *uint8, n int, f *yuvFactors)
TEXT ·yuyvToRGB(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R4
	MOVD f+24(FP), R5
	FACTORS

pixels:
	VLD4 (R1), [V0.B8, V1.B8, V2.B8, V3.B8]
	RGB(0, 2, 1, 3)
	NEXT
	ADD R7<<1, R1
	B   pixels

done:
	RET

// func uyvyToRGB(dst, src *uint8, n int, f *yuvFactors)
TEXT ·uyvyToRGB(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R4
	MOVD f+24(FP), R5
	FACTORS

pixels:
	VLD4 (R1), [V0.B8, V1.B8, V2.B8, V3.B8]
	RGB(1, 3, 0, 2)
	NEXT
	ADD R7<<1, R1
	B   pixels

done:
	RET

// func nv12ToRGB(dst, y, uv *uint8, n int, f *yuvFactors)
TEXT ·nv12ToRGB(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD y+8(FP), R1
	MOVD uv+16(FP), R2
	MOVD n+24(FP), R4
	MOVD f+32(FP), R5
	FACTORS

pixels:
	VLD2 (R1), [V0.B8, V1.B8]
	VLD2 (R2), [V2.B8, V3.B8]
	RGB(0, 1, 2, 3)
	NEXT
	ADD R7, R1
	ADD R7, R2
	B   pixels

done:
	RET

// func i420ToRGB(dst, y, u, v *uint8, n int, f *yuvFactors)
TEXT ·i420ToRGB(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD y+8(FP), R1
	MOVD u+16(FP), R2
	MOVD v+24(FP), R3
	MOVD n+32(FP), R4
	MOVD f+40(FP), R5
	FACTORS

pixels:
	VLD2  (R1), [V0.B8, V1.B8]
	FMOVD (R2), F2
	FMOVD (R3), F3
	RGB(0, 1, 2, 3)
	NEXT
	ADD R7, R1
	ADD R7>>1, R2
	ADD R7>>1, R3
	B   pixels

done:
	RET

// func greyToRGB(dst, src *uint8, n int)
TEXT ·greyToRGB(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R4
	MOVD $16, R6

pixels:
	FMOVQ (R1), F0
	VMOV  V0.B16, V1.B16
	VMOV  V0.B16, V2.B16
	VST3  [V0.B16, V1.B16, V2.B16], (R0)
	NEXT
	ADD R7, R1
	B   pixels

done:
	RET
