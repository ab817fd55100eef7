#include "textflag.h"
#include "arm64x.h"

// HALF advances 16 columns of one row of the state: S at off from R9, y and v in four
// registers each, and the row's lane of r (V28), k (V29) and w (V30). Every product that
// is added is fused: on cores with two vector pipes these are what the loop waits for, and
// a store takes one too.
#define HALF(off, lane, y0, y1, y2, y3, v0, v1, v2, v3) \
	FLDPQ off(R9), (F16, F17);            \
	FLDPQ (off+32)(R9), (F18, F19);       \
	FMLA_4S_LANE(lane, 28, 16, y0);       \
	FMLA_4S_LANE(lane, 28, 17, y1);       \
	FMLA_4S_LANE(lane, 28, 18, y2);       \
	FMLA_4S_LANE(lane, 28, 19, y3);       \
	FMUL_4S_LANE(lane, 30, 16, 16);       \
	FMUL_4S_LANE(lane, 30, 17, 17);       \
	FMUL_4S_LANE(lane, 30, 18, 18);       \
	FMUL_4S_LANE(lane, 30, 19, 19);       \
	FMLA_4S_LANE(lane, 29, v0, 16);       \
	FMLA_4S_LANE(lane, 29, v1, 17);       \
	FMLA_4S_LANE(lane, 29, v2, 18);       \
	FMLA_4S_LANE(lane, 29, v3, 19);       \
	FSTPQ (F16, F17), off(R9);            \
	FSTPQ (F18, F19), (off+32)(R9)

#define ROW(lane) \
	HALF(0, lane, 0, 1, 2, 3, 8, 9, 10, 11);    \
	HALF(64, lane, 4, 5, 6, 7, 12, 13, 14, 15); \
	ADD R8, R9

// func wkv6Head(y, state, r, k, v, w, u *float32, size int)
//
//	R0 y  R1 state  R2 r  R3 k  R4 v  R5 w  R6 u  R7 size  R8 bytes of a row
//	R9 state, running  R10-R12 r, k, w, running  R13 rows left  R14 columns left
//	V0-V7 y  V8-V15 v  V16-V19 state  V31 c
TEXT ·wkv6Head(SB), NOSPLIT, $0-64
	MOVD y+0(FP), R0
	MOVD state+8(FP), R1
	MOVD r+16(FP), R2
	MOVD k+24(FP), R3
	MOVD v+32(FP), R4
	MOVD w+40(FP), R5
	MOVD u+48(FP), R6
	MOVD size+56(FP), R7
	LSL  $2, R7, R8

	// c = Σ r*u*k, in eight sums.
	VEOR V30.B16, V30.B16, V30.B16
	VEOR V31.B16, V31.B16, V31.B16
	MOVD R2, R10
	MOVD R3, R11
	MOVD R7, R13

bonus:
	VLD1.P 32(R10), [V0.S4, V1.S4]
	VLD1.P 32(R6), [V2.S4, V3.S4]
	VLD1.P 32(R11), [V4.S4, V5.S4]
	FMUL_4S(2, 0, 0)
	FMUL_4S(3, 1, 1)
	VFMLA  V4.S4, V0.S4, V30.S4
	VFMLA  V5.S4, V1.S4, V31.S4
	SUBS   $8, R13
	BNE    bonus
	FADD_4S(30, 31, 31)
	FADDP_4S(31, 31, 31)
	FADDP_4S(31, 31, 31)
	MOVD   R7, R14

columns:
	VLD1.P 64(R4), [V8.B16, V9.B16, V10.B16, V11.B16]
	VLD1.P 64(R4), [V12.B16, V13.B16, V14.B16, V15.B16]
	FMUL_4S_LANE(0, 31, 8, 0)
	FMUL_4S_LANE(0, 31, 9, 1)
	FMUL_4S_LANE(0, 31, 10, 2)
	FMUL_4S_LANE(0, 31, 11, 3)
	FMUL_4S_LANE(0, 31, 12, 4)
	FMUL_4S_LANE(0, 31, 13, 5)
	FMUL_4S_LANE(0, 31, 14, 6)
	FMUL_4S_LANE(0, 31, 15, 7)
	MOVD   R1, R9
	MOVD   R2, R10
	MOVD   R3, R11
	MOVD   R5, R12
	MOVD   R7, R13

