#include "textflag.h"

DATA absMask<>+0(SB)/4, $0x7fffffff
GLOBL absMask<>(SB), RODATA|NOPTR, $4

DATA flip<>+0(SB)/4, $0x80808080
GLOBL flip<>(SB), RODATA|NOPTR, $4

DATA c127<>+0(SB)/4, $127.0
GLOBL c127<>(SB), RODATA|NOPTR, $4

DATA nan<>+0(SB)/4, $0x7fc00000
GLOBL nan<>(SB), RODATA|NOPTR, $4

// VPACKSSDW and VPACKSSWB work in halves of a register: the order of four columns
// after both.
DATA order<>+0(SB)/4, $0
DATA order<>+4(SB)/4, $4
DATA order<>+8(SB)/4, $1
DATA order<>+12(SB)/4, $5
DATA order<>+16(SB)/4, $2
DATA order<>+20(SB)/4, $6
DATA order<>+24(SB)/4, $3
DATA order<>+28(SB)/4, $7
GLOBL order<>(SB), RODATA|NOPTR, $32

// func quantizeRow(q *int8, scale *float32, sum *int32, x *float32, cols, pitch int)
//
// DI q, R8 scale, R9 sum, SI x, BX columns left, DX pitch, R10 3*pitch
// Y15 mask of magnitude, Y14 flip, Y13 order, Y12 factor, Y11 what is kept of x
TEXT ·quantizeRow(SB), NOSPLIT, $0-48
	MOVQ q+0(FP), DI
	MOVQ scale+8(FP), R8
	MOVQ sum+16(FP), R9
	MOVQ x+24(FP), SI
	MOVQ cols+32(FP), BX
	MOVQ pitch+40(FP), DX
	LEAQ (DX)(DX*2), R10
	VPBROADCASTD absMask<>(SB), Y15
	VPBROADCASTD flip<>(SB), Y14
	VMOVDQU order<>(SB), Y13

block:
	MOVQ $256, CX
	CMPQ BX, CX
	CMOVQLT BX, CX
	SUBQ CX, BX
	SHRQ $5, CX

	// The largest magnitude; magnitudes order like their bits, NaN above infinity.
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	MOVQ SI, R11
	MOVQ CX, AX
magnitude:
	VPAND (R11), Y15, Y2
	VPAND 32(R11), Y15, Y3
	VPAND 64(R11), Y15, Y4
	VPAND 96(R11), Y15, Y5
	VPMAXUD Y2, Y0, Y0
	VPMAXUD Y3, Y1, Y1
	VPMAXUD Y4, Y0, Y0
	VPMAXUD Y5, Y1, Y1
	ADDQ $128, R11
	DECQ AX
	JNZ magnitude
	VPMAXUD Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPMAXUD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPMAXUD X1, X0, X0
	VPSHUFD $0xb1, X0, X1
	VPMAXUD X1, X0, X0
	VMOVD X0, AX

	VPXOR Y11, Y11, Y11
	VMOVSS c127<>(SB), X1
	VDIVSS X1, X0, X2 // scale
	VDIVSS X0, X1, X3 // factor
	CMPL AX, $0x7f800000
	JAE special
	CMPL AX, $0x0d800000 // 2^-100
	JAE ordinary
	VPXOR X2, X2, X2
	JMP emit
special:
	VMOVSS nan<>(SB), X2
	JMP emit
ordinary:
	VPCMPEQD Y11, Y11, Y11
emit:
	VMOVSS X2, (R8)
	ADDQ DX, R8
	VBROADCASTSS X3, Y12
	VPAND Y11, Y12, Y12

group:
	VANDPS (SI), Y11, Y0
	VANDPS 32(SI), Y11, Y1
	VANDPS 64(SI), Y11, Y2
	VANDPS 96(SI), Y11, Y3
	VMULPS Y12, Y0, Y0
	VMULPS Y12, Y1, Y1
	VMULPS Y12, Y2, Y2
	VMULPS Y12, Y3, Y3
	VCVTPS2DQ Y0, Y0
	VCVTPS2DQ Y1, Y1
	VCVTPS2DQ Y2, Y2
	VCVTPS2DQ Y3, Y3
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKSSWB Y2, Y0, Y0
	VPERMD Y0, Y13, Y0
	VEXTRACTI128 $1, Y0, X1
	VMOVD X0, (DI)
	VPEXTRD $1, X0, (DI)(DX*1)
	VPEXTRD $2, X0, (DI)(DX*2)
	VPEXTRD $3, X0, (DI)(R10*1)
	LEAQ (DI)(DX*4), DI
	VMOVD X1, (DI)
	VPEXTRD $1, X1, (DI)(DX*1)
	VPEXTRD $2, X1, (DI)(DX*2)
	VPEXTRD $3, X1, (DI)(R10*1)
	LEAQ (DI)(DX*4), DI

	// VPSADBW adds unsigned bytes: 128 too much each.
	VPXOR Y14, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPSADBW Y1, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDD X1, X0, X0
	VPSHUFD $0x4e, X0, X1
	VPADDD X1, X0, X0
	VMOVD X0, AX
	SUBL $4096, AX
	MOVL AX, (R9)
	ADDQ DX, R9
	ADDQ $128, SI
	DECQ CX
	JNZ group

	TESTQ BX, BX
	JNZ block
	VZEROUPPER
	RET
