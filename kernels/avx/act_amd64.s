#include "textflag.h"

// Activations, in float64 with the operations of package portable in its order; see there
// for the formulas. A body below takes x in V0 and leaves the result there. It is written
// once, in terms of macros that are defined for AVX2 first and for AVX-512 after.

#define CONST(name, bits) \
	DATA name<>+0(SB)/8, $bits \
	GLOBL name<>(SB), RODATA|NOPTR, $8

CONST(expInv, 0x40471547652b82fe) // 46.166241308446828
CONST(expShift, 0x4338000000000000) // 6755399441055744
CONST(expC1, 0x3f962e42fefa39ef) // 0.02166084939249829
CONST(expC2, 0x3f2ebfbdff82c58f) // 0.0002345961982022468
CONST(expC3, 0x3ebc6b08d704a0c0) // 1.6938509724371821e-06
CONST(expC4, 0x3e43b2ab6fba4e77) // 9.172562701824643e-09
CONST(one, 0x3ff0000000000000) // 1
CONST(two, 0x4000000000000000) // 2
CONST(limit, 0x4069000000000000) // 200
CONST(minusLimit, 0xc069000000000000) // -200
CONST(quick, 0xbffb3b645a1cac08) // -1.702
CONST(tanhEdge, 0x3fc47ae147ae147b) // 0.16
CONST(tanh5, 0xbf8226e355e6c23d) // -0.0088632355299021973
CONST(tanh4, 0x3f9664f4882c10fa) // 0.021869488536155203
CONST(tanh3, 0xbfaba1ba1ba1ba1c) // -0.053968253968253971
CONST(tanh2, 0x3fc1111111111111) // 0.13333333333333333
CONST(tanh1, 0xbfd5555555555555) // -0.33333333333333331
CONST(geluEdge, 0x402d000000000000) // 14.5
CONST(minusGeluEdge, 0xc02d000000000000) // -14.5
CONST(three, 0x4008000000000000) // 3
CONST(minusHalf, 0xbfe0000000000000) // -0.5
CONST(gelu10, 0x3f0d05c084de6f25) // 5.5355966295438001e-05
CONST(gelu9, 0x3f2172f6d942474d) // 0.00013312590875052613
CONST(gelu8, 0xbf30076a8d9ac819) // -0.00024458266635030281
CONST(gelu7, 0xbf50f1d77afa1072) // -0.0010342220593040599
CONST(gelu6, 0x3f50c78958ac0ef3) // 0.0010241357110211651
CONST(gelu5, 0x3f7c8c60f754ab77) // 0.0069698131313015088
CONST(gelu4, 0xbf856d414c2f9ea8) // -0.010462293756020216
CONST(gelu3, 0xbfa832d2928eef5c) // -0.047262745275900214
CONST(gelu2, 0x3fcd713821888505) // 0.23001767766349004
CONST(gelu1, 0xbfe04c7299bc3a62) // -0.50933198954028236
CONST(gelu0, 0x3fe754a751f2cbc2) // 0.7290836906962499
CONST(tanhA, 0x3fa6e4e26d4801f7) // 0.044714999999999998
CONST(tanhB, 0xbff9884533d43651) // -1.5957691216057308
CONST(minusOne, 0xbff0000000000000) // -1
CONST(zero, 0x0000000000000000) // 0
CONST(magnitude, 0x7fffffffffffffff) // all but the sign
CONST(sixteen, 0x0000000000000010)
CONST(thirtyOne, 0x000000000000001f)

// The bits of 2^(i/32) less i<<47.
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

// CLAMP keeps X within the limits; a NaN is the second source and stays.
#define CLAMP(X) \
	MAXC(minusLimit, X) \
	MINC(limit, X)

