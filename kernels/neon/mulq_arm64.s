#include "textflag.h"
#include "arm64x.h"

// Four rows of Q8_0 or Q4_0 times one vector. Per block of 32 columns the dot products of
// the rows meet in one register and are scaled together.
//
//	R0 dst  R1, R6, R7, R8 rows, running  R3 q  R4 scale  R5 blocks left  R9 sum
//	V16 sums of the rows  V0, V1 activations  V2 dx  V3 dw  V31 15 or V30 8*Σx in Q4_0

#define START \
	MOVD dst+0(FP), R0;       \
	MOVD w+8(FP), R1;         \
	MOVD rowBytes+16(FP), R2; \
	MOVD q+24(FP), R3;        \
	MOVD scale+32(FP), R4;    \
	ADD  R2, R1, R6;          \
	ADD  R2, R6, R7;          \
	ADD  R2, R7, R8;          \
	VEOR V16.B16, V16.B16, V16.B16

// ACTS loads the block's activations and scale.
#define ACTS \
	FLDPQ.P 32(R3), (F0, F1); \
	VLD1R.P 4(R4), [V2.S4]

// ADDUP adds V4, V5, V6 and V7, each the partial sums of a row, to V4, one row to a lane.
#define ADDUP \
	VADDP V5.S4, V4.S4, V4.S4; \
	VADDP V7.S4, V6.S4, V6.S4; \
	VADDP V6.S4, V4.S4, V4.S4

// SCALE adds float(V4) * (dw*dx) to the sums.
#define SCALE \
	FCVTL_4S(3, 3);     \
	FMUL_4S(2, 3, 3);   \
	SCVTF_4S(4, 4);     \
	FMUL_4S(3, 4, 4);   \
	FADD_4S(4, 16, 16)

#define LOAD8(R, lane) \
	VLD1.P 2(R), V3.H[lane];            \
	VLD1.P 32(R), [V20.B16, V21.B16]

// DOT8 sets d to the products of a row, by SDOT.
#define DOT8(R, lane, d, vD) \
	LOAD8(R, lane);           \
	VEOR vD, vD, vD;          \
	SDOT_4S(0, 20, d);        \
	SDOT_4S(1, 21, d)

// BASE8 does it by SMULL: two products of at most 128*127 fit 16 bits.
#define BASE8(R, lane, d, vD) \
	LOAD8(R, lane);           \
	VEOR vD, vD, vD;          \
	SMULL_8H(0, 20, 22);      \
	SMULL2_8H(0, 20, 23);     \
	SMLAL_8H(1, 21, 22);      \
	SMLAL2_8H(1, 21, 23);     \
	SADALP_4S(22, d);         \
	SADALP_4S(23, d)

// func mulQ8Dot(dst *float32, w *byte, rowBytes int, q *int8, scale *float32, blocks int)
TEXT ·mulQ8Dot(SB), NOSPLIT, $0-48
	START
	MOVD blocks+40(FP), R5

loop:
	ACTS
	DOT8(R1, 0, 4, V4.B16)
	DOT8(R6, 1, 5, V5.B16)
	DOT8(R7, 2, 6, V6.B16)
	DOT8(R8, 3, 7, V7.B16)
	ADDUP
	SCALE
	SUBS  $1, R5
	BNE   loop
	FMOVQ F16, (R0)
	RET

// func mulQ8(dst *float32, w *byte, rowBytes int, q *int8, scale *float32, blocks int)
TEXT ·mulQ8(SB), NOSPLIT, $0-48
	START
	MOVD blocks+40(FP), R5

loop:
	ACTS
	BASE8(R1, 0, 4, V4.B16)
	BASE8(R6, 1, 5, V5.B16)
	BASE8(R7, 2, 6, V6.B16)
	BASE8(R8, 3, 7, V7.B16)
	ADDUP
	SCALE
	SUBS  $1, R5
	BNE   loop
	FMOVQ F16, (R0)
	RET

#define LOAD4(R, lane) \
	VLD1.P 2(R), V3.H[lane];         \
	VLD1.P 16(R), [V20.B16];         \
	VUSHR  $4, V20.B16, V21.B16;     \
	VAND   V31.B16, V20.B16, V20.B16

#define DOT4(R, lane, d, vD) \
	LOAD4(R, lane);           \
	VEOR vD, vD, vD;          \
	SDOT_4S(0, 20, d);        \
	SDOT_4S(1, 21, d)

#define BASE4(R, lane, d, vD) \
	LOAD4(R, lane);           \
	VEOR vD, vD, vD;          \
	SMULL_8H(0, 20, 22);      \
	SMULL2_8H(0, 20, 23);     \
	SMLAL_8H(1, 21, 22);      \
	SMLAL2_8H(1, 21, 23);     \
	SADALP_4S(22, d);         \
	SADALP_4S(23, d)

// LESS8 takes 8*Σx from the products.
#define LESS8 \
	VLD1R.P 4(R9), [V30.S4];        \
	VSHL    $3, V30.S4, V30.S4;     \
	VSUB    V30.S4, V4.S4, V4.S4

// func mulQ4Dot(dst *float32, w *byte, rowBytes int, q *int8, scale *float32, sum *int32, blocks int)
TEXT ·mulQ4Dot(SB), NOSPLIT, $0-56
	START
	MOVD  sum+40(FP), R9
	MOVD  blocks+48(FP), R5
	VMOVI $15, V31.B16

