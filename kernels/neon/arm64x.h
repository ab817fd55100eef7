// Instructions that Go's arm64 assembler lacks, one macro each.
//
// Names are ARM's with the arrangement of the destination; a macro whose second source
// is one element ends in _LANE. Operands are register numbers, sources first and
// destination last, like those of VFMLA: OP(m, n, d) is "op Vd, Vn, Vm". A feature is
// named where it is not part of the base. When the assembler learns an instruction,
// delete its macro and let the build find the uses. testdata/arm64x.s proves them all.

// Element i of four, as bits 21 and 11.
#define LANE4(i)  (((i)&1)<<21 | ((i)>>1)<<11)
// Element i of eight, as bits 20, 21 and 11; the register is one of V0 to V15.
#define LANE8(i)  (((i)&1)<<20 | ((i)>>1&1)<<21 | ((i)>>2)<<11)

// Integer products.

// SDOT_LANE: Vd.4S += Vn.16B . Vm.4B[i]    FEAT_DotProd
#define SDOT_LANE(i, m, n, d)     WORD $(0x4F80E000 | LANE4(i) | (m)<<16 | (n)<<5 | (d))
// SDOT_4S: Vd.4S += Vn.16B . Vm.16B    FEAT_DotProd
#define SDOT_4S(m, n, d)          WORD $(0x4E809400 | (m)<<16 | (n)<<5 | (d))
// SMMLA_4S: Vd.4S += Vn.16B (2x8) * Vm.16B (2x8) transposed    FEAT_I8MM
#define SMMLA_4S(m, n, d)         WORD $(0x4E80A400 | (m)<<16 | (n)<<5 | (d))
// SMULL_8H, SMULL2_8H: Vd.8H = low or high half of Vn.16B * Vm.16B
#define SMULL_8H(m, n, d)         WORD $(0x0E20C000 | (m)<<16 | (n)<<5 | (d))
#define SMULL2_8H(m, n, d)        WORD $(0x4E20C000 | (m)<<16 | (n)<<5 | (d))
// SMLAL_8H, SMLAL2_8H: the same, added to Vd.8H
#define SMLAL_8H(m, n, d)         WORD $(0x0E208000 | (m)<<16 | (n)<<5 | (d))
#define SMLAL2_8H(m, n, d)        WORD $(0x4E208000 | (m)<<16 | (n)<<5 | (d))
// SMLAL_4S, SMLAL2_4S: Vd.4S += low or high half of Vn.8H * Vm.8H
#define SMLAL_4S(m, n, d)         WORD $(0x0E608000 | (m)<<16 | (n)<<5 | (d))
#define SMLAL2_4S(m, n, d)        WORD $(0x4E608000 | (m)<<16 | (n)<<5 | (d))
// The same with element i of Vm.8H; MUL_8H_LANE and MLA_8H_LANE keep 16 bits of each product.
#define SMULL_4S_LANE(i, m, n, d)   WORD $(0x0F40A000 | LANE8(i) | (m)<<16 | (n)<<5 | (d))
#define SMULL2_4S_LANE(i, m, n, d)  WORD $(0x4F40A000 | LANE8(i) | (m)<<16 | (n)<<5 | (d))
#define SMLAL_4S_LANE(i, m, n, d)   WORD $(0x0F402000 | LANE8(i) | (m)<<16 | (n)<<5 | (d))
#define SMLAL2_4S_LANE(i, m, n, d)  WORD $(0x4F402000 | LANE8(i) | (m)<<16 | (n)<<5 | (d))
#define MUL_8H_LANE(i, m, n, d)     WORD $(0x4F408000 | LANE8(i) | (m)<<16 | (n)<<5 | (d))
#define MLA_8H_LANE(i, m, n, d)     WORD $(0x6F400000 | LANE8(i) | (m)<<16 | (n)<<5 | (d))
// SADALP_4S: Vd.4S += sums of pairs of Vn.8H
#define SADALP_4S(n, d)           WORD $(0x4E606800 | (n)<<5 | (d))
#define MUL_16B(m, n, d)          WORD $(0x4E209C00 | (m)<<16 | (n)<<5 | (d))
#define NEG_4S(n, d)              WORD $(0x6EA0B800 | (n)<<5 | (d))
#define UMAXV_4S(n, d)            WORD $(0x6EB0A800 | (n)<<5 | (d))
// USUBL_8H: Vd.8H = Vn.8B - Vm.8B, unsigned bytes
#define USUBL_8H(m, n, d)         WORD $(0x2E202000 | (m)<<16 | (n)<<5 | (d))
// ADDHN_4H, ADDHN2_8H: low or high half of Vd.8H = upper halves of Vn.4S + Vm.4S
#define ADDHN_4H(m, n, d)         WORD $(0x0E604000 | (m)<<16 | (n)<<5 | (d))
#define ADDHN2_8H(m, n, d)        WORD $(0x4E604000 | (m)<<16 | (n)<<5 | (d))
// SQXTUN_8B: Vd.8B = Vn.8H cut to 0..255; SQSHRUN_8B, SQSHRUN2_16B: the same of Vn.8H >> s,
// into the low or high half of Vd.16B
#define SQXTUN_8B(n, d)           WORD $(0x2E212800 | (n)<<5 | (d))
#define SQSHRUN_8B(s, n, d)       WORD $(0x2F008400 | (16-(s))<<16 | (n)<<5 | (d))
#define SQSHRUN2_16B(s, n, d)     WORD $(0x6F008400 | (16-(s))<<16 | (n)<<5 | (d))