// EXP replaces X by e^X. V8 k, V9 r, V10 s, V11 the polynomial.
#define EXP(X) \
	MULC(expInv, X, X)       \
	ADDC(expShift, X, V8)    \
	SUBC(expShift, V8, V9)   \
	VSUBPD V9, X, V9         \
	LOOKUP                   \
	VPSLLQ $47, V8, V8       \
	VPADDQ V8, V10, V10      \
	MULC(expC4, V9, V11)     \
	ADDC(expC3, V11, V11)    \
	VMULPD V9, V11, V11      \
	ADDC(expC2, V11, V11)    \
	VMULPD V9, V11, V11      \
	ADDC(expC1, V11, V11)    \
	VMULPD V9, V10, X        \
	VMULPD V11, X, X         \
	VADDPD V10, X, X

#define EXP_BODY \
	CLAMP(V0) \
	EXP(V0)

// LOGISTIC is V1/(1+e^V0).
#define LOGISTIC \
	CLAMP(V0)         \
	EXP(V0)           \
	ADDC(one, V0, V0) \
	VDIVPD V0, V1, V0

#define SIGMOID_BODY \
	SET(one, V1)           \
	MULC(minusOne, V0, V0) \
	LOGISTIC

#define SILU_BODY \
	VMOVAPD V0, V1         \
	MULC(minusOne, V0, V0) \
	LOGISTIC

#define QUICKGELU_BODY \
	VMOVAPD V0, V1      \
	MULC(quick, V0, V0) \
	LOGISTIC

#define GELUTANH_BODY \
	VMOVAPD V0, V1      \
	VMULPD V0, V0, V2   \
	MULC(tanhA, V2, V2) \
	ADDC(one, V2, V2)   \
	VMULPD V2, V1, V0   \
	MULC(tanhB, V0, V0) \
	LOGISTIC

#define TANH_BODY \
	VMOVAPD V0, V1         \
	MULC(two, V0, V0)      \
	CLAMP(V0)              \
	EXP(V0)                \
	ADDC(one, V0, V0)      \
	SET(two, V2)           \
	VDIVPD V0, V2, V0      \
	SET(one, V2)           \
	VSUBPD V0, V2, V0      \
	VMULPD V1, V1, V3      \
	MULC(tanh5, V3, V4)    \
	ADDC(tanh4, V4, V4)    \
	VMULPD V3, V4, V4      \
	ADDC(tanh3, V4, V4)    \
	VMULPD V3, V4, V4      \
	ADDC(tanh2, V4, V4)    \
	VMULPD V3, V4, V4      \
	ADDC(tanh1, V4, V4)    \
	VMULPD V3, V4, V4      \
	VMULPD V1, V4, V4      \
	VADDPD V4, V1, V4      \
	MAGNITUDE(V1, V2)      \
	SET(tanhEdge, V3)      \
	PICK(V2, V3, V0, V4)   \
	VMOVAPD V4, V0

#define GELU_BODY \
	VMOVAPD V0, V1          \
	MAGNITUDE(V0, V2)       \
	MINC(geluEdge, V2)      \
	ADDC(three, V2, V3)     \
	SET(one, V4)            \
	VDIVPD V3, V4, V3       \
	SUBC(three, V2, V4)     \
	VMULPD V3, V4, V4       \
	MULC(gelu10, V4, V5)    \
	ADDC(gelu9, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu8, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu7, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu6, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu5, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu4, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu3, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu2, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu1, V5, V5)     \
	VMULPD V4, V5, V5       \
	ADDC(gelu0, V5, V5)     \
	VMULPD V3, V5, V5       \
	VMULPD V2, V2, V0       \
	MULC(minusHalf, V0, V0) \
	EXP(V0)                 \
	VMULPD V5, V0, V0       \
	SET(one, V4)            \
	VSUBPD V0, V4, V4       \
	SET(zero, V3)           \
	PICK(V1, V3, V4, V0)    \
	MAXC(minusGeluEdge, V1) \
	VMULPD V1, V0, V0

#define DECAY_BODY \
	CLAMP(V0)              \
	EXP(V0)                \
	MULC(minusOne, V0, V0) \
	CLAMP(V0)              \
	EXP(V0)

// DI dst, SI x, CX values left.
#define BEGIN \
	MOVQ dst_base+0(FP), DI \
	MOVQ dst_len+8(FP), CX  \
	MOVQ x_base+24(FP), SI  \
	TABLE                   \
	TESTQ CX, CX            \
	JZ done

