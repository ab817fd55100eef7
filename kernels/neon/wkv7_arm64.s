#include "textflag.h"
#include "arm64x.h"

// READ adds a row of 32 columns at R9, times one lane of kappa (V31), to q, and goes to the
// next.
#define READ(lane) \
	FLDPQ (R9), (F16, F17);         \
	FLDPQ 32(R9), (F18, F19);       \
	FMLA_4S_LANE(lane, 31, 16, 20); \
	FMLA_4S_LANE(lane, 31, 17, 21); \
	FMLA_4S_LANE(lane, 31, 18, 22); \
	FMLA_4S_LANE(lane, 31, 19, 23); \
	FLDPQ 64(R9), (F16, F17);       \
	FLDPQ 96(R9), (F18, F19);       \
	FMLA_4S_LANE(lane, 31, 16, 24); \
	FMLA_4S_LANE(lane, 31, 17, 25); \
	FMLA_4S_LANE(lane, 31, 18, 26); \
	FMLA_4S_LANE(lane, 31, 19, 27); \
	ADD   R8, R9

// HALF advances 16 columns of one row of the state: S at off from R9, y, v and q in four
// registers each, and the row's lane of r (V28), k (V29), w (V30) and kappa*a (V31).
#define HALF(off, lane, y0, y1, y2, y3, v0, v1, v2, v3, q0, q1, q2, q3) \
	FLDPQ off(R9), (F16, F17);      \
	FLDPQ (off+32)(R9), (F18, F19); \
	FMUL_4S_LANE(lane, 30, 16, 16); \
	FMUL_4S_LANE(lane, 30, 17, 17); \
	FMUL_4S_LANE(lane, 30, 18, 18); \
	FMUL_4S_LANE(lane, 30, 19, 19); \
	FMLS_4S_LANE(lane, 31, q0, 16); \
	FMLS_4S_LANE(lane, 31, q1, 17); \
	FMLS_4S_LANE(lane, 31, q2, 18); \
	FMLS_4S_LANE(lane, 31, q3, 19); \
	FMLA_4S_LANE(lane, 29, v0, 16); \
	FMLA_4S_LANE(lane, 29, v1, 17); \
	FMLA_4S_LANE(lane, 29, v2, 18); \
	FMLA_4S_LANE(lane, 29, v3, 19); \
	FSTPQ (F16, F17), off(R9);      \
	FSTPQ (F18, F19), (off+32)(R9); \
	FMLA_4S_LANE(lane, 28, 16, y0); \
	FMLA_4S_LANE(lane, 28, 17, y1); \
	FMLA_4S_LANE(lane, 28, 18, y2); \
	FMLA_4S_LANE(lane, 28, 19, y3)

#define ROW(lane) \
	HALF(0, lane, 0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23);    \
	HALF(64, lane, 4, 5, 6, 7, 12, 13, 14, 15, 24, 25, 26, 27); \
	ADD R8, R9

// func wkv7Head(y, state, r, k, v, w, kappa, a *float32, size int)
//
//	R0 y  R1 state  R2 r  R3 k  R4 v  R5 w  R6 kappa  R7 a  R8 bytes of a row  R9 state,
//	running  R10-R12, R14, R15 r, k, w, kappa, a, running  R13 rows left
//	R19 size  R20 columns left
//	V0-V7 y  V8-V15 v  V16-V19 state  V20-V27 q
TEXT ·wkv7Head(SB), NOSPLIT, $0-72
	MOVD y+0(FP), R0
	MOVD state+8(FP), R1
	MOVD r+16(FP), R2
	MOVD k+24(FP), R3
	MOVD v+32(FP), R4
	MOVD w+40(FP), R5
	MOVD kappa+48(FP), R6
	MOVD a+56(FP), R7
	MOVD size+64(FP), R19
	LSL  $2, R19, R8
	MOVD R19, R20

columns:
	VEOR V20.B16, V20.B16, V20.B16
	VEOR V21.B16, V21.B16, V21.B16
	VEOR V22.B16, V22.B16, V22.B16
	VEOR V23.B16, V23.B16, V23.B16
	VEOR V24.B16, V24.B16, V24.B16
	VEOR V25.B16, V25.B16, V25.B16
	VEOR V26.B16, V26.B16, V26.B16
	VEOR V27.B16, V27.B16, V27.B16
	MOVD R1, R9
	MOVD R6, R14
	MOVD R19, R13

read:
	FMOVQ.P 16(R14), F31
	READ(0)
	READ(1)
	READ(2)
	READ(3)
	SUBS    $4, R13
	BNE     read

	VEOR   V0.B16, V0.B16, V0.B16
	VEOR   V1.B16, V1.B16, V1.B16
	VEOR   V2.B16, V2.B16, V2.B16
	VEOR   V3.B16, V3.B16, V3.B16
	VEOR   V4.B16, V4.B16, V4.B16
	VEOR   V5.B16, V5.B16, V5.B16
	VEOR   V6.B16, V6.B16, V6.B16
	VEOR   V7.B16, V7.B16, V7.B16
	VLD1.P 64(R4), [V8.B16, V9.B16, V10.B16, V11.B16]
	VLD1.P 64(R4), [V12.B16, V13.B16, V14.B16, V15.B16]
	MOVD   R1, R9
	MOVD   R2, R10
	MOVD   R3, R11
	MOVD   R5, R12
	MOVD   R6, R14
	MOVD   R7, R15
	MOVD   R19, R13

rows:
	FMOVQ.P 16(R14), F31
	FMOVQ.P 16(R15), F28
	FMUL_4S(28, 31, 31)
	FMOVQ.P 16(R10), F28
	FMOVQ.P 16(R11), F29
	FMOVQ.P 16(R12), F30
	ROW(0)
	ROW(1)
	ROW(2)
	ROW(3)
	SUBS    $4, R13
	BNE     rows
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	VST1.P  [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0)
	ADD     $128, R1
	SUBS    $32, R20
	BNE     columns
	RET