rows:
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
	SUBS    $32, R14
	BNE     columns
	RET

// ADDROW adds a row of 32 columns at R9, times one lane of V31, to V0-V7.
#define ADDROW(lane) \
	FLDPQ (R9), (F16, F17);         \
	FLDPQ 32(R9), (F18, F19);       \
	FLDPQ 64(R9), (F20, F21);       \
	FLDPQ 96(R9), (F22, F23);       \
	ADD   R2, R9;                   \
	FMUL_4S_LANE(lane, 31, 16, 16); \
	FMUL_4S_LANE(lane, 31, 17, 17); \
	FMUL_4S_LANE(lane, 31, 18, 18); \
	FMUL_4S_LANE(lane, 31, 19, 19); \
	FMUL_4S_LANE(lane, 31, 20, 20); \
	FMUL_4S_LANE(lane, 31, 21, 21); \
	FMUL_4S_LANE(lane, 31, 22, 22); \
	FMUL_4S_LANE(lane, 31, 23, 23); \
	FADD_4S(16, 0, 0);              \
	FADD_4S(17, 1, 1);              \
	FADD_4S(18, 2, 2);              \
	FADD_4S(19, 3, 3);              \
	FADD_4S(20, 4, 4);              \
	FADD_4S(21, 5, 5);              \
	FADD_4S(22, 6, 6);              \
	FADD_4S(23, 7, 7)

