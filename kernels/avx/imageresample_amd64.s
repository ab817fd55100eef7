#include "textflag.h"

DATA half22<>+0(SB)/4, $0x200000
GLOBL half22<>(SB), RODATA|NOPTR, $4

// SUM adds 16 samples, of two rows each, to a sum of high and one of low halves: IN is
// the register of bytes of both rows in turn, LO and HI which of its halves.
#define SUM(UNPACK, IN, HIGH, LOW) \
	UNPACK     Y12, IN, Y8      \
	VPMADDWD   Y14, Y8, Y9      \
	VPMADDWD   Y15, Y8, Y8      \
	VPADDD     Y9, HIGH, HIGH   \
	VPADDD     Y8, LOW, LOW

// ROWS adds the rows in Y8 and Y9 with the weights at R11.
#define ROWS \
	VPBROADCASTD (R11), Y14        \
	VPBROADCASTD 4(R11), Y15       \
	VPUNPCKLBW   Y9, Y8, Y10       \
	VPUNPCKHBW   Y9, Y8, Y11       \
	SUM(VPUNPCKLBW, Y10, Y0, Y4)   \
	SUM(VPUNPCKHBW, Y10, Y1, Y5)   \
	SUM(VPUNPCKLBW, Y11, Y2, Y6)   \
	SUM(VPUNPCKHBW, Y11, Y3, Y7)

// WHOLE makes results of two sums.
#define WHOLE(HIGH, LOW) \
	VPSLLD $16, HIGH, HIGH   \
	VPADDD LOW, HIGH, HIGH   \
	VPSRAD $22, HIGH, HIGH

// func resample(dst, src *uint8, stride, n int, w *int16, len int)
//
// DI dst, SI src, DX stride, R8 n, BX w, CX samples left
// R10 row, R11 weights, AX rows left
// Y0-Y3 sums of high halves, Y4-Y7 of low ones, Y12 zero, Y13 half a step
TEXT ·resample(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ stride+16(FP), DX
	MOVQ n+24(FP), R8
	MOVQ w+32(FP), BX
	MOVQ len+40(FP), CX
	VPXOR Y12, Y12, Y12
	VPBROADCASTD half22<>(SB), Y13

samples:
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3
	VMOVDQA Y13, Y4
	VMOVDQA Y13, Y5
	VMOVDQA Y13, Y6
	VMOVDQA Y13, Y7
	MOVQ SI, R10
	MOVQ BX, R11
	MOVQ R8, AX
	SUBQ $2, AX
	JLT odd

two:
	VMOVDQU (R10), Y8
	VMOVDQU (R10)(DX*1), Y9
	LEAQ (R10)(DX*2), R10
	ROWS
	ADDQ $8, R11
	SUBQ $2, AX
	JGE two

odd:
	CMPQ AX, $-1
	JNE whole
	VMOVDQU (R10), Y8
	VMOVDQA Y12, Y9
	ROWS

whole:
	WHOLE(Y0, Y4)
	WHOLE(Y1, Y5)
	WHOLE(Y2, Y6)
	WHOLE(Y3, Y7)
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKUSWB Y2, Y0, Y0
	VMOVDQU Y0, (DI)

	// The next 32, or the last.
	SUBQ $32, CX
	JEQ done
	MOVQ $32, AX
	CMPQ CX, AX
	CMOVQLT CX, AX
	MOVQ $32, R10
	CMOVQLT R10, CX
	ADDQ AX, SI
	ADDQ AX, DI
	JMP samples

done:
	VZEROUPPER
	RET

// ROW loads row i and, into the upper half, row i+8.
#define ROW(AT, X, Y) \
	VMOVDQU     AT, X                        \
	VINSERTI128 $1, AT(R9*8), Y, Y

// ZIP interleaves the bytes of A and B.
#define ZIP(A, B, LO, HI) \
	VPUNPCKLBW B, A, LO   \
	VPUNPCKHBW B, A, HI

// COLUMNS writes columns C and C+1, rows 0 to 7 of both in the lower half of Y and 8 to 15
// in the upper.
#define COLUMNS(X, Y) \
	VPERMQ       $0xd8, Y, Y         \
	VMOVDQU      X, (R10)            \
	VEXTRACTI128 $1, Y, (R10)(DX*1)  \
	LEAQ         (R10)(DX*2), R10

// func transpose16(dst *uint8, dstStride int, src *uint8, srcStride, cols int)
//
// DI dst, DX dstStride, SI src, R9 srcStride, CX columns left
TEXT ·transpose16(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ dstStride+8(FP), DX
	MOVQ src+16(FP), SI
	MOVQ srcStride+24(FP), R9
	MOVQ cols+32(FP), CX

tile:
	MOVQ SI, R11
	ROW((R11), X0, Y0)
	ADDQ R9, R11
	ROW((R11), X1, Y1)
	ADDQ R9, R11
	ROW((R11), X2, Y2)
	ADDQ R9, R11
	ROW((R11), X3, Y3)
	ADDQ R9, R11
	ROW((R11), X4, Y4)
	ADDQ R9, R11
	ROW((R11), X5, Y5)
	ADDQ R9, R11
	ROW((R11), X6, Y6)
	ADDQ R9, R11
	ROW((R11), X7, Y7)

	// Each round moves one bit of the row from the register's number into the place within
	// it, and one bit of the column the other way.
	ZIP(Y0, Y4, Y8, Y9)
	ZIP(Y1, Y5, Y10, Y11)
	ZIP(Y2, Y6, Y12, Y13)
	ZIP(Y3, Y7, Y14, Y15)
	ZIP(Y8, Y12, Y0, Y1)
	ZIP(Y9, Y13, Y2, Y3)
	ZIP(Y10, Y14, Y4, Y5)
	ZIP(Y11, Y15, Y6, Y7)
	ZIP(Y0, Y4, Y8, Y9)
	ZIP(Y1, Y5, Y10, Y11)
	ZIP(Y2, Y6, Y12, Y13)
	ZIP(Y3, Y7, Y14, Y15)
	MOVQ DI, R10
	COLUMNS(X8, Y8)
	COLUMNS(X9, Y9)
	COLUMNS(X10, Y10)
	COLUMNS(X11, Y11)
	COLUMNS(X12, Y12)
	COLUMNS(X13, Y13)
	COLUMNS(X14, Y14)
	COLUMNS(X15, Y15)

	SUBQ $16, CX
	JEQ done
	MOVQ $16, AX
	CMPQ CX, AX
	CMOVQLT CX, AX
	MOVQ $16, R10
	CMOVQLT R10, CX
	ADDQ AX, SI
	IMULQ DX, AX
	ADDQ AX, DI
	JMP tile

done:
	VZEROUPPER
	RET