loop:
	ACTS
	DOT4(R1, 0, 4, V4.B16)
	DOT4(R6, 1, 5, V5.B16)
	DOT4(R7, 2, 6, V6.B16)
	DOT4(R8, 3, 7, V7.B16)
	ADDUP
	LESS8
	SCALE
	SUBS  $1, R5
	BNE   loop
	FMOVQ F16, (R0)
	RET

// func mulQ4(dst *float32, w *byte, rowBytes int, q *int8, scale *float32, sum *int32, blocks int)
TEXT ·mulQ4(SB), NOSPLIT, $0-56
	START
	MOVD  sum+40(FP), R9
	MOVD  blocks+48(FP), R5
	VMOVI $15, V31.B16

loop:
	ACTS
	BASE4(R1, 0, 4, V4.B16)
	BASE4(R6, 1, 5, V5.B16)
	BASE4(R7, 2, 6, V6.B16)
	BASE4(R8, 3, 7, V7.B16)
	ADDUP
	LESS8
	SCALE
	SUBS  $1, R5
	BNE   loop
	FMOVQ F16, (R0)
	RET

// func quantizeActs(q *int8, scale *float32, sum *int32, x *float32, blocks int)
//
//	R0 q  R1 scale  R2 sum  R3 x  R4 blocks left
//	F28 scale  F29 127  F30 127/amax  V31 all bits but the sign
TEXT ·quantizeActs(SB), NOSPLIT, $0-40
	MOVD  q+0(FP), R0
	MOVD  scale+8(FP), R1
	MOVD  sum+16(FP), R2
	MOVD  x+24(FP), R3
	MOVD  blocks+32(FP), R4
	MOVW  $0x7fffffff, R9
	VDUP  R9, V31.S4
	FMOVS $127.0, F29
	MOVW  $0x7f800000, R10
	MOVW  $0x0d800000, R11 // 2^-100
	MOVW  $0x7fc00000, R12

loop:
	VLD1.P 64(R3), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P 64(R3), [V4.B16, V5.B16, V6.B16, V7.B16]
	VAND   V31.B16, V0.B16, V16.B16
	VAND   V31.B16, V1.B16, V17.B16
	VAND   V31.B16, V2.B16, V18.B16
	VAND   V31.B16, V3.B16, V19.B16
	VAND   V31.B16, V4.B16, V20.B16
	VAND   V31.B16, V5.B16, V21.B16
	VAND   V31.B16, V6.B16, V22.B16
	VAND   V31.B16, V7.B16, V23.B16
	VUMAX  V16.S4, V17.S4, V16.S4
	VUMAX  V18.S4, V19.S4, V18.S4
	VUMAX  V20.S4, V21.S4, V20.S4
	VUMAX  V22.S4, V23.S4, V22.S4
	VUMAX  V16.S4, V18.S4, V16.S4
	VUMAX  V20.S4, V22.S4, V20.S4
	VUMAX  V16.S4, V20.S4, V16.S4
	UMAXV_4S(16, 16)
	VMOV   V16.S[0], R9

	// As in quantizeRow.
	FMOVS ZR, F30
	FMOVS R12, F28
	CMPW  R10, R9
	BHS   scaled
	FMOVS F30, F28
	CMPW  R11, R9
	BLO   scaled
	FDIVS F29, F16, F28
	FDIVS F16, F29, F30

scaled:
	FMOVS.P F28, 4(R1)
	FMUL_4S_LANE(0, 30, 0, 0)
	FMUL_4S_LANE(0, 30, 1, 1)
	FMUL_4S_LANE(0, 30, 2, 2)
	FMUL_4S_LANE(0, 30, 3, 3)
	FMUL_4S_LANE(0, 30, 4, 4)
	FMUL_4S_LANE(0, 30, 5, 5)
	FMUL_4S_LANE(0, 30, 6, 6)
	FMUL_4S_LANE(0, 30, 7, 7)
	FCVTNS_4S(0, 0)
	FCVTNS_4S(1, 1)
	FCVTNS_4S(2, 2)
	FCVTNS_4S(3, 3)
	FCVTNS_4S(4, 4)
	FCVTNS_4S(5, 5)
	FCVTNS_4S(6, 6)
	FCVTNS_4S(7, 7)
	VADD    V0.S4, V1.S4, V16.S4
	VADD    V2.S4, V3.S4, V17.S4
	VADD    V4.S4, V5.S4, V18.S4
	VADD    V6.S4, V7.S4, V19.S4
	VADD    V16.S4, V17.S4, V16.S4
	VADD    V18.S4, V19.S4, V18.S4
	VADD    V16.S4, V18.S4, V16.S4
	VADDV   V16.S4, V16
	FMOVS.P F16, 4(R2)
	VUZP1   V1.H8, V0.H8, V0.H8
	VUZP1   V3.H8, V2.H8, V2.H8
	VUZP1   V5.H8, V4.H8, V4.H8
	VUZP1   V7.H8, V6.H8, V6.H8
	VUZP1   V2.B16, V0.B16, V0.B16
	VUZP1   V6.B16, V4.B16, V1.B16
	FSTPQ.P (F0, F1), 32(R0)
	SUBS    $1, R4
	BNE     loop
	RET
