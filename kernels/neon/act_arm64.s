#include "textflag.h"
#include "arm64x.h"

// Activations, with the bits of package portable: each value is evaluated in float64,
// every operation rounded, and rounded to float32 at the end.

DATA expFactors<>+0(SB)/8, $0x40471547652b82fe // 1/c, c = ln2/32
DATA expFactors<>+8(SB)/8, $0x4338000000000000 // 1.5*2^52
DATA expFactors<>+16(SB)/8, $0x3f962e42fefa39ef // c
DATA expFactors<>+24(SB)/8, $0x3f2ebfbdff82c58f // c²/2
DATA expFactors<>+32(SB)/8, $0x3ebc6b08d704a0c0 // c³/6
DATA expFactors<>+40(SB)/8, $0x3e43b2ab6fba4e77 // c⁴/24
DATA expFactors<>+48(SB)/8, $0x4069000000000000 // 200
DATA expFactors<>+56(SB)/8, $0xc069000000000000 // -200
DATA expFactors<>+64(SB)/8, $0x3ff0000000000000 // 1
GLOBL expFactors<>(SB), RODATA|NOPTR, $72

DATA tanhFactors<>+0(SB)/8, $0x3fc47ae147ae147b // 0.16
DATA tanhFactors<>+8(SB)/8, $0xbf8226e355e6c23d // -1382/155925
DATA tanhFactors<>+16(SB)/8, $0x3f9664f4882c10fa // 62/2835
DATA tanhFactors<>+24(SB)/8, $0xbfaba1ba1ba1ba1c // -17/315
DATA tanhFactors<>+32(SB)/8, $0x3fc1111111111111 // 2/15
DATA tanhFactors<>+40(SB)/8, $0xbfd5555555555555 // -1/3
GLOBL tanhFactors<>(SB), RODATA|NOPTR, $48

DATA geluFactors<>+0(SB)/8, $0x3f0d05c084de6f25 // 5.5355966295438e-05
DATA geluFactors<>+8(SB)/8, $0x3f2172f6d942474d // 0.00013312590875052613
DATA geluFactors<>+16(SB)/8, $0xbf30076a8d9ac819 // -0.0002445826663503028
DATA geluFactors<>+24(SB)/8, $0xbf50f1d77afa1072 // -0.00103422205930406
DATA geluFactors<>+32(SB)/8, $0x3f50c78958ac0ef3 // 0.0010241357110211651
DATA geluFactors<>+40(SB)/8, $0x3f7c8c60f754ab77 // 0.006969813131301509
DATA geluFactors<>+48(SB)/8, $0xbf856d414c2f9ea8 // -0.010462293756020216
DATA geluFactors<>+56(SB)/8, $0xbfa832d2928eef5c // -0.047262745275900214
DATA geluFactors<>+64(SB)/8, $0x3fcd713821888505 // 0.23001767766349004
DATA geluFactors<>+72(SB)/8, $0xbfe04c7299bc3a62 // -0.5093319895402824
DATA geluFactors<>+80(SB)/8, $0x3fe754a751f2cbc2 // 0.7290836906962499
DATA geluFactors<>+88(SB)/8, $0x4008000000000000 // 3
DATA geluFactors<>+96(SB)/8, $0x402d000000000000 // 14.5
DATA geluFactors<>+104(SB)/8, $0xc02d000000000000 // -14.5
DATA geluFactors<>+112(SB)/8, $0xbfe0000000000000 // -0.5
GLOBL geluFactors<>(SB), RODATA|NOPTR, $120

DATA geluTanhFactors<>+0(SB)/8, $0x3fa6e4e26d4801f7 // 0.044715
DATA geluTanhFactors<>+8(SB)/8, $0xbff9884533d43651 // -2√(2/π)
GLOBL geluTanhFactors<>(SB), RODATA|NOPTR, $16

DATA quickFactors<>+0(SB)/8, $0xbffb3b645a1cac08 // -1.702
GLOBL quickFactors<>(SB), RODATA|NOPTR, $8