#define SOFTMAX_BEGIN \
	MOVQ x+0(FP), SI     \
	MOVQ n+8(FP), CX     \
	VBROADCASTSS m+16(FP), V6 \
	TABLE                \
	SET(zero, V7)

// AVX2: four values at a time, constants from memory through Y15.

#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V8 Y8
#define V9 Y9
#define V10 Y10
#define V11 Y11

#define SET(c, X) VBROADCASTSD c<>(SB), X
#define MULC(c, X, D) VBROADCASTSD c<>(SB), Y15; VMULPD Y15, X, D
#define ADDC(c, X, D) VBROADCASTSD c<>(SB), Y15; VADDPD Y15, X, D
#define SUBC(c, X, D) VBROADCASTSD c<>(SB), Y15; VSUBPD Y15, X, D
#define MINC(c, X) VBROADCASTSD c<>(SB), Y15; VMINPD X, Y15, X
#define MAXC(c, X) VBROADCASTSD c<>(SB), Y15; VMAXPD X, Y15, X
#define MAGNITUDE(X, D) VBROADCASTSD magnitude<>(SB), Y15; VPAND Y15, X, D

// PICK sets D to X where A > B.
#define PICK(A, B, X, D) VCMPPD $0x1e, B, A, Y15; VBLENDVPD Y15, X, D, D

#define TABLE LEAQ exp2Table<>(SB), AX
#define LOOKUP \
	VPBROADCASTQ thirtyOne<>(SB), Y15 \
	VPAND Y15, V8, Y15                \
	VPCMPEQD Y14, Y14, Y14            \
	VPGATHERQQ Y14, (AX)(Y15*8), V10

#define LOOP(BODY) \
loop:                  \
	VCVTPS2PD (SI), V0     \
	BODY                   \
	VCVTPD2PSY V0, X0      \
	VMOVUPS X0, (DI)       \
	ADDQ $16, SI           \
	ADDQ $16, DI           \
	SUBQ $4, CX            \
	JNZ loop               \
done:                  \
	VZEROUPPER             \
	RET

