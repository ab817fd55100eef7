#include "textflag.h"
#include "arm64x.h"

// ROW adds 32 samples in V0 and V1: those times weight LOW of V4 to 32 bits in V16 to V23,
// and times weight HIGH to 16 bits in V24 to V27, where what matters of them fits.
#define ROW(HIGH, LOW) \
	VUXTL  V0.B8, V2.H8;            \
	VUXTL2 V0.B16, V3.H8;           \
	VUXTL  V1.B8, V5.H8;            \
	VUXTL2 V1.B16, V6.H8;           \
	SMLAL_4S_LANE(LOW, 4, 2, 16);   \
	SMLAL2_4S_LANE(LOW, 4, 2, 17);  \
	SMLAL_4S_LANE(LOW, 4, 3, 18);   \
	SMLAL2_4S_LANE(LOW, 4, 3, 19);  \
	SMLAL_4S_LANE(LOW, 4, 5, 20);   \
	SMLAL2_4S_LANE(LOW, 4, 5, 21);  \
	SMLAL_4S_LANE(LOW, 4, 6, 22);   \
	SMLAL2_4S_LANE(LOW, 4, 6, 23);  \
	MLA_8H_LANE(HIGH, 4, 2, 24);    \
	MLA_8H_LANE(HIGH, 4, 3, 25);    \
	MLA_8H_LANE(HIGH, 4, 5, 26);    \
	MLA_8H_LANE(HIGH, 4, 6, 27)