// exp2Table is 2^(i/32) as package portable has it.
DATA exp2Table<>+0(SB)/8, $0x3ff0000000000000
DATA exp2Table<>+8(SB)/8, $0x3fefd9b0d3158574
DATA exp2Table<>+16(SB)/8, $0x3fefb5586cf9890f
DATA exp2Table<>+24(SB)/8, $0x3fef9301d0125b51
DATA exp2Table<>+32(SB)/8, $0x3fef72b83c7d517b
DATA exp2Table<>+40(SB)/8, $0x3fef54873168b9aa
DATA exp2Table<>+48(SB)/8, $0x3fef387a6e756238
DATA exp2Table<>+56(SB)/8, $0x3fef1e9df51fdee1
DATA exp2Table<>+64(SB)/8, $0x3fef06fe0a31b715
DATA exp2Table<>+72(SB)/8, $0x3feef1a7373aa9cb
DATA exp2Table<>+80(SB)/8, $0x3feedea64c123422
DATA exp2Table<>+88(SB)/8, $0x3feece086061892d
DATA exp2Table<>+96(SB)/8, $0x3feebfdad5362a27
DATA exp2Table<>+104(SB)/8, $0x3feeb42b569d4f82
DATA exp2Table<>+112(SB)/8, $0x3feeab07dd485429
DATA exp2Table<>+120(SB)/8, $0x3feea47eb03a5585
DATA exp2Table<>+128(SB)/8, $0x3feea09e667f3bcd
DATA exp2Table<>+136(SB)/8, $0x3fee9f75e8ec5f74
DATA exp2Table<>+144(SB)/8, $0x3feea11473eb0187
DATA exp2Table<>+152(SB)/8, $0x3feea589994cce13
DATA exp2Table<>+160(SB)/8, $0x3feeace5422aa0db
DATA exp2Table<>+168(SB)/8, $0x3feeb737b0cdc5e5
DATA exp2Table<>+176(SB)/8, $0x3feec49182a3f090
DATA exp2Table<>+184(SB)/8, $0x3feed503b23e255d
DATA exp2Table<>+192(SB)/8, $0x3feee89f995ad3ad
DATA exp2Table<>+200(SB)/8, $0x3feeff76f2fb5e47
DATA exp2Table<>+208(SB)/8, $0x3fef199bdd85529c
DATA exp2Table<>+216(SB)/8, $0x3fef3720dcef9069
DATA exp2Table<>+224(SB)/8, $0x3fef5818dcfba487
DATA exp2Table<>+232(SB)/8, $0x3fef7c97337b9b5f
DATA exp2Table<>+240(SB)/8, $0x3fefa4afa2a490da
DATA exp2Table<>+248(SB)/8, $0x3fefd0765b6e4540
GLOBL exp2Table<>(SB), RODATA|NOPTR, $256

// Registers: R0 dst, R1 x, R2 values left, R6-R8 and V4-V7 of EXP, V16-V24 its factors,
// V3 a copy of x where it is needed again.
#define START \
	MOVD    dst+0(FP), R0;             \
	MOVD    x+8(FP), R1;               \
	MOVD    n+16(FP), R2;              \
	MOVD    $exp2Table<>(SB), R8;      \
	MOVD    $expFactors<>(SB), R9;     \
	VLD1R.P 8(R9), [V16.D2];           \
	VLD1R.P 8(R9), [V17.D2];           \
	VLD1R.P 8(R9), [V18.D2];           \
	VLD1R.P 8(R9), [V19.D2];           \
	VLD1R.P 8(R9), [V20.D2];           \
	VLD1R.P 8(R9), [V21.D2];           \
	VLD1R.P 8(R9), [V22.D2];           \
	VLD1R.P 8(R9), [V23.D2];           \
	VLD1R   (R9), [V24.D2]

// LOOP does four values at a time: BODY takes two in V4 and leaves two in V5.
#define LOOP(BODY) \
loop:                       \
	FMOVQ.P 16(R1), F0; \
	FCVTL_2D(0, 4);     \
	BODY;               \
	FCVTN_2S(5, 1);     \
	FCVTL2_2D(0, 4);    \
	BODY;               \
	FCVTN2_4S(5, 1);    \
	FMOVQ.P F1, 16(R0); \
	SUBS    $4, R2;     \
	BNE     loop;       \
	RET

// CLAMP limits V4 to ±200; NaN stays.
#define CLAMP \
	FMAX_2D(23, 4, 4); \
	FMIN_2D(22, 4, 4)

// EXP sets V5 = e^V4: V4 becomes r, V6 k.
#define EXP \
	FMUL_2D(16, 4, 4);              \
	FADD_2D(17, 4, 6);              \
	FSUB_2D(17, 6, 7);              \
	FSUB_2D(7, 4, 4);               \
	VMOV    V6.D[0], R6;            \
	VMOV    V6.D[1], R7;            \
	AND     $31, R6;                \
	AND     $31, R7;                \
	FMOVD   (R8)(R6<<3), F5;        \
	ADD     R7<<3, R8, R7;          \
	VLD1    (R7), V5.D[1];          \
	VSHL    $47, V6.D2, V6.D2;      \
	VADD    V6.D2, V5.D2, V5.D2;    \
	FMUL_2D(21, 4, 6);              \
	FADD_2D(20, 6, 6);              \
	FMUL_2D(4, 6, 6);               \
	FADD_2D(19, 6, 6);              \
	FMUL_2D(4, 6, 6);               \
	FADD_2D(18, 6, 6);              \
	FMUL_2D(4, 5, 7);               \
	FMUL_2D(6, 7, 7);               \
	FADD_2D(7, 5, 5)

