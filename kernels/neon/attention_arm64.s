#include "textflag.h"
#include "go_asm.h"
#include "arm64x.h"

// func attentionScores(a *fourQueries)
//
// Four queries times four keys at a time; the last four keys may overlap those before.
//
//	R0-R3 q  R4-R7 s  R8 key  R9 bytes between keys  R10-R13 four keys, running
//	R14 values left  R15 keys-4  R19, R20, R22, R23 q, running  R24 k  R25 dim
TEXT ·attentionScores(SB), NOSPLIT, $0-8
	MOVD  a+0(FP), R21
	MOVD  (fourQueries_q+0)(R21), R0
	MOVD  (fourQueries_q+8)(R21), R1
	MOVD  (fourQueries_q+16)(R21), R2
	MOVD  (fourQueries_q+24)(R21), R3
	MOVD  (fourQueries_s+0)(R21), R4
	MOVD  (fourQueries_s+8)(R21), R5
	MOVD  (fourQueries_s+16)(R21), R6
	MOVD  (fourQueries_s+24)(R21), R7
	MOVD  fourQueries_stride(R21), R9
	MOVD  fourQueries_keys(R21), R15
	MOVD  fourQueries_k(R21), R24
	MOVD  fourQueries_dim(R21), R25
	FMOVS fourQueries_scale(R21), F31
	SUB   $4, R15
	MOVD  $0, R8

keys:
	MADD R8, R24, R9, R10
	ADD  R9, R10, R11
	ADD  R9, R11, R12
	ADD  R9, R12, R13
	MOVD R0, R19
	MOVD R1, R20
	MOVD R2, R22
	MOVD R3, R23
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16
	VEOR V8.B16, V8.B16, V8.B16
	VEOR V9.B16, V9.B16, V9.B16
	VEOR V10.B16, V10.B16, V10.B16
	VEOR V11.B16, V11.B16, V11.B16
	VEOR V12.B16, V12.B16, V12.B16
	VEOR V13.B16, V13.B16, V13.B16
	VEOR V14.B16, V14.B16, V14.B16
	VEOR V15.B16, V15.B16, V15.B16
	MOVD R25, R14

values:
	FMOVQ.P 16(R10), F20
	FMOVQ.P 16(R11), F21
	FMOVQ.P 16(R12), F22
	FMOVQ.P 16(R13), F23
	FMOVQ.P 16(R19), F16
	FMOVQ.P 16(R20), F17
	FMOVQ.P 16(R22), F18
	FMOVQ.P 16(R23), F19
	VFMLA   V20.S4, V16.S4, V0.S4
	VFMLA   V21.S4, V16.S4, V1.S4
	VFMLA   V22.S4, V16.S4, V2.S4
	VFMLA   V23.S4, V16.S4, V3.S4
	VFMLA   V20.S4, V17.S4, V4.S4
	VFMLA   V21.S4, V17.S4, V5.S4
	VFMLA   V22.S4, V17.S4, V6.S4
	VFMLA   V23.S4, V17.S4, V7.S4
	VFMLA   V20.S4, V18.S4, V8.S4
	VFMLA   V21.S4, V18.S4, V9.S4
	VFMLA   V22.S4, V18.S4, V10.S4
	VFMLA   V23.S4, V18.S4, V11.S4
	VFMLA   V20.S4, V19.S4, V12.S4
	VFMLA   V21.S4, V19.S4, V13.S4
	VFMLA   V22.S4, V19.S4, V14.S4
	VFMLA   V23.S4, V19.S4, V15.S4
	SUBS    $4, R14
	BNE     values

	FADDP_4S(1, 0, 0)
	FADDP_4S(3, 2, 2)
	FADDP_4S(5, 4, 4)
	FADDP_4S(7, 6, 6)
	FADDP_4S(9, 8, 8)
	FADDP_4S(11, 10, 10)
	FADDP_4S(13, 12, 12)
	FADDP_4S(15, 14, 14)
	FADDP_4S(2, 0, 0)
	FADDP_4S(6, 4, 4)
	FADDP_4S(10, 8, 8)
	FADDP_4S(14, 12, 12)
	FMUL_4S_LANE(0, 31, 0, 0)
	FMUL_4S_LANE(0, 31, 4, 4)
	FMUL_4S_LANE(0, 31, 8, 8)
	FMUL_4S_LANE(0, 31, 12, 12)
	ADD   R8<<2, R4, R19
	ADD   R8<<2, R5, R20
	ADD   R8<<2, R6, R22
	ADD   R8<<2, R7, R23
	FMOVQ F0, (R19)
	FMOVQ F4, (R20)
	FMOVQ F8, (R22)
	FMOVQ F12, (R23)
	CMP   R15, R8
	BEQ   done
	ADD   $4, R8
	CMP   R15, R8
	CSEL  LT, R8, R15, R8
	B     keys

done:
	RET