// func resample(dst, src *uint8, stride, n int, w *int16, len int)
//
//	R0 dst   R1 src   R2 stride   R3 n   R4 w   R5 samples left
//	R6 row   R7 weights   R8 rows left   R9 32
//	V29 2^21
TEXT ·resample(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD stride+16(FP), R2
	MOVD n+24(FP), R3
	MOVD w+32(FP), R4
	MOVD len+40(FP), R5
	MOVD $32, R9
	MOVD $(1<<21), R10
	VDUP R10, V29.S4

samples:
	VMOV V29.B16, V16.B16
	VMOV V29.B16, V17.B16
	VMOV V29.B16, V18.B16
	VMOV V29.B16, V19.B16
	VMOV V29.B16, V20.B16
	VMOV V29.B16, V21.B16
	VMOV V29.B16, V22.B16
	VMOV V29.B16, V23.B16
	VEOR V24.B16, V24.B16, V24.B16
	VEOR V25.B16, V25.B16, V25.B16
	VEOR V26.B16, V26.B16, V26.B16
	VEOR V27.B16, V27.B16, V27.B16
	MOVD R1, R6
	MOVD R4, R7
	SUBS $2, R3, R8
	BLT  odd

two:
	FMOVD.P 8(R7), F4
	FLDPQ   (R6), (F0, F1)
	ADD     R2, R6
	ROW(0, 2)
	FLDPQ   (R6), (F0, F1)
	ADD     R2, R6
	ROW(1, 3)
	SUBS    $2, R8
	BGE     two

odd:
	CMN   $2, R8
	BEQ   whole
	FMOVD (R7), F4
	FLDPQ (R6), (F0, F1)
	ROW(0, 2)

whole:
	// The upper halves of the sums of 32 bits.
	VUZP2 V17.H8, V16.H8, V16.H8
	VUZP2 V19.H8, V18.H8, V18.H8
	VUZP2 V21.H8, V20.H8, V20.H8
	VUZP2 V23.H8, V22.H8, V22.H8
	VADD  V24.H8, V16.H8, V16.H8
	VADD  V25.H8, V18.H8, V18.H8
	VADD  V26.H8, V20.H8, V20.H8
	VADD  V27.H8, V22.H8, V22.H8
	SQSHRUN_8B(6, 16, 0)
	SQSHRUN2_16B(6, 18, 0)
	SQSHRUN_8B(6, 20, 1)
	SQSHRUN2_16B(6, 22, 1)
	FSTPQ (F0, F1), (R0)

	// The next 32, or the last.
	SUBS R9, R5
	BEQ  done
	CMP  R9, R5
	CSEL LT, R5, R9, R10
	CSEL LT, R9, R5, R5
	ADD  R10, R0
	ADD  R10, R1
	B    samples

done:
	RET

// ZIP interleaves the bytes of A and B.
#define ZIP(A, B, LO, HI) \
	VZIP1 B.B16, A.B16, LO.B16; \
	VZIP2 B.B16, A.B16, HI.B16

// FORTH and BACK are rounds, which move one bit of the row from the register's number into
// the place within it, and one bit of the column the other way.
#define FORTH \
	ZIP(V0, V8, V16, V17); \
	ZIP(V1, V9, V18, V19); \
	ZIP(V2, V10, V20, V21); \
	ZIP(V3, V11, V22, V23); \
	ZIP(V4, V12, V24, V25); \
	ZIP(V5, V13, V26, V27); \
	ZIP(V6, V14, V28, V29); \
	ZIP(V7, V15, V30, V31)

#define BACK \
	ZIP(V16, V24, V0, V1); \
	ZIP(V17, V25, V2, V3); \
	ZIP(V18, V26, V4, V5); \
	ZIP(V19, V27, V6, V7); \
	ZIP(V20, V28, V8, V9); \
	ZIP(V21, V29, V10, V11); \
	ZIP(V22, V30, V12, V13); \
	ZIP(V23, V31, V14, V15)

// func transpose16(dst *uint8, dstStride int, src *uint8, srcStride, cols int)
//
//	R0 dst   R1 dstStride   R2 src   R3 srcStride   R4 columns left
//	R5 row, column   R6 16
TEXT ·transpose16(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD dstStride+8(FP), R1
	MOVD src+16(FP), R2
	MOVD srcStride+24(FP), R3
	MOVD cols+32(FP), R4
	MOVD $16, R6

tile:
	MOVD R2, R5
	VLD1.P (R5)(R3), [V0.B16]
	VLD1.P (R5)(R3), [V1.B16]
	VLD1.P (R5)(R3), [V2.B16]
	VLD1.P (R5)(R3), [V3.B16]
	VLD1.P (R5)(R3), [V4.B16]
	VLD1.P (R5)(R3), [V5.B16]
	VLD1.P (R5)(R3), [V6.B16]
	VLD1.P (R5)(R3), [V7.B16]
	VLD1.P (R5)(R3), [V8.B16]
	VLD1.P (R5)(R3), [V9.B16]
	VLD1.P (R5)(R3), [V10.B16]
	VLD1.P (R5)(R3), [V11.B16]
	VLD1.P (R5)(R3), [V12.B16]
	VLD1.P (R5)(R3), [V13.B16]
	VLD1.P (R5)(R3), [V14.B16]
	VLD1   (R5), [V15.B16]
	FORTH
	BACK
	FORTH
	BACK
	MOVD   R0, R5
	VST1.P [V0.B16], (R5)(R1)
	VST1.P [V1.B16], (R5)(R1)
	VST1.P [V2.B16], (R5)(R1)
	VST1.P [V3.B16], (R5)(R1)
	VST1.P [V4.B16], (R5)(R1)
	VST1.P [V5.B16], (R5)(R1)
	VST1.P [V6.B16], (R5)(R1)
	VST1.P [V7.B16], (R5)(R1)
	VST1.P [V8.B16], (R5)(R1)
	VST1.P [V9.B16], (R5)(R1)
	VST1.P [V10.B16], (R5)(R1)
	VST1.P [V11.B16], (R5)(R1)
	VST1.P [V12.B16], (R5)(R1)
	VST1.P [V13.B16], (R5)(R1)
	VST1.P [V14.B16], (R5)(R1)
	VST1   [V15.B16], (R5)

	SUBS R6, R4
	BEQ  done
	CMP  R6, R4
	CSEL LT, R4, R6, R7
	CSEL LT, R6, R4, R4
	ADD  R7, R2
	MADD R1, R0, R7, R0
	B    tile

done:
	RET