// OVER sets V5 = Vn / (1 + V5).
#define OVER(n) \
	FADD_2D(24, 5, 5); \
	FDIV_2D(5, n, 5)

#define KEEP VORR V4.B16, V4.B16, V3.B16

#define EXPBODY \
	CLAMP; \
	EXP

// func expTo(dst, x *float32, n int)
TEXT ·expTo(SB), NOSPLIT, $0-24
	START
	LOOP(EXPBODY)

#define SIGMOID \
	FNEG_2D(4, 4); \
	CLAMP;         \
	EXP;           \
	OVER(24)

// func sigmoid(dst, x *float32, n int)
TEXT ·sigmoid(SB), NOSPLIT, $0-24
	START
	LOOP(SIGMOID)

#define SILU \
	KEEP;          \
	FNEG_2D(4, 4); \
	CLAMP;         \
	EXP;           \
	OVER(3)

// func silu(dst, x *float32, n int)
TEXT ·silu(SB), NOSPLIT, $0-24
	START
	LOOP(SILU)

#define QUICKGELU \
	KEEP;              \
	FMUL_2D(25, 4, 4); \
	CLAMP;             \
	EXP;               \
	OVER(3)

// func quickGELU(dst, x *float32, n int)
TEXT ·quickGELU(SB), NOSPLIT, $0-24
	START
	MOVD  $quickFactors<>(SB), R9
	VLD1R (R9), [V25.D2]
	LOOP(QUICKGELU)

#define GELUTANH \
	KEEP;              \
	FMUL_2D(4, 4, 5);  \
	FMUL_2D(25, 5, 5); \
	FADD_2D(24, 5, 5); \
	FMUL_2D(5, 4, 4);  \
	FMUL_2D(26, 4, 4); \
	CLAMP;             \
	EXP;               \
	OVER(3)

// func geluTanh(dst, x *float32, n int)
TEXT ·geluTanh(SB), NOSPLIT, $0-24
	START
	MOVD    $geluTanhFactors<>(SB), R9
	VLD1R.P 8(R9), [V25.D2]
	VLD1R   (R9), [V26.D2]
	LOOP(GELUTANH)

#define DECAY \
	CLAMP;         \
	EXP;           \
	FNEG_2D(5, 4); \
	CLAMP;         \
	EXP

// func decay(dst, x *float32, n int)
TEXT ·decay(SB), NOSPLIT, $0-24
	START
	LOOP(DECAY)

// TANH takes 1 - 2/(1+e^2x), but the series up to 0.16 where that would cancel.
#define TANH \
	KEEP;                          \
	FADD_2D(4, 4, 4);              \
	CLAMP;                         \
	EXP;                           \
	FADD_2D(24, 5, 5);             \
	FDIV_2D(5, 31, 5);             \
	FSUB_2D(5, 24, 5);             \
	FMUL_2D(3, 3, 4);              \
	FMUL_2D(26, 4, 6);             \
	FADD_2D(27, 6, 6);             \
	FMUL_2D(4, 6, 6);              \
	FADD_2D(28, 6, 6);             \
	FMUL_2D(4, 6, 6);              \
	FADD_2D(29, 6, 6);             \
	FMUL_2D(4, 6, 6);              \
	FADD_2D(30, 6, 6);             \
	FMUL_2D(4, 6, 6);              \
	FMUL_2D(3, 6, 6);              \
	FADD_2D(6, 3, 6);              \
	FABS_2D(3, 7);                 \
	FCMGT_2D(25, 7, 7);            \
	VBSL    V6.B16, V5.B16, V7.B16; \
	VORR    V7.B16, V7.B16, V5.B16

// func tanh(dst, x *float32, n int)
TEXT ·tanh(SB), NOSPLIT, $0-24
	START
	MOVD    $tanhFactors<>(SB), R9
	VLD1R.P 8(R9), [V25.D2]
	VLD1R.P 8(R9), [V26.D2]
	VLD1R.P 8(R9), [V27.D2]
	VLD1R.P 8(R9), [V28.D2]
	VLD1R.P 8(R9), [V29.D2]
	VLD1R   (R9), [V30.D2]
	FADD_2D(24, 24, 31)
	LOOP(TANH)