// Conversions. FCVTL and FCVTN change the precision, the forms with 2 read or write
// the upper half; FCVTNS rounds to nearest, ties to even.
#define SCVTF_4S(n, d)            WORD $(0x4E21D800 | (n)<<5 | (d))
#define FCVTNS_4S(n, d)           WORD $(0x4E21A800 | (n)<<5 | (d))
#define FCVTL_4S(n, d)            WORD $(0x0E217800 | (n)<<5 | (d))
#define FCVTL2_4S(n, d)           WORD $(0x4E217800 | (n)<<5 | (d))
#define FCVTL_2D(n, d)            WORD $(0x0E617800 | (n)<<5 | (d))
#define FCVTL2_2D(n, d)           WORD $(0x4E617800 | (n)<<5 | (d))
#define FCVTN_2S(n, d)            WORD $(0x0E616800 | (n)<<5 | (d))
#define FCVTN2_4S(n, d)           WORD $(0x4E616800 | (n)<<5 | (d))

// float32 x 4.
#define FADD_4S(m, n, d)          WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))
#define FSUB_4S(m, n, d)          WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d))
#define FMUL_4S(m, n, d)          WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FMUL_4S_LANE(i, m, n, d)  WORD $(0x4F809000 | LANE4(i) | (m)<<16 | (n)<<5 | (d))
// FMLA_4S_LANE: Vd.4S += Vn.4S * Vm.S[i], fused
#define FMLA_4S_LANE(i, m, n, d)  WORD $(0x4F801000 | LANE4(i) | (m)<<16 | (n)<<5 | (d))
// FMLS_4S_LANE: Vd.4S -= Vn.4S * Vm.S[i], fused
#define FMLS_4S_LANE(i, m, n, d)  WORD $(0x4F805000 | LANE4(i) | (m)<<16 | (n)<<5 | (d))
// FADDP_4S: sums of pairs of Vn.4S, then of Vm.4S
#define FADDP_4S(m, n, d)         WORD $(0x6E20D400 | (m)<<16 | (n)<<5 | (d))
// FMAX: NaN if either is; FMAXNM: the other if one is NaN.
#define FMAX_4S(m, n, d)          WORD $(0x4E20F400 | (m)<<16 | (n)<<5 | (d))
#define FMAXNM_4S(m, n, d)        WORD $(0x4E20C400 | (m)<<16 | (n)<<5 | (d))
#define FMAXNMV_4S(n, d)          WORD $(0x6E30C800 | (n)<<5 | (d))

// float64 x 2.
#define FADD_2D(m, n, d)          WORD $(0x4E60D400 | (m)<<16 | (n)<<5 | (d))
#define FSUB_2D(m, n, d)          WORD $(0x4EE0D400 | (m)<<16 | (n)<<5 | (d))
#define FMUL_2D(m, n, d)          WORD $(0x6E60DC00 | (m)<<16 | (n)<<5 | (d))
#define FDIV_2D(m, n, d)          WORD $(0x6E60FC00 | (m)<<16 | (n)<<5 | (d))
#define FMAX_2D(m, n, d)          WORD $(0x4E60F400 | (m)<<16 | (n)<<5 | (d))
#define FMIN_2D(m, n, d)          WORD $(0x4EE0F400 | (m)<<16 | (n)<<5 | (d))
#define FNEG_2D(n, d)             WORD $(0x6EE0F800 | (n)<<5 | (d))
#define FABS_2D(n, d)             WORD $(0x4EE0F800 | (n)<<5 | (d))
// FCMGT_2D: Vd.2D = all ones where Vn > Vm
#define FCMGT_2D(m, n, d)         WORD $(0x6EE0E400 | (m)<<16 | (n)<<5 | (d))
