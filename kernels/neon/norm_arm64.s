#include "textflag.h"
#include "arm64x.h"

// func layerNorm(dst, x, weight, bias *float32, n int, eps float32)
//
//	R0 dst  R1 x  R2 weight  R3 bias  R4 n  R5 x, running  R6 values left
//	V30 mean  V31 1/√(var+eps), float64
//
// Four sums in float64, of the values whose index is 0, 1, 2 or 3 modulo 4, are added in
// that order: the bits of package portable.
TEXT ·layerNorm(SB), NOSPLIT, $0-44
	MOVD dst+0(FP), R0
	MOVD x+8(FP), R1
	MOVD weight+16(FP), R2
	MOVD bias+24(FP), R3
	MOVD n+32(FP), R4
	SCVTFD R4, F29

	VEOR V16.B16, V16.B16, V16.B16
	VEOR V17.B16, V17.B16, V17.B16
	MOVD R1, R5
	MOVD R4, R6

sum:
	FMOVQ.P 16(R5), F0
	FCVTL_2D(0, 1)
	FCVTL2_2D(0, 2)
	FADD_2D(1, 16, 16)
	FADD_2D(2, 17, 17)
	SUBS    $4, R6
	BNE     sum
	VDUP    V16.D[1], V18.D2
	VDUP    V17.D[1], V19.D2
	FADDD   F18, F16, F16
	FADDD   F17, F16, F16
	FADDD   F19, F16, F16
	FDIVD   F29, F16, F30
	VDUP    V30.D[0], V30.D2

	VEOR V16.B16, V16.B16, V16.B16
	VEOR V17.B16, V17.B16, V17.B16
	MOVD R1, R5
	MOVD R4, R6

squares:
	FMOVQ.P 16(R5), F0
	FCVTL_2D(0, 1)
	FCVTL2_2D(0, 2)
	FSUB_2D(30, 1, 1)
	FSUB_2D(30, 2, 2)
	FMUL_2D(1, 1, 1)
	FMUL_2D(2, 2, 2)
	FADD_2D(1, 16, 16)
	FADD_2D(2, 17, 17)
	SUBS    $4, R6
	BNE     squares
	VDUP    V16.D[1], V18.D2
	VDUP    V17.D[1], V19.D2
	FADDD   F18, F16, F16
	FADDD   F17, F16, F16
	FADDD   F19, F16, F16
	FDIVD   F29, F16, F16
	FMOVS   eps+40(FP), F0
	FCVTSD  F0, F0
	FADDD   F0, F16, F16
	FSQRTD  F16, F16
	FMOVD   $1.0, F0
	FDIVD   F16, F0, F31
	VDUP    V31.D[0], V31.D2

scale:
	FMOVQ.P 16(R1), F0
	FMOVQ.P 16(R2), F3
	FMOVQ.P 16(R3), F4
	FCVTL_2D(0, 1)
	FCVTL2_2D(0, 2)
	FSUB_2D(30, 1, 1)
	FSUB_2D(30, 2, 2)
	FMUL_2D(31, 1, 1)
	FMUL_2D(31, 2, 2)
	FCVTN_2S(1, 1)
	FCVTN2_4S(2, 1)
	FMUL_4S(3, 1, 1)
	FADD_4S(4, 1, 1)
	FMOVQ.P F1, 16(R0)
	SUBS    $4, R4
	BNE     scale
	RET