// ADDROW adds a row of v, 16 columns at R10, times one lane of the four queries'
// weights, to the sums.
#define ADDROW(lane) \
	FLDPQ (R10), (F20, F21);         \
	FLDPQ 32(R10), (F22, F23);       \
	ADD   R9, R10;                   \
	FMLA_4S_LANE(lane, 16, 20, 0);   \
	FMLA_4S_LANE(lane, 16, 21, 1);   \
	FMLA_4S_LANE(lane, 16, 22, 2);   \
	FMLA_4S_LANE(lane, 16, 23, 3);   \
	FMLA_4S_LANE(lane, 17, 20, 4);   \
	FMLA_4S_LANE(lane, 17, 21, 5);   \
	FMLA_4S_LANE(lane, 17, 22, 6);   \
	FMLA_4S_LANE(lane, 17, 23, 7);   \
	FMLA_4S_LANE(lane, 18, 20, 8);   \
	FMLA_4S_LANE(lane, 18, 21, 9);   \
	FMLA_4S_LANE(lane, 18, 22, 10);  \
	FMLA_4S_LANE(lane, 18, 23, 11);  \
	FMLA_4S_LANE(lane, 19, 20, 12);  \
	FMLA_4S_LANE(lane, 19, 21, 13);  \
	FMLA_4S_LANE(lane, 19, 22, 14);  \
	FMLA_4S_LANE(lane, 19, 23, 15)

// ADDFOUR is the same for 4 columns.
#define ADDFOUR(lane) \
	FMOVQ (R10), F20;                \
	ADD   R9, R10;                   \
	FMLA_4S_LANE(lane, 16, 20, 0);   \
	FMLA_4S_LANE(lane, 17, 20, 4);   \
	FMLA_4S_LANE(lane, 18, 20, 8);   \
	FMLA_4S_LANE(lane, 19, 20, 12)

// WEIGHTS points R19, R20, R22 and R23 at the weights of the four queries.
#define WEIGHTS \
	MOVD (fourQueries_s+0)(R21), R19;  \
	MOVD (fourQueries_s+8)(R21), R20;  \
	MOVD (fourQueries_s+16)(R21), R22; \
	MOVD (fourQueries_s+24)(R21), R23

#define LOAD4 \
	FMOVQ.P 16(R19), F16; \
	FMOVQ.P 16(R20), F17; \
	FMOVQ.P 16(R22), F18; \
	FMOVQ.P 16(R23), F19

#define LOAD1 \
	FMOVS.P 4(R19), F16; \
	FMOVS.P 4(R20), F17; \
	FMOVS.P 4(R22), F18; \
	FMOVS.P 4(R23), F19

// func attentionValues(a *fourQueries)
//
//	R0-R3 dst  R9 bytes between keys  R10 v, running  R14 keys left  R15 keys
//	R24 v  R25 columns left
TEXT ·attentionValues(SB), NOSPLIT, $0-8
	MOVD a+0(FP), R21
	MOVD (fourQueries_dst+0)(R21), R0
	MOVD (fourQueries_dst+8)(R21), R1
	MOVD (fourQueries_dst+16)(R21), R2
	MOVD (fourQueries_dst+24)(R21), R3
	MOVD fourQueries_stride(R21), R9
	MOVD fourQueries_keys(R21), R15
	MOVD fourQueries_v(R21), R24
	MOVD fourQueries_dim(R21), R25

columns:
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V8.B16, V8.B16, V8.B16
	VEOR V12.B16, V12.B16, V12.B16
	MOVD R24, R10
	WEIGHTS
	CMP  $16, R25
	BLT  four
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16
	VEOR V9.B16, V9.B16, V9.B16
	VEOR V10.B16, V10.B16, V10.B16
	VEOR V11.B16, V11.B16, V11.B16
	VEOR V13.B16, V13.B16, V13.B16
	VEOR V14.B16, V14.B16, V14.B16
	VEOR V15.B16, V15.B16, V15.B16
	LSR  $2, R15, R14
	CBZ  R14, last

rows:
	LOAD4
	ADDROW(0)
	ADDROW(1)
	ADDROW(2)
	ADDROW(3)
	SUBS $1, R14
	BNE  rows

last:
	ANDS $3, R15, R14
	BEQ  stored

lastRow:
	LOAD1
	ADDROW(0)
	SUBS $1, R14
	BNE  lastRow

stored:
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R1)
	VST1.P [V8.B16, V9.B16, V10.B16, V11.B16], 64(R2)
	VST1.P [V12.B16, V13.B16, V14.B16, V15.B16], 64(R3)
	ADD    $64, R24
	SUBS   $16, R25
	BNE    columns
	RET

four:
	LSR $2, R15, R14
	CBZ R14, fourLast

fourRows:
	LOAD4
	ADDFOUR(0)
	ADDFOUR(1)
	ADDFOUR(2)
	ADDFOUR(3)
	SUBS $1, R14
	BNE  fourRows

fourLast:
	ANDS $3, R15, R14
	BEQ  fourStored

fourLastRow:
	LOAD1
	ADDFOUR(0)
	SUBS $1, R14
	BNE  fourLastRow

fourStored:
	FMOVQ.P F0, 16(R0)
	FMOVQ.P F4, 16(R1)
	FMOVQ.P F8, 16(R2)
	FMOVQ.P F12, 16(R3)
	ADD     $16, R24
	SUBS    $4, R25
	BNE     columns
	RET