// func Exp(dst, x []float32)
TEXT ·Exp(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(EXP_BODY)

// func Sigmoid(dst, x []float32)
TEXT ·Sigmoid(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(SIGMOID_BODY)

// func SiLU(dst, x []float32)
TEXT ·SiLU(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(SILU_BODY)

// func QuickGELU(dst, x []float32)
TEXT ·QuickGELU(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(QUICKGELU_BODY)

// func GELUTanh(dst, x []float32)
TEXT ·GELUTanh(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(GELUTANH_BODY)

// func Tanh(dst, x []float32)
TEXT ·Tanh(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(TANH_BODY)

// func GELU(dst, x []float32)
TEXT ·GELU(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(GELU_BODY)

// func Decay(dst, x []float32)
TEXT ·Decay(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(DECAY_BODY)

// func expSum(x *float32, n int, m float32) float64
TEXT ·expSum(SB), NOSPLIT, $0-32
	SOFTMAX_BEGIN

loop:
	VMOVUPS (SI), X0
	VSUBPS X6, X0, X0
	VCVTPS2PD X0, Y0
	EXP_BODY
	VCVTPD2PSY Y0, X0
	VMOVUPS X0, (SI)
	VCVTPS2PD X0, Y0
	VADDPD Y0, Y7, Y7
	ADDQ $16, SI
	SUBQ $4, CX
	JNZ loop
	VEXTRACTF128 $1, Y7, X0
	VADDPD X0, X7, X7
	VUNPCKHPD X7, X7, X0
	VADDSD X0, X7, X7
	VMOVSD X7, ret+24(FP)
	VZEROUPPER
	RET

// AVX-512: eight values at a time, constants broadcast by the instruction.

#undef V0
#define V0 Z0
#undef V1
#define V1 Z1
#undef V2
#define V2 Z2
#undef V3
#define V3 Z3
#undef V4
#define V4 Z4
#undef V5
#define V5 Z5
#undef V6
#define V6 Z6
#undef V7
#define V7 Z7
#undef V8
#define V8 Z8
#undef V9
#define V9 Z9
#undef V10
#define V10 Z10
#undef V11
#define V11 Z11
#undef MULC
#define MULC(c, X, D) VMULPD.BCST c<>(SB), X, D
#undef ADDC
#define ADDC(c, X, D) VADDPD.BCST c<>(SB), X, D
#undef SUBC
#define SUBC(c, X, D) VSUBPD.BCST c<>(SB), X, D
#undef MINC
#define MINC(c, X) VBROADCASTSD c<>(SB), Z15; VMINPD X, Z15, X
#undef MAXC
#define MAXC(c, X) VBROADCASTSD c<>(SB), Z15; VMAXPD X, Z15, X
#undef MAGNITUDE
#define MAGNITUDE(X, D) VPANDQ.BCST magnitude<>(SB), X, D
#undef PICK
#define PICK(A, B, X, D) VCMPPD $0x1e, B, A, K1; VMOVAPD X, K1, D

// The table lies in Z28 to Z31. VPERMI2Q looks at four bits of the index; the fifth
// chooses between the halves.
#undef TABLE
#define TABLE \
	VMOVUPD exp2Table<>+0(SB), Z28   \
	VMOVUPD exp2Table<>+64(SB), Z29  \
	VMOVUPD exp2Table<>+128(SB), Z30 \
	VMOVUPD exp2Table<>+192(SB), Z31
#undef LOOKUP
#define LOOKUP \
	VMOVDQA64 V8, V10                \
	VPERMI2Q Z29, Z28, V10           \
	VMOVDQA64 V8, V11                \
	VPERMI2Q Z31, Z30, V11           \
	VPTESTMQ.BCST sixteen<>(SB), V8, K1 \
	VMOVDQA64 V11, K1, V10

#undef LOOP
#define LOOP(BODY) \
loop:                  \
	VCVTPS2PD (SI), V0     \
	BODY                   \
	VCVTPD2PS V0, Y0       \
	VMOVUPS Y0, (DI)       \
	ADDQ $32, SI           \
	ADDQ $32, DI           \
	SUBQ $8, CX            \
	JNZ loop               \
done:                  \
	VZEROUPPER             \
	RET

// func Exp512(dst, x []float32)
TEXT ·Exp512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(EXP_BODY)

// func Sigmoid512(dst, x []float32)
TEXT ·Sigmoid512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(SIGMOID_BODY)

// func SiLU512(dst, x []float32)
TEXT ·SiLU512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(SILU_BODY)

// func QuickGELU512(dst, x []float32)
TEXT ·QuickGELU512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(QUICKGELU_BODY)

// func GELUTanh512(dst, x []float32)
TEXT ·GELUTanh512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(GELUTANH_BODY)

// func Tanh512(dst, x []float32)
TEXT ·Tanh512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(TANH_BODY)

// func GELU512(dst, x []float32)
TEXT ·GELU512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(GELU_BODY)

// func Decay512(dst, x []float32)
TEXT ·Decay512(SB), NOSPLIT, $0-48
	BEGIN
	LOOP(DECAY_BODY)

// func expSum512(x *float32, n int, m float32) float64
TEXT ·expSum512(SB), NOSPLIT, $0-32
	SOFTMAX_BEGIN

loop:
	VMOVUPS (SI), Y0
	VSUBPS Y6, Y0, Y0
	VCVTPS2PD Y0, Z0
	EXP_BODY
	VCVTPD2PS Z0, Y0
	VMOVUPS Y0, (SI)
	VCVTPS2PD Y0, Z0
	VADDPD Z0, Z7, Z7
	ADDQ $32, SI
	SUBQ $8, CX
	JNZ loop
	VEXTRACTF64X4 $1, Z7, Y0
	VADDPD Y0, Y7, Y7
	VEXTRACTF128 $1, Y7, X0
	VADDPD X0, X7, X7
	VUNPCKHPD X7, X7, X0
	VADDSD X0, X7, X7
	VMOVSD X7, ret+24(FP)
	VZEROUPPER
	RET
