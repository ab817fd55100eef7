// Every macro of arm64x.h with several registers. After each call stand the four bytes
// and the ARM text that it must be; the bytes are LLVM's, not ours.

#include "arm64x.h"

TEXT ·arm64x(SB), 0, $0
	SDOT_LANE(0, 0, 1, 2)              // 22e0804f  sdot v2.4s, v1.16b, v0.4b[0]
	SDOT_LANE(3, 31, 30, 29)           // ddebbf4f  sdot v29.4s, v30.16b, v31.4b[3]
	SDOT_LANE(1, 7, 7, 7)              // e7e0a74f  sdot v7.4s, v7.16b, v7.4b[1]
	SDOT_LANE(2, 16, 15, 8)            // e8e9904f  sdot v8.4s, v15.16b, v16.4b[2]
	SDOT_4S(0, 1, 2)                   // 2294804e  sdot v2.4s, v1.16b, v0.16b
	SDOT_4S(31, 30, 29)                // dd979f4e  sdot v29.4s, v30.16b, v31.16b
	SDOT_4S(7, 7, 7)                   // e794874e  sdot v7.4s, v7.16b, v7.16b
	SMMLA_4S(0, 1, 2)                  // 22a4804e  smmla v2.4s, v1.16b, v0.16b
	SMMLA_4S(31, 30, 29)               // dda79f4e  smmla v29.4s, v30.16b, v31.16b
	SMMLA_4S(7, 7, 7)                  // e7a4874e  smmla v7.4s, v7.16b, v7.16b
	SMULL_8H(0, 1, 2)                  // 22c0200e  smull v2.8h, v1.8b, v0.8b
	SMULL_8H(31, 30, 29)               // ddc33f0e  smull v29.8h, v30.8b, v31.8b
	SMULL_8H(7, 7, 7)                  // e7c0270e  smull v7.8h, v7.8b, v7.8b
	SMULL2_8H(0, 1, 2)                 // 22c0204e  smull2 v2.8h, v1.16b, v0.16b
	SMULL2_8H(31, 30, 29)              // ddc33f4e  smull2 v29.8h, v30.16b, v31.16b
	SMULL2_8H(7, 7, 7)                 // e7c0274e  smull2 v7.8h, v7.16b, v7.16b
	SMLAL_8H(0, 1, 2)                  // 2280200e  smlal v2.8h, v1.8b, v0.8b
	SMLAL_8H(31, 30, 29)               // dd833f0e  smlal v29.8h, v30.8b, v31.8b
	SMLAL_8H(7, 7, 7)                  // e780270e  smlal v7.8h, v7.8b, v7.8b
	SMLAL2_8H(0, 1, 2)                 // 2280204e  smlal2 v2.8h, v1.16b, v0.16b
	SMLAL2_8H(31, 30, 29)              // dd833f4e  smlal2 v29.8h, v30.16b, v31.16b
	SMLAL2_8H(7, 7, 7)                 // e780274e  smlal2 v7.8h, v7.16b, v7.16b
	SMLAL_4S(0, 1, 2)                  // 2280600e  smlal v2.4s, v1.4h, v0.4h
	SMLAL_4S(31, 30, 29)               // dd837f0e  smlal v29.4s, v30.4h, v31.4h
	SMLAL_4S(7, 7, 7)                  // e780670e  smlal v7.4s, v7.4h, v7.4h
	SMLAL2_4S(0, 1, 2)                 // 2280604e  smlal2 v2.4s, v1.8h, v0.8h
	SMLAL2_4S(31, 30, 29)              // dd837f4e  smlal2 v29.4s, v30.8h, v31.8h
	SMLAL2_4S(7, 7, 7)                 // e780674e  smlal2 v7.4s, v7.8h, v7.8h
	SADALP_4S(0, 2)                    // 0268604e  sadalp v2.4s, v0.8h
	SADALP_4S(31, 29)                  // fd6b604e  sadalp v29.4s, v31.8h
	SADALP_4S(7, 7)                    // e768604e  sadalp v7.4s, v7.8h
	MUL_16B(0, 1, 2)                   // 229c204e  mul v2.16b, v1.16b, v0.16b
	MUL_16B(31, 30, 29)                // dd9f3f4e  mul v29.16b, v30.16b, v31.16b
	MUL_16B(7, 7, 7)                   // e79c274e  mul v7.16b, v7.16b, v7.16b
	NEG_4S(0, 2)                       // 02b8a06e  neg v2.4s, v0.4s
	NEG_4S(31, 29)                     // fdbba06e  neg v29.4s, v31.4s
	NEG_4S(7, 7)                       // e7b8a06e  neg v7.4s, v7.4s
	UMAXV_4S(0, 2)                     // 02a8b06e  umaxv s2, v0.4s
	UMAXV_4S(31, 29)                   // fdabb06e  umaxv s29, v31.4s
	UMAXV_4S(7, 7)                     // e7a8b06e  umaxv s7, v7.4s
	SMULL_4S_LANE(0, 0, 1, 2)          // 22a0400f  smull v2.4s, v1.4h, v0.h[0]
	SMULL_4S_LANE(7, 15, 30, 29)       // ddab7f0f  smull v29.4s, v30.4h, v15.h[7]
	SMULL_4S_LANE(1, 7, 7, 7)          // e7a0570f  smull v7.4s, v7.4h, v7.h[1]
	SMULL_4S_LANE(2, 8, 15, 16)        // f0a1680f  smull v16.4s, v15.4h, v8.h[2]
	SMULL_4S_LANE(4, 3, 31, 0)         // e0ab430f  smull v0.4s, v31.4h, v3.h[4]
	SMULL2_4S_LANE(0, 0, 1, 2)         // 22a0404f  smull2 v2.4s, v1.8h, v0.h[0]
	SMULL2_4S_LANE(7, 15, 30, 29)      // ddab7f4f  smull2 v29.4s, v30.8h, v15.h[7]
	SMULL2_4S_LANE(1, 7, 7, 7)         // e7a0574f  smull2 v7.4s, v7.8h, v7.h[1]
	SMULL2_4S_LANE(2, 8, 15, 16)       // f0a1684f  smull2 v16.4s, v15.8h, v8.h[2]
	SMULL2_4S_LANE(4, 3, 31, 0)        // e0ab434f  smull2 v0.4s, v31.8h, v3.h[4]
	SMLAL_4S_LANE(0, 0, 1, 2)          // 2220400f  smlal v2.4s, v1.4h, v0.h[0]
	SMLAL_4S_LANE(7, 15, 30, 29)       // dd2b7f0f  smlal v29.4s, v30.4h, v15.h[7]
	SMLAL_4S_LANE(1, 7, 7, 7)          // e720570f  smlal v7.4s, v7.4h, v7.h[1]
	SMLAL_4S_LANE(2, 8, 15, 16)        // f021680f  smlal v16.4s, v15.4h, v8.h[2]
	SMLAL_4S_LANE(4, 3, 31, 0)         // e02b430f  smlal v0.4s, v31.4h, v3.h[4]
	SMLAL2_4S_LANE(0, 0, 1, 2)         // 2220404f  smlal2 v2.4s, v1.8h, v0.h[0]
	SMLAL2_4S_LANE(7, 15, 30, 29)      // dd2b7f4f  smlal2 v29.4s, v30.8h, v15.h[7]
	SMLAL2_4S_LANE(1, 7, 7, 7)         // e720574f  smlal2 v7.4s, v7.8h, v7.h[1]
	SMLAL2_4S_LANE(2, 8, 15, 16)       // f021684f  smlal2 v16.4s, v15.8h, v8.h[2]
	SMLAL2_4S_LANE(4, 3, 31, 0)        // e02b434f  smlal2 v0.4s, v31.8h, v3.h[4]
	MUL_8H_LANE(0, 0, 1, 2)            // 2280404f  mul v2.8h, v1.8h, v0.h[0]
	MUL_8H_LANE(7, 15, 30, 29)         // dd8b7f4f  mul v29.8h, v30.8h, v15.h[7]
	MUL_8H_LANE(1, 7, 7, 7)            // e780574f  mul v7.8h, v7.8h, v7.h[1]
	MUL_8H_LANE(2, 8, 15, 16)          // f081684f  mul v16.8h, v15.8h, v8.h[2]
	MUL_8H_LANE(4, 3, 31, 0)           // e08b434f  mul v0.8h, v31.8h, v3.h[4]
	MLA_8H_LANE(0, 0, 1, 2)            // 2200406f  mla v2.8h, v1.8h, v0.h[0]
	MLA_8H_LANE(7, 15, 30, 29)         // dd0b7f6f  mla v29.8h, v30.8h, v15.h[7]
	MLA_8H_LANE(1, 7, 7, 7)            // e700576f  mla v7.8h, v7.8h, v7.h[1]
	MLA_8H_LANE(2, 8, 15, 16)          // f001686f  mla v16.8h, v15.8h, v8.h[2]
	MLA_8H_LANE(4, 3, 31, 0)           // e00b436f  mla v0.8h, v31.8h, v3.h[4]
	USUBL_8H(0, 1, 2)                  // 2220202e  usubl v2.8h, v1.8b, v0.8b
	USUBL_8H(31, 30, 29)               // dd233f2e  usubl v29.8h, v30.8b, v31.8b
	USUBL_8H(7, 7, 7)                  // e720272e  usubl v7.8h, v7.8b, v7.8b
	ADDHN_4H(0, 1, 2)                  // 2240600e  addhn v2.4h, v1.4s, v0.4s
	ADDHN_4H(31, 30, 29)               // dd437f0e  addhn v29.4h, v30.4s, v31.4s
	ADDHN_4H(7, 7, 7)                  // e740670e  addhn v7.4h, v7.4s, v7.4s
	ADDHN2_8H(0, 1, 2)                 // 2240604e  addhn2 v2.8h, v1.4s, v0.4s
	ADDHN2_8H(31, 30, 29)              // dd437f4e  addhn2 v29.8h, v30.4s, v31.4s
	ADDHN2_8H(7, 7, 7)                 // e740674e  addhn2 v7.8h, v7.4s, v7.4s
	SQXTUN_8B(0, 2)                    // 0228212e  sqxtun v2.8b, v0.8h
	SQXTUN_8B(31, 29)                  // fd2b212e  sqxtun v29.8b, v31.8h
	SQXTUN_8B(7, 7)                    // e728212e  sqxtun v7.8b, v7.8h
	SQSHRUN_8B(1, 0, 2)                // 02840f2f  sqshrun v2.8b, v0.8h, #1
	SQSHRUN_8B(8, 31, 29)              // fd87082f  sqshrun v29.8b, v31.8h, #8
	SQSHRUN_8B(6, 7, 7)                // e7840a2f  sqshrun v7.8b, v7.8h, #6
	SQSHRUN2_16B(1, 0, 2)              // 02840f6f  sqshrun2 v2.16b, v0.8h, #1
	SQSHRUN2_16B(8, 31, 29)            // fd87086f  sqshrun2 v29.16b, v31.8h, #8
	SQSHRUN2_16B(6, 7, 7)              // e7840a6f  sqshrun2 v7.16b, v7.8h, #6
	SCVTF_4S(0, 2)                     // 02d8214e  scvtf v2.4s, v0.4s
	SCVTF_4S(31, 29)                   // fddb214e  scvtf v29.4s, v31.4s
	SCVTF_4S(7, 7)                     // e7d8214e  scvtf v7.4s, v7.4s
	FCVTNS_4S(0, 2)                    // 02a8214e  fcvtns v2.4s, v0.4s
	FCVTNS_4S(31, 29)                  // fdab214e  fcvtns v29.4s, v31.4s
	FCVTNS_4S(7, 7)                    // e7a8214e  fcvtns v7.4s, v7.4s
	FCVTL_4S(0, 2)                     // 0278210e  fcvtl v2.4s, v0.4h
	FCVTL_4S(31, 29)                   // fd7b210e  fcvtl v29.4s, v31.4h
	FCVTL_4S(7, 7)                     // e778210e  fcvtl v7.4s, v7.4h
	FCVTL2_4S(0, 2)                    // 0278214e  fcvtl2 v2.4s, v0.8h
	FCVTL2_4S(31, 29)                  // fd7b214e  fcvtl2 v29.4s, v31.8h
	FCVTL2_4S(7, 7)                    // e778214e  fcvtl2 v7.4s, v7.8h
	FCVTL_2D(0, 2)                     // 0278610e  fcvtl v2.2d, v0.2s
	FCVTL_2D(31, 29)                   // fd7b610e  fcvtl v29.2d, v31.2s
	FCVTL_2D(7, 7)                     // e778610e  fcvtl v7.2d, v7.2s
	FCVTL2_2D(0, 2)                    // 0278614e  fcvtl2 v2.2d, v0.4s
	FCVTL2_2D(31, 29)                  // fd7b614e  fcvtl2 v29.2d, v31.4s
	FCVTL2_2D(7, 7)                    // e778614e  fcvtl2 v7.2d, v7.4s
	FCVTN_2S(0, 2)                     // 0268610e  fcvtn v2.2s, v0.2d
	FCVTN_2S(31, 29)                   // fd6b610e  fcvtn v29.2s, v31.2d
	FCVTN_2S(7, 7)                     // e768610e  fcvtn v7.2s, v7.2d
	FCVTN2_4S(0, 2)                    // 0268614e  fcvtn2 v2.4s, v0.2d
	FCVTN2_4S(31, 29)                  // fd6b614e  fcvtn2 v29.4s, v31.2d
	FCVTN2_4S(7, 7)                    // e768614e  fcvtn2 v7.4s, v7.2d
	FADD_4S(0, 1, 2)                   // 22d4204e  fadd v2.4s, v1.4s, v0.4s
	FADD_4S(31, 30, 29)                // ddd73f4e  fadd v29.4s, v30.4s, v31.4s
	FADD_4S(7, 7, 7)                   // e7d4274e  fadd v7.4s, v7.4s, v7.4s
	FSUB_4S(0, 1, 2)                   // 22d4a04e  fsub v2.4s, v1.4s, v0.4s
	FSUB_4S(31, 30, 29)                // ddd7bf4e  fsub v29.4s, v30.4s, v31.4s
	FSUB_4S(7, 7, 7)                   // e7d4a74e  fsub v7.4s, v7.4s, v7.4s
	FMUL_4S(0, 1, 2)                   // 22dc206e  fmul v2.4s, v1.4s, v0.4s
	FMUL_4S(31, 30, 29)                // dddf3f6e  fmul v29.4s, v30.4s, v31.4s
	FMUL_4S(7, 7, 7)                   // e7dc276e  fmul v7.4s, v7.4s, v7.4s
	FMUL_4S_LANE(0, 0, 1, 2)           // 2290804f  fmul v2.4s, v1.4s, v0.s[0]
	FMUL_4S_LANE(3, 31, 30, 29)        // dd9bbf4f  fmul v29.4s, v30.4s, v31.s[3]
	FMUL_4S_LANE(1, 7, 7, 7)           // e790a74f  fmul v7.4s, v7.4s, v7.s[1]
	FMUL_4S_LANE(2, 16, 15, 8)         // e899904f  fmul v8.4s, v15.4s, v16.s[2]
	FMLA_4S_LANE(0, 0, 1, 2)           // 2210804f  fmla v2.4s, v1.4s, v0.s[0]
	FMLA_4S_LANE(3, 31, 30, 29)        // dd1bbf4f  fmla v29.4s, v30.4s, v31.s[3]
	FMLA_4S_LANE(1, 7, 7, 7)           // e710a74f  fmla v7.4s, v7.4s, v7.s[1]
	FMLA_4S_LANE(2, 16, 15, 8)         // e819904f  fmla v8.4s, v15.4s, v16.s[2]
	FMLS_4S_LANE(0, 0, 1, 2)           // 2250804f  fmls v2.4s, v1.4s, v0.s[0]
	FMLS_4S_LANE(3, 31, 30, 29)        // dd5bbf4f  fmls v29.4s, v30.4s, v31.s[3]
	FMLS_4S_LANE(1, 7, 7, 7)           // e750a74f  fmls v7.4s, v7.4s, v7.s[1]
	FMLS_4S_LANE(2, 16, 15, 8)         // e859904f  fmls v8.4s, v15.4s, v16.s[2]
	FADDP_4S(0, 1, 2)                  // 22d4206e  faddp v2.4s, v1.4s, v0.4s
	FADDP_4S(31, 30, 29)               // ddd73f6e  faddp v29.4s, v30.4s, v31.4s
	FADDP_4S(7, 7, 7)                  // e7d4276e  faddp v7.4s, v7.4s, v7.4s
	FMAX_4S(0, 1, 2)                   // 22f4204e  fmax v2.4s, v1.4s, v0.4s
	FMAX_4S(31, 30, 29)                // ddf73f4e  fmax v29.4s, v30.4s, v31.4s
	FMAX_4S(7, 7, 7)                   // e7f4274e  fmax v7.4s, v7.4s, v7.4s
	FMAXNM_4S(0, 1, 2)                 // 22c4204e  fmaxnm v2.4s, v1.4s, v0.4s
	FMAXNM_4S(31, 30, 29)              // ddc73f4e  fmaxnm v29.4s, v30.4s, v31.4s
	FMAXNM_4S(7, 7, 7)                 // e7c4274e  fmaxnm v7.4s, v7.4s, v7.4s
	FMAXNMV_4S(0, 2)                   // 02c8306e  fmaxnmv s2, v0.4s
	FMAXNMV_4S(31, 29)                 // fdcb306e  fmaxnmv s29, v31.4s
	FMAXNMV_4S(7, 7)                   // e7c8306e  fmaxnmv s7, v7.4s
	FADD_2D(0, 1, 2)                   // 22d4604e  fadd v2.2d, v1.2d, v0.2d
	FADD_2D(31, 30, 29)                // ddd77f4e  fadd v29.2d, v30.2d, v31.2d
	FADD_2D(7, 7, 7)                   // e7d4674e  fadd v7.2d, v7.2d, v7.2d
	FSUB_2D(0, 1, 2)                   // 22d4e04e  fsub v2.2d, v1.2d, v0.2d
	FSUB_2D(31, 30, 29)                // ddd7ff4e  fsub v29.2d, v30.2d, v31.2d
	FSUB_2D(7, 7, 7)                   // e7d4e74e  fsub v7.2d, v7.2d, v7.2d
	FMUL_2D(0, 1, 2)                   // 22dc606e  fmul v2.2d, v1.2d, v0.2d
	FMUL_2D(31, 30, 29)                // dddf7f6e  fmul v29.2d, v30.2d, v31.2d
	FMUL_2D(7, 7, 7)                   // e7dc676e  fmul v7.2d, v7.2d, v7.2d
	FDIV_2D(0, 1, 2)                   // 22fc606e  fdiv v2.2d, v1.2d, v0.2d
	FDIV_2D(31, 30, 29)                // ddff7f6e  fdiv v29.2d, v30.2d, v31.2d
	FDIV_2D(7, 7, 7)                   // e7fc676e  fdiv v7.2d, v7.2d, v7.2d
	FMAX_2D(0, 1, 2)                   // 22f4604e  fmax v2.2d, v1.2d, v0.2d
	FMAX_2D(31, 30, 29)                // ddf77f4e  fmax v29.2d, v30.2d, v31.2d
	FMAX_2D(7, 7, 7)                   // e7f4674e  fmax v7.2d, v7.2d, v7.2d
	FMIN_2D(0, 1, 2)                   // 22f4e04e  fmin v2.2d, v1.2d, v0.2d
	FMIN_2D(31, 30, 29)                // ddf7ff4e  fmin v29.2d, v30.2d, v31.2d
	FMIN_2D(7, 7, 7)                   // e7f4e74e  fmin v7.2d, v7.2d, v7.2d
	FNEG_2D(0, 2)                      // 02f8e06e  fneg v2.2d, v0.2d
	FNEG_2D(31, 29)                    // fdfbe06e  fneg v29.2d, v31.2d
	FNEG_2D(7, 7)                      // e7f8e06e  fneg v7.2d, v7.2d
	FABS_2D(0, 2)                      // 02f8e04e  fabs v2.2d, v0.2d
	FABS_2D(31, 29)                    // fdfbe04e  fabs v29.2d, v31.2d
	FABS_2D(7, 7)                      // e7f8e04e  fabs v7.2d, v7.2d
	FCMGT_2D(0, 1, 2)                  // 22e4e06e  fcmgt v2.2d, v1.2d, v0.2d
	FCMGT_2D(31, 30, 29)               // dde7ff6e  fcmgt v29.2d, v30.2d, v31.2d
	FCMGT_2D(7, 7, 7)                  // e7e4e76e  fcmgt v7.2d, v7.2d, v7.2d
