// Writes 4,096 values and what ggml makes of them, as the reference for ours:
// float32, then Q8_0, then Q4_0.
//
//	ggml_quantize > ggml_quantize.bin
//
// Linked with ggml as it is in github.com/ggml-org/llama.cpp; its ggml-quants.c is
// git blob 1ebc50a7.

#include <math.h>
#include <stdint.h>
#include <stdio.h>

void quantize_row_q8_0_ref(const float *x, void *y, int64_t k);
void quantize_row_q4_0_ref(const float *x, void *y, int64_t k);

enum { N = 4096, BLOCK = 32 };

static uint64_t seed = 1;

static double uniform(void) { // -1 to 1
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)seed / 9223372036854775808.0;
}

int main(void) {
    static float x[N];
    static uint8_t q8[N / BLOCK * 34], q4[N / BLOCK * 18];
    for (int i = 0; i < N; i++) {
        int b = i / BLOCK;
        double size = ldexp(1, b / 8 % 24 - 16);
        switch (b % 8) {
        case 0: // halves of a step of Q8_0, and a peak
            x[i] = i % BLOCK ? floorf((float)(127 * uniform())) + 0.5f : 127;
            break;
        case 1: // halves of a step of Q4_0, and a peak
            x[i] = i % BLOCK ? floorf((float)(8 * uniform())) + 0.5f : -8;
            break;
        case 2: // two peaks of opposite sign
            x[i] = i % 5 == 0 ? (i % 2 ? 1 : -1) * (float)size : 0;
            break;
        case 3: // one sign, sparse
            x[i] = i % 3 ? 0 : (float)(size * fabs(uniform()));
            break;
        case 4:
            x[i] = b == 4 ? 0 : (float)(1e-7 * size * uniform()); // scales that half precision rounds to little or nothing
            break;
        default:
            x[i] = (float)(size * (uniform() + uniform() + uniform()));
        }
    }
    quantize_row_q8_0_ref(x, q8, N);
    quantize_row_q4_0_ref(x, q4, N);
    return fwrite(x, sizeof x, 1, stdout) != 1 || fwrite(q8, sizeof q8, 1, stdout) != 1 || fwrite(q4, sizeof q4, 1, stdout) != 1;
}
