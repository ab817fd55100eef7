#include "textflag.h"
#include "arm64x.h"

// func quantizeRow(q *int8, scale *float32, sum *int32, x *float32, cols, t int)
//
//	R0 q   R1 scale   R2 sum   R3 x   R4 columns left   R5 4*t
//	R6 columns of the block   R7 x, running   R8 columns left in the block
//	V30 127/amax   V31 all bits but the sign
TEXT ·quantizeRow(SB), NOSPLIT, $0-48
	MOVD  q+0(FP), R0
	MOVD  scale+8(FP), R1
	MOVD  sum+16(FP), R2
	MOVD  x+24(FP), R3
	MOVD  cols+32(FP), R4
	MOVD  t+40(FP), R5
	LSL   $2, R5
	MOVW  $0x7fffffff, R9
	VDUP  R9, V31.S4
	FMOVS $127.0, F29

block:
	MOVD $256, R6
	CMP  R6, R4
	CSEL LT, R4, R6, R6

	// Magnitudes order like their bits, and NaN above infinity.
	VEOR V16.B16, V16.B16, V16.B16
	VEOR V17.B16, V17.B16, V17.B16
	VEOR V18.B16, V18.B16, V18.B16
	VEOR V19.B16, V19.B16, V19.B16
	MOVD R3, R7
	MOVD R6, R8

top:
	VLD1.P 64(R7), [V0.B16, V1.B16, V2.B16, V3.B16]
	VAND   V31.B16, V0.B16, V0.B16
	VAND   V31.B16, V1.B16, V1.B16
	VAND   V31.B16, V2.B16, V2.B16
	VAND   V31.B16, V3.B16, V3.B16
	VUMAX  V0.S4, V16.S4, V16.S4
	VUMAX  V1.S4, V17.S4, V17.S4
	VUMAX  V2.S4, V18.S4, V18.S4
	VUMAX  V3.S4, V19.S4, V19.S4
	SUBS   $16, R8
	BNE    top
	VUMAX  V16.S4, V17.S4, V16.S4
	VUMAX  V18.S4, V19.S4, V18.S4
	VUMAX  V16.S4, V18.S4, V16.S4
	UMAXV_4S(16, 16)
	VMOV   V16.S[0], R9

	// A factor of 0 makes every q zero, that of a NaN too: it converts to 0.
	FMOVS ZR, F30
	MOVW  $0x7fc00000, R10
	FMOVS R10, F28
	MOVW  $0x7f800000, R10
	CMPW  R10, R9
	BHS   scaled
	FMOVS F30, F28
	MOVW  $0x0d800000, R10 // 2^-100
	CMPW  R10, R9
	BLO   scaled
	FDIVS F29, F16, F28
	FDIVS F16, F29, F30

scaled:
	FMOVS F28, (R1)
	ADD   R5, R1
	VDUP  V30.S[0], V30.S4
	MOVD  R6, R8

group:
	VLD1.P 64(R3), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P 64(R3), [V4.B16, V5.B16, V6.B16, V7.B16]
	FMUL_4S(30, 0, 0)
	FMUL_4S(30, 1, 1)
	FMUL_4S(30, 2, 2)
	FMUL_4S(30, 3, 3)
	FMUL_4S(30, 4, 4)
	FMUL_4S(30, 5, 5)
	FMUL_4S(30, 6, 6)
	FMUL_4S(30, 7, 7)
	FCVTNS_4S(0, 0)
	FCVTNS_4S(1, 1)
	FCVTNS_4S(2, 2)
	FCVTNS_4S(3, 3)
	FCVTNS_4S(4, 4)
	FCVTNS_4S(5, 5)
	FCVTNS_4S(6, 6)
	FCVTNS_4S(7, 7)
	VADD   V0.S4, V1.S4, V16.S4
	VADD   V2.S4, V3.S4, V17.S4
	VADD   V4.S4, V5.S4, V18.S4
	VADD   V6.S4, V7.S4, V19.S4
	VADD   V16.S4, V17.S4, V16.S4
	VADD   V18.S4, V19.S4, V18.S4
	VADD   V16.S4, V18.S4, V16.S4
	VADDV  V16.S4, V16
	FMOVS  F16, (R2)
	ADD    R5, R2

	// The low bytes of 16 numbers.
	VUZP1 V1.H8, V0.H8, V0.H8
	VUZP1 V3.H8, V2.H8, V2.H8
	VUZP1 V5.H8, V4.H8, V4.H8
	VUZP1 V7.H8, V6.H8, V6.H8
	VUZP1 V2.B16, V0.B16, V0.B16
	VUZP1 V6.B16, V4.B16, V4.B16
	VST1.P V0.S[0], (R0)(R5)
	VST1.P V0.S[1], (R0)(R5)
	VST1.P V0.S[2], (R0)(R5)
	VST1.P V0.S[3], (R0)(R5)
	VST1.P V4.S[0], (R0)(R5)
	VST1.P V4.S[1], (R0)(R5)
	VST1.P V4.S[2], (R0)(R5)
	VST1.P V4.S[3], (R0)(R5)
	SUBS   $32, R8
	BNE    group
	SUBS   R6, R4
	BNE    block
	RET

