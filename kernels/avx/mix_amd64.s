#include "textflag.h"

// Elementwise combinations, each operation rounded, none fused. DI dst, SI, R8, R9 and R10
// the inputs, CX values left.

DATA one32<>+0(SB)/4, $1.0
GLOBL one32<>(SB), RODATA|NOPTR, $4

#define LOOP(BODY) \
	TESTQ CX, CX       \
	JZ done            \
	XORQ AX, AX        \
loop:              \
	BODY               \
	VMOVUPS Y0, (DI)(AX*4) \
	ADDQ $8, AX        \
	CMPQ AX, CX        \
	JNE loop           \
done:              \
	VZEROUPPER         \
	RET

#define ADD_BODY \
	VMOVUPS (SI)(AX*4), Y0 \
	VADDPS (R8)(AX*4), Y0, Y0

#define MUL_BODY \
	VMOVUPS (SI)(AX*4), Y0 \
	VMULPS (R8)(AX*4), Y0, Y0

#define ADDMUL_BODY \
	VMOVUPS (SI)(AX*4), Y0    \
	VMULPS (R8)(AX*4), Y0, Y0 \
	VADDPS (DI)(AX*4), Y0, Y0

#define LERP_BODY \
	VMOVUPS (SI)(AX*4), Y1    \
	VMOVUPS (R8)(AX*4), Y0    \
	VSUBPS Y1, Y0, Y0         \
	VMULPS (R9)(AX*4), Y0, Y0 \
	VADDPS Y1, Y0, Y0

#define LERPADD_BODY \
	VMOVUPS (SI)(AX*4), Y1     \
	VMOVUPS (R8)(AX*4), Y0     \
	VMOVUPS (R9)(AX*4), Y2     \
	VSUBPS Y1, Y0, Y0          \
	VADDPS (R10)(AX*4), Y2, Y2 \
	VMULPS Y2, Y0, Y0          \
	VADDPS Y1, Y0, Y0

// VMAXPS gives its second source, written first here, for a NaN.
#define BLEND_BODY \
	VMOVUPS (R9)(AX*4), Y1    \
	VSUBPS Y1, Y15, Y0        \
	VMAXPS Y0, Y14, Y0        \
	VMULPS (SI)(AX*4), Y0, Y0 \
	VMULPS (R8)(AX*4), Y1, Y1 \
	VADDPS Y1, Y0, Y0

// Adding 0 makes 0 of -0.
#define RELU_BODY \
	VMOVUPS (SI)(AX*4), Y0 \
	VMAXPS Y0, Y14, Y0     \
	VADDPS Y14, Y0, Y0

#define SQUAREDRELU_BODY \
	VMOVUPS (SI)(AX*4), Y0 \
	VMAXPS Y0, Y14, Y0     \
	VMULPS Y0, Y0, Y0

// func Add(dst, a, b []float32)
TEXT ·Add(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ a_base+24(FP), SI
	MOVQ b_base+48(FP), R8
	LOOP(ADD_BODY)

// func Mul(dst, a, b []float32)
TEXT ·Mul(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ a_base+24(FP), SI
	MOVQ b_base+48(FP), R8
	LOOP(MUL_BODY)

// func AddMul(dst, a, b []float32)
TEXT ·AddMul(SB), NOSPLIT, $0-72
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ a_base+24(FP), SI
	MOVQ b_base+48(FP), R8
	LOOP(ADDMUL_BODY)

// func Lerp(dst, x, prev, mu []float32)
TEXT ·Lerp(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ prev_base+48(FP), R8
	MOVQ mu_base+72(FP), R9
	LOOP(LERP_BODY)

// func LerpAdd(dst, x, prev, mu, eps []float32)
TEXT ·LerpAdd(SB), NOSPLIT, $0-120
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ prev_base+48(FP), R8
	MOVQ mu_base+72(FP), R9
	MOVQ eps_base+96(FP), R10
	LOOP(LERPADD_BODY)

// func Blend(dst, y, p, gate []float32)
TEXT ·Blend(SB), NOSPLIT, $0-96
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ y_base+24(FP), SI
	MOVQ p_base+48(FP), R8
	MOVQ gate_base+72(FP), R9
	VXORPS X14, X14, X14
	VBROADCASTSS one32<>(SB), Y15
	LOOP(BLEND_BODY)

// func ReLU(dst, x []float32)
TEXT ·ReLU(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	VXORPS X14, X14, X14
	LOOP(RELU_BODY)

// func SquaredReLU(dst, x []float32)
TEXT ·SquaredReLU(SB), NOSPLIT, $0-48
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	VXORPS X14, X14, X14
	LOOP(SQUAREDRELU_BODY)