// GELU: V8-V15 and V25-V27 the polynomial from its highest term, V28 3, V29 14.5, V30 -14.5,
// V31 -0.5, V22 0. V2 holds p/(t+3) while EXP runs.
#define GELU \
	KEEP;                           \
	FABS_2D(4, 4);                  \
	FMIN_2D(29, 4, 4);              \
	FADD_2D(28, 4, 2);              \
	FDIV_2D(2, 24, 2);              \
	FSUB_2D(28, 4, 5);              \
	FMUL_2D(2, 5, 5);               \
	FMUL_2D(5, 8, 6);               \
	FADD_2D(9, 6, 6);               \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(10, 6, 6);              \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(11, 6, 6);              \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(12, 6, 6);              \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(13, 6, 6);              \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(14, 6, 6);              \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(15, 6, 6);              \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(25, 6, 6);              \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(26, 6, 6);              \
	FMUL_2D(5, 6, 6);               \
	FADD_2D(27, 6, 6);              \
	FMUL_2D(2, 6, 2);               \
	FMUL_2D(4, 4, 4);               \
	FMUL_2D(31, 4, 4);              \
	EXP;                            \
	FMUL_2D(5, 2, 5);               \
	FSUB_2D(5, 24, 6);              \
	FCMGT_2D(22, 3, 7);             \
	VBSL    V5.B16, V6.B16, V7.B16; \
	FMAX_2D(30, 3, 3);              \
	FMUL_2D(7, 3, 5)

// func gelu(dst, x *float32, n int)
TEXT ·gelu(SB), NOSPLIT, $0-24
	START
	MOVD    $geluFactors<>(SB), R9
	VLD1R.P 8(R9), [V8.D2]
	VLD1R.P 8(R9), [V9.D2]
	VLD1R.P 8(R9), [V10.D2]
	VLD1R.P 8(R9), [V11.D2]
	VLD1R.P 8(R9), [V12.D2]
	VLD1R.P 8(R9), [V13.D2]
	VLD1R.P 8(R9), [V14.D2]
	VLD1R.P 8(R9), [V15.D2]
	VLD1R.P 8(R9), [V25.D2]
	VLD1R.P 8(R9), [V26.D2]
	VLD1R.P 8(R9), [V27.D2]
	VLD1R.P 8(R9), [V28.D2]
	VLD1R.P 8(R9), [V29.D2]
	VLD1R.P 8(R9), [V30.D2]
	VLD1R   (R9), [V31.D2]
	VEOR    V22.B16, V22.B16, V22.B16
	LOOP(GELU)

// func maximum(x *float32, n int) float32
//
// NaN is passed over, as by a comparison.
TEXT ·maximum(SB), NOSPLIT, $0-20
	MOVD  x+0(FP), R1
	MOVD  n+8(FP), R2
	MOVW  $0xff800000, R3
	VDUP  R3, V0.S4

maxLoop:
	FMOVQ.P 16(R1), F1
	FMAXNM_4S(1, 0, 0)
	SUBS    $4, R2
	BNE     maxLoop
	FMAXNMV_4S(0, 0)
	FMOVS   F0, ret+16(FP)
	RET

// func expSum(dst, x *float32, n int, max float32, sum float64) float64
TEXT ·expSum(SB), NOSPLIT, $0-48
	START
	FMOVS max+24(FP), F25
	VDUP  V25.S[0], V25.S4
	FMOVD sum+32(FP), F26

sumLoop:
	FMOVQ.P 16(R1), F0
	FSUB_4S(25, 0, 0)
	FCVTL_2D(0, 4)
	EXPBODY
	FCVTN_2S(5, 1)
	FCVTL2_2D(0, 4)
	EXPBODY
	FCVTN2_4S(5, 1)
	FMOVQ.P F1, 16(R0)
	FCVTL_2D(1, 2)
	FCVTL2_2D(1, 3)
	FADDD   F2, F26, F26
	VDUP    V2.D[1], V2.D2
	FADDD   F2, F26, F26
	FADDD   F3, F26, F26
	VDUP    V3.D[1], V3.D2
	FADDD   F3, F26, F26
	SUBS    $4, R2
	BNE     sumLoop
	FMOVD   F26, ret+40(FP)
	RET

// func scaleBy(x *float32, n int, by float32)
TEXT ·scaleBy(SB), NOSPLIT, $0-20
	MOVD  x+0(FP), R1
	MOVD  n+8(FP), R2
	FMOVS by+16(FP), F1

scaleLoop:
	FMOVQ   (R1), F0
	FMUL_4S_LANE(0, 1, 0, 0)
	FMOVQ.P F0, 16(R1)
	SUBS    $4, R2
	BNE     scaleLoop
	RET