// func sumRows(dst, rows *float32, stride int, x *float32, n, cols int)
//
//	R0 dst  R1 rows  R2 stride in bytes  R3 x  R4 n  R5 columns left
//	R9 rows, running  R10 x, running  R13 rows left  V31 x
TEXT ·sumRows(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD rows+8(FP), R1
	MOVD stride+16(FP), R2
	MOVD x+24(FP), R3
	MOVD n+32(FP), R4
	MOVD cols+40(FP), R5
	SUBS $32, R5
	BLT  narrow

wide:
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16
	MOVD R1, R9
	MOVD R3, R10
	SUBS $4, R4, R13
	BLT  last

sums:
	FMOVQ.P 16(R10), F31
	ADDROW(0)
	ADDROW(1)
	ADDROW(2)
	ADDROW(3)
	SUBS    $4, R13
	BGE     sums

last:
	ADDS $4, R13
	BEQ  stored

lastRow:
	FMOVS.P 4(R10), F31
	ADDROW(0)
	SUBS    $1, R13
	BNE     lastRow

stored:
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	VST1.P  [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0)
	ADD     $128, R1
	SUBS    $32, R5
	BGE     wide

narrow:
	ADDS $32, R5
	BEQ  done

four:
	VEOR V0.B16, V0.B16, V0.B16
	MOVD R1, R9
	MOVD R3, R10
	MOVD R4, R13

fourRow:
	VLD1R.P 4(R10), [V31.S4]
	FMOVQ   (R9), F16
	FMUL_4S(31, 16, 16)
	FADD_4S(16, 0, 0)
	ADD     R2, R9
	SUBS    $1, R13
	BNE     fourRow
	FMOVQ.P F0, 16(R0)
	ADD     $16, R1
	SUBS    $4, R5
	BNE     four

done:
	RET

// HALVES multiplies eight half-precision weights by V31 and adds them to two sums.
#define HALVES(w, t0, t1, y0, y1) \
	FCVTL_4S(w, t0);     \
	FCVTL2_4S(w, t1);    \
	FMUL_4S(31, t0, t0); \
	FMUL_4S(31, t1, t1); \
	FADD_4S(t0, y0, y0); \
	FADD_4S(t1, y1, y1)

// func sumHalfRows(dst *float32, rows *byte, stride int, x *float32, n, cols int)
//
//	R0 dst  R1 rows  R2 stride  R3 x  R4 n  R5 columns left  R9 row  R10 x, running
//	R13 rows left  V0-V7 sums  V16-V23 weights  V24-V27 halves  V31 x
TEXT ·sumHalfRows(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD rows+8(FP), R1
	MOVD stride+16(FP), R2
	MOVD x+24(FP), R3
	MOVD n+32(FP), R4
	MOVD cols+40(FP), R5
	SUBS $32, R5
	BLT  narrow

wide:
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16
	MOVD R1, R9
	MOVD R3, R10
	MOVD R4, R13

wideRow:
	VLD1R.P 4(R10), [V31.S4]
	FLDPQ   (R9), (F24, F25)
	FLDPQ   32(R9), (F26, F27)
	HALVES(24, 16, 17, 0, 1)
	HALVES(25, 18, 19, 2, 3)
	HALVES(26, 20, 21, 4, 5)
	HALVES(27, 22, 23, 6, 7)
	ADD     R2, R9
	SUBS    $1, R13
	BNE     wideRow
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	VST1.P  [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0)
	ADD     $64, R1
	SUBS    $32, R5
	BGE     wide

narrow:
	ADDS $32, R5
	BEQ  done

eight:
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	MOVD R1, R9
	MOVD R3, R10
	MOVD R4, R13

eightRow:
	VLD1R.P 4(R10), [V31.S4]
	FMOVQ   (R9), F24
	HALVES(24, 16, 17, 0, 1)
	ADD     R2, R9
	SUBS    $1, R13
	BNE     eightRow
	VST1.P  [V0.B16, V1.B16], 32(R0)
	ADD     $16, R1
	SUBS    $8, R5
	BNE     eight

done:
	RET

// SUMS adds the weights V16-V19, times x, to four sums. V20-V23 are scratch.
#define SUMS(x, y0, y1, y2, y3) \
	FMUL_4S(x, 16, 20);  \
	FMUL_4S(x, 17, 21);  \
	FMUL_4S(x, 18, 22);  \
	FMUL_4S(x, 19, 23);  \
	FADD_4S(20, y0, y0); \
	FADD_4S(21, y1, y1); \
	FADD_4S(22, y2, y2); \
	FADD_4S(23, y3, y3)

// func sumHalfRows4(dst *float32, dstStride int, rows *byte, stride int, x *float32, n, cols int)
//
//	R0 dst  R1 bytes between sums  R2 rows  R3 stride  R4 x  R5 n  R6 columns left
//	R7 row  R8 dst, running  R9-R12 x, running  R13 rows left  R14 bytes of an x
//	V0-V15 sums  V16-V19 weights  V24, V25 halves  V28-V31 x
TEXT ·sumHalfRows4(SB), NOSPLIT, $0-56
	MOVD dst+0(FP), R0
	MOVD dstStride+8(FP), R1
	MOVD rows+16(FP), R2
	MOVD stride+24(FP), R3
	MOVD x+32(FP), R4
	MOVD n+40(FP), R5
	MOVD cols+48(FP), R6
	LSL  $2, R5, R14

columns:
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
	MOVD R2, R7
	MOVD R4, R9
	ADD  R14, R9, R10
	ADD  R14, R10, R11
	ADD  R14, R11, R12
	MOVD R5, R13

row:
	FLDPQ   (R7), (F24, F25)
	VLD1R.P 4(R9), [V28.S4]
	VLD1R.P 4(R10), [V29.S4]
	VLD1R.P 4(R11), [V30.S4]
	VLD1R.P 4(R12), [V31.S4]
	FCVTL_4S(24, 16)
	FCVTL2_4S(24, 17)
	FCVTL_4S(25, 18)
	FCVTL2_4S(25, 19)
	SUMS(28, 0, 1, 2, 3)
	SUMS(29, 4, 5, 6, 7)
	SUMS(30, 8, 9, 10, 11)
	SUMS(31, 12, 13, 14, 15)
	ADD     R3, R7
	SUBS    $1, R13
	BNE     row
	MOVD    R0, R8
	VST1    [V0.B16, V1.B16, V2.B16, V3.B16], (R8)
	ADD     R1, R8
	VST1    [V4.B16, V5.B16, V6.B16, V7.B16], (R8)
	ADD     R1, R8
	VST1    [V8.B16, V9.B16, V10.B16, V11.B16], (R8)
	ADD     R1, R8
	VST1    [V12.B16, V13.B16, V14.B16, V15.B16], (R8)
	ADD     $64, R0
	ADD     $32, R2
	SUBS    $16, R6
	BNE     columns
	RET