// UNIT unpacks 8 columns of 16 rows: nibbles less V30 (eight), times the scales in
// V16 to V19, to two units of P8.
#define UNIT \
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]; \
	VAND   V31.B16, V0.B16, V4.B16;                  \
	VAND   V31.B16, V1.B16, V5.B16;                  \
	VAND   V31.B16, V2.B16, V6.B16;                  \
	VAND   V31.B16, V3.B16, V7.B16;                  \
	VUSHR  $4, V0.B16, V0.B16;                       \
	VUSHR  $4, V1.B16, V1.B16;                       \
	VUSHR  $4, V2.B16, V2.B16;                       \
	VUSHR  $4, V3.B16, V3.B16;                       \
	VSUB   V30.B16, V4.B16, V4.B16;                  \
	VSUB   V30.B16, V5.B16, V5.B16;                  \
	VSUB   V30.B16, V6.B16, V6.B16;                  \
	VSUB   V30.B16, V7.B16, V7.B16;                  \
	VSUB   V30.B16, V0.B16, V0.B16;                  \
	VSUB   V30.B16, V1.B16, V1.B16;                  \
	VSUB   V30.B16, V2.B16, V2.B16;                  \
	VSUB   V30.B16, V3.B16, V3.B16;                  \
	MUL_16B(16, 4, 4);                               \
	MUL_16B(17, 5, 5);                               \
	MUL_16B(18, 6, 6);                               \
	MUL_16B(19, 7, 7);                               \
	MUL_16B(16, 0, 0);                               \
	MUL_16B(17, 1, 1);                               \
	MUL_16B(18, 2, 2);                               \
	MUL_16B(19, 3, 3);                               \
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0); \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)

// SPREAD repeats each of the 16 bytes of V20 four times, to V16 to V19.
#define SPREAD \
	VZIP1 V20.B16, V20.B16, V18.B16; \
	VZIP2 V20.B16, V20.B16, V19.B16; \
	VZIP1 V18.H8, V18.H8, V16.H8;    \
	VZIP2 V18.H8, V18.H8, V17.H8;    \
	VZIP1 V19.H8, V19.H8, V18.H8;    \
	VZIP2 V19.H8, V19.H8, V19.H8

// func unpackP4(dst *int8, w, wg *byte, pairs int)
TEXT ·unpackP4(SB), NOSPLIT, $0-32
	MOVD  dst+0(FP), R0
	MOVD  w+8(FP), R1
	MOVD  wg+16(FP), R2
	MOVD  pairs+24(FP), R3
	VMOVI $8, V30.B16
	VMOVI $15, V31.B16

pair:
	VLD1.P 16(R2), [V21.B16]
	VAND   V31.B16, V21.B16, V20.B16
	SPREAD
	UNIT
	UNIT
	UNIT
	UNIT
	VUSHR  $4, V21.B16, V20.B16
	SPREAD
	UNIT
	UNIT
	UNIT
	UNIT
	SUBS   $1, R3
	BNE    pair
	RET
