#include "textflag.h"
#include "arm64x.h"

// Elementwise combinations of n float32, a multiple of 4, eight at a time and four at the
// end. Each operation is rounded. Every function has
//
//	R0 dst  R1-R4 the inputs in order  R5 values left
//
// and does its work in a macro on the registers of four values: BODY(d, ...) leaves the
// result in d.

// LOOP1 to LOOP4 are the loops for that many inputs.
#define LOOP1(BODY) \
	SUBS    $8, R5;             \
	BLT     four;               \
eight:                              \
	FLDPQ.P 32(R1), (F0, F1);   \
	BODY(0);                    \
	BODY(1);                    \
	FSTPQ.P (F0, F1), 32(R0);   \
	SUBS    $8, R5;             \
	BGE     eight;              \
four:                               \
	ADDS    $8, R5;             \
	BEQ     done;               \
	FMOVQ   (R1), F0;           \
	BODY(0);                    \
	FMOVQ   F0, (R0);           \
done:                               \
	RET

#define LOOP2(BODY) \
	SUBS    $8, R5;             \
	BLT     four;               \
eight:                              \
	FLDPQ.P 32(R1), (F0, F1);   \
	FLDPQ.P 32(R2), (F2, F3);   \
	BODY(0, 2);                 \
	BODY(1, 3);                 \
	FSTPQ.P (F0, F1), 32(R0);   \
	SUBS    $8, R5;             \
	BGE     eight;              \
four:                               \
	ADDS    $8, R5;             \
	BEQ     done;               \
	FMOVQ   (R1), F0;           \
	FMOVQ   (R2), F2;           \
	BODY(0, 2);                 \
	FMOVQ   F0, (R0);           \
done:                               \
	RET

#define LOOP3(BODY) \
	SUBS    $8, R5;             \
	BLT     four;               \
eight:                              \
	FLDPQ.P 32(R1), (F0, F1);   \
	FLDPQ.P 32(R2), (F2, F3);   \
	FLDPQ.P 32(R3), (F4, F5);   \
	BODY(0, 2, 4);              \
	BODY(1, 3, 5);              \
	FSTPQ.P (F0, F1), 32(R0);   \
	SUBS    $8, R5;             \
	BGE     eight;              \
four:                               \
	ADDS    $8, R5;             \
	BEQ     done;               \
	FMOVQ   (R1), F0;           \
	FMOVQ   (R2), F2;           \
	FMOVQ   (R3), F4;           \
	BODY(0, 2, 4);              \
	FMOVQ   F0, (R0);           \
done:                               \
	RET

#define LOOP4(BODY) \
	SUBS    $8, R5;             \
	BLT     four;               \
eight:                              \
	FLDPQ.P 32(R1), (F0, F1);   \
	FLDPQ.P 32(R2), (F2, F3);   \
	FLDPQ.P 32(R3), (F4, F5);   \
	FLDPQ.P 32(R4), (F6, F7);   \
	BODY(0, 2, 4, 6);           \
	BODY(1, 3, 5, 7);           \
	FSTPQ.P (F0, F1), 32(R0);   \
	SUBS    $8, R5;             \
	BGE     eight;              \
four:                               \
	ADDS    $8, R5;             \
	BEQ     done;               \
	FMOVQ   (R1), F0;           \
	FMOVQ   (R2), F2;           \
	FMOVQ   (R3), F4;           \
	FMOVQ   (R4), F6;           \
	BODY(0, 2, 4, 6);           \
	FMOVQ   F0, (R0);           \
done:                               \
	RET

#define ADD2(a, b) FADD_4S(b, a, a)
#define MUL2(a, b) FMUL_4S(b, a, a)

// d + a*b
#define ADDMUL(d, a, b) \
	FMUL_4S(b, a, a); \
	FADD_4S(a, d, d)

// x + (prev-x)*mu
#define LERP(x, prev, mu) \
	FSUB_4S(x, prev, prev);  \
	FMUL_4S(mu, prev, prev); \
	FADD_4S(prev, x, x)

// x + (prev-x)*(mu+eps)
#define LERPADD(x, prev, mu, eps) \
	FADD_4S(eps, mu, mu); \
	LERP(x, prev, mu)

// y*max(1-gate, 0) + p*gate, with V30 zero and V31 one
#define BLEND(y, p, gate) \
	FMUL_4S(gate, p, p);        \
	FSUB_4S(gate, 31, gate);    \
	FMAX_4S(30, gate, gate);    \
	FMUL_4S(gate, y, y);        \
	FADD_4S(p, y, y)

#define RELU(x) FMAX_4S(30, x, x)

#define SQUARED(x) \
	FMAX_4S(30, x, x); \
	FMUL_4S(x, x, x)

// func add(dst, a, b *float32, n int)
TEXT ·add(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD a+8(FP), R1
	MOVD b+16(FP), R2
	MOVD n+24(FP), R5
	LOOP2(ADD2)

// func mul(dst, a, b *float32, n int)
TEXT ·mul(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD a+8(FP), R1
	MOVD b+16(FP), R2
	MOVD n+24(FP), R5
	LOOP2(MUL2)

// func addMul(dst, a, b *float32, n int)
TEXT ·addMul(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD R0, R1
	MOVD a+8(FP), R2
	MOVD b+16(FP), R3
	MOVD n+24(FP), R5
	LOOP3(ADDMUL)

// func lerp(dst, x, prev, mu *float32, n int)
TEXT ·lerp(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD prev+16(FP), R2
	MOVD mu+24(FP), R3
	MOVD n+32(FP), R5
	LOOP3(LERP)

// func lerpAdd(dst, x, prev, mu, eps *float32, n int)
TEXT ·lerpAdd(SB), NOSPLIT, $0-48
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD prev+16(FP), R2
	MOVD mu+24(FP), R3
	MOVD eps+32(FP), R4
	MOVD n+40(FP), R5
	LOOP4(LERPADD)

// func blend(dst, y, p, gate *float32, n int)
TEXT ·blend(SB), NOSPLIT, $0-40
	MOVD  dst+0(FP), R0
	MOVD  y+8(FP), R1
	MOVD  p+16(FP), R2
	MOVD  gate+24(FP), R3
	MOVD  n+32(FP), R5
	VEOR  V30.B16, V30.B16, V30.B16
	FMOVS $1.0, F31
	VDUP  V31.S[0], V31.S4
	LOOP3(BLEND)

// func relu(dst, x *float32, n int)
TEXT ·relu(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R5
	VEOR V30.B16, V30.B16, V30.B16
	LOOP1(RELU)

// func squaredReLU(dst, x *float32, n int)
TEXT ·squaredReLU(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD n+16(FP), R5
	VEOR V30.B16, V30.B16, V30.B16
	LOOP1(SQUARED)
