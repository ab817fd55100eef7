// Training kernels of the language model: recurrences and the elementwise
// chains around them, each fused into one pass over the tokens.
//
// Tokens of all sequences lie one after the other in a flat [tokens, C] array.
// Sequence s owns rows off[s]..off[s+1]-1. Its recurrence starts from
//   parent[s] >= 0  the final state of the earlier sequence parent[s],
//   parent[s] <  0  row s of the given initial state, or zero when none is given.
// That lets one prompt prefix be shared by several continuations.
// One thread per process; all arrays are contiguous float32 unless said.
#include <math.h>
#include <stdint.h>
#include <string.h>

#define N 64         // head size
#define VEC 16       // floats in one vector
#define NV (N / VEC) // vectors in one row of the state
#define CHUNK 16     // tokens between two saved states

typedef float vec __attribute__((vector_size(4 * VEC), aligned(4)));
typedef float vec8 __attribute__((vector_size(32)));
typedef float vec4 __attribute__((vector_size(16)));

static inline float sum(vec x) {
	vec8 a = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
	         __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
	vec4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
	return b[0] + b[1] + b[2] + b[3];
}

static inline void load(vec *dst, const float *src) { memcpy(dst, src, 4 * N); }
static inline void store(float *dst, const vec *src) { memcpy(dst, src, 4 * N); }

// saved_states says how many states the forward pass saves inside n tokens: one
// before every CHUNK tokens except the first.
static int64_t saved_states(int64_t n) { return (n - 1) / CHUNK; }

// step reads and advances the state of one head: y = r.S + (r.(u*k)) v, S = diag(w) S + k v'.
static inline void step(float *S, float *y, const float *r, const float *k, const float *v, const float *w, const float *u) {
	vec vv[NV], acc[NV], odd[NV];
	load(vv, v);
	float bonus = 0;
	for (int i = 0; i < N; i++) bonus += r[i] * u[i] * k[i];
	for (int j = 0; j < NV; j++) acc[j] = bonus * vv[j], odd[j] = acc[j] * 0;
	for (int i = 0; i < N; i += 2) {
		vec a[NV], b[NV];
		load(a, S + i * N), load(b, S + i * N + N);
		for (int j = 0; j < NV; j++) {
			acc[j] += r[i] * a[j], odd[j] += r[i + 1] * b[j];
			a[j] = w[i] * a[j] + k[i] * vv[j];
			b[j] = w[i + 1] * b[j] + k[i + 1] * vv[j];
		}
		store(S + i * N, a), store(S + i * N + N, b);
	}
	for (int j = 0; j < NV; j++) acc[j] += odd[j];
	store(y, acc);
}

static inline void advance(float *to, const float *S, const float *k, const float *v, const float *w) {
	vec vv[NV];
	load(vv, v);
	for (int i = 0; i < N; i++) {
		vec a[NV];
		load(a, S + i * N);
		for (int j = 0; j < NV; j++) a[j] = w[i] * a[j] + k[i] * vv[j];
		store(to + i * N, a);
	}
}

// initial finds the state [N,N] of head h that sequence s starts from; null is zero.
// slot[s] is the place of the final state of s in final, or negative when it is not kept.
static inline const float *initial(int64_t s, int64_t h, int64_t H, const int32_t *parent, const int32_t *slot,
                                   const float *s0, const float *final) {
	if (parent[s] >= 0) return final + (slot[parent[s]] * H + h) * N * N;
	return s0 ? s0 + (s * H + h) * N * N : 0;
}

// wkv_forward runs the recurrence. w is the decay in (0,1). saved receives
// saved_states(len) states [H,N,N] per sequence, those of sequence s from index
// first[s] on. With a period, states [nseq, len/period, H,N,N] receives the states
// after every period tokens (equal lengths). y [tokens, H*N] may be null when
// only states are wanted.
void wkv_forward(int64_t nseq, int64_t H, const int32_t *off, const int32_t *parent, const int32_t *first,
                 const int32_t *slot, const float *s0, const float *r, const float *k, const float *v, const float *w,
                 const float *u, float *y, float *saved, float *final, int64_t period, float *states) {
	int64_t C = H * N, SZ = N * N;
	float S[N * N];
	for (int64_t s = 0; s < nseq; s++)
		for (int64_t h = 0; h < H; h++) {
			const float *from = initial(s, h, H, parent, slot, s0, final);
			if (from) memcpy(S, from, sizeof S);
			else memset(S, 0, sizeof S);
			int64_t n = off[s + 1] - off[s], at = first[s];
			for (int64_t t = 0; t < n; t++) {
				if (t && t % CHUNK == 0) memcpy(saved + (at++ * H + h) * SZ, S, sizeof S);
				int64_t o = (off[s] + t) * C + h * N;
				if (y) step(S, y + o, r + o, k + o, v + o, w + o, u + h * N);
				else advance(S, S, k + o, v + o, w + o);
				if (period && (t + 1) % period == 0)
					memcpy(states + ((s * (n / period) + (t + 1) / period - 1) * H + h) * SZ, S, sizeof S);
			}
			if (slot[s] >= 0) memcpy(final + (slot[s] * H + h) * SZ, S, sizeof S);
		}
}

// wkv_backward returns the gradients of r, k, v, w and u (added to gu). gs, when
// given, is the gradient of the states after every period tokens. gfinal, zero on
// entry and shaped like final, gathers the gradients of final states from children.
void wkv_backward(int64_t nseq, int64_t H, const int32_t *off, const int32_t *parent, const int32_t *first,
                  const int32_t *slot, const float *s0, const float *r, const float *k, const float *v, const float *w,
                  const float *u, const float *saved, const float *final, const float *gy, const float *gs,
                  int64_t period, float *gfinal, float *gr, float *gk, float *gv, float *gw, float *gu) {
	int64_t C = H * N, SZ = N * N;
	static float states[CHUNK * N * N];
	float G[N * N];
	for (int64_t s = nseq - 1; s >= 0; s--)
		for (int64_t h = 0; h < H; h++) {
			int64_t n = off[s + 1] - off[s];
			if (slot[s] >= 0) memcpy(G, gfinal + (slot[s] * H + h) * SZ, sizeof G);
			else memset(G, 0, sizeof G);
			for (int64_t c = saved_states(n); c >= 0; c--) {
				int64_t lo = c * CHUNK, hi = lo + CHUNK < n ? lo + CHUNK : n;
				const float *from = c ? saved + ((first[s] + c - 1) * H + h) * SZ
				                      : initial(s, h, H, parent, slot, s0, final);
				if (from) memcpy(states, from, 4 * SZ);
				else memset(states, 0, 4 * SZ);
				for (int64_t t = lo; t + 1 < hi; t++) {
					int64_t o = (off[s] + t) * C + h * N;
					advance(states + (t - lo + 1) * SZ, states + (t - lo) * SZ, k + o, v + o, w + o);
				}
				for (int64_t t = hi - 1; t >= lo; t--) {
					if (gs && (t + 1) % period == 0) {
						const float *add = gs + ((s * (n / period) + (t + 1) / period - 1) * H + h) * SZ;
						for (int i = 0; i < N * N; i++) G[i] += add[i];
					}
					int64_t o = (off[s] + t) * C + h * N;
					const float *S = states + (t - lo) * SZ, *U = u + h * N;
					vec vv[NV], g[NV], gvv[NV];
					load(vv, v + o);
					if (gy) load(g, gy + o);
					else memset(g, 0, sizeof g);
					float bonus = 0;
					vec d = vv[0] * g[0];
					for (int j = 1; j < NV; j++) d += vv[j] * g[j];
					float vg = sum(d);
					for (int i = 0; i < N; i++) bonus += r[o + i] * U[i] * k[o + i];
					for (int j = 0; j < NV; j++) gvv[j] = bonus * g[j];
					for (int i = 0; i < N; i++) {
						vec a[NV], b[NV];
						load(a, S + i * N), load(b, G + i * N);
						vec sg = a[0] * g[0], bv = b[0] * vv[0], ab = a[0] * b[0];
						for (int j = 1; j < NV; j++) sg += a[j] * g[j], bv += b[j] * vv[j], ab += a[j] * b[j];
						for (int j = 0; j < NV; j++) {
							gvv[j] += k[o + i] * b[j];
							b[j] = w[o + i] * b[j] + r[o + i] * g[j];
						}
						store(G + i * N, b);
						gr[o + i] = sum(sg) + U[i] * k[o + i] * vg;
						gk[o + i] = sum(bv) + U[i] * r[o + i] * vg;
						gw[o + i] = sum(ab);
						gu[h * N + i] += r[o + i] * k[o + i] * vg;
					}
					store(gv + o, gvv);
				}
			}
			if (parent[s] >= 0) {
				float *to = gfinal + (slot[parent[s]] * H + h) * SZ;
				for (int i = 0; i < N * N; i++) to[i] += G[i];
			}
		}
}

// previous returns the row before token t of sequence s (see the top of the file).
static inline const float *previous(const float *x, const float *x0, const int32_t *off, const int32_t *parent,
                                    int64_t s, int64_t t, int64_t C, const float *zero) {
	if (t > off[s]) return x + (t - 1) * C;
	if (parent[s] >= 0) return x + (off[parent[s] + 1] - 1) * C;
	return x0 ? x0 + s * C : zero;
}

// mix_forward: out[b] = x + (prev - x) * (mu[b] + eps[b]) for nb branches; eps may be null.
void mix_forward(int64_t nseq, int64_t C, int64_t nb, const int32_t *off, const int32_t *parent,
                 const float *x, const float *x0, const float *mu, const float *const *eps, float *const *out) {
	float zero[C];
	memset(zero, 0, 4 * C);
	for (int64_t s = 0; s < nseq; s++)
		for (int64_t t = off[s]; t < off[s + 1]; t++) {
			const float *p = previous(x, x0, off, parent, s, t, C, zero), *a = x + t * C;
			for (int64_t b = 0; b < nb; b++) {
				float *o = out[b] + t * C;
				const float *m = mu + b * C;
				if (eps) {
					const float *e = eps[b] + t * C;
					for (int64_t c = 0; c < C; c++) o[c] = a[c] + (p[c] - a[c]) * (m[c] + e[c]);
				} else {
					for (int64_t c = 0; c < C; c++) o[c] = a[c] + (p[c] - a[c]) * m[c];
				}
			}
		}
}

// mix_backward: gx [tokens,C] must be zero on entry; gmu is added to; geps may be null with eps.
void mix_backward(int64_t nseq, int64_t C, int64_t nb, const int32_t *off, const int32_t *parent,
                  const float *x, const float *x0, const float *mu, const float *const *eps,
                  const float *const *g, float *gx, float *gmu, float *const *geps) {
	float zero[C], here[C], before[C], ignored[C];
	memset(zero, 0, 4 * C);
	for (int64_t s = 0; s < nseq; s++)
		for (int64_t t = off[s]; t < off[s + 1]; t++) {
			const float *p = previous(x, x0, off, parent, s, t, C, zero), *a = x + t * C;
			float *q = t > off[s] ? gx + (t - 1) * C : parent[s] >= 0 ? gx + (off[parent[s] + 1] - 1) * C : ignored;
			memset(here, 0, 4 * C), memset(before, 0, 4 * C);
			for (int64_t b = 0; b < nb; b++) {
				const float *gb = g[b] + t * C, *m = mu + b * C;
				float *gm = gmu + b * C;
				if (eps) {
					const float *e = eps[b] + t * C;
					float *ge = geps[b] + t * C;
					for (int64_t c = 0; c < C; c++) {
						float d = gb[c] * (p[c] - a[c]), l = gb[c] * (m[c] + e[c]);
						ge[c] = d, gm[c] += d, before[c] += l, here[c] += gb[c] - l;
					}
				} else {
					for (int64_t c = 0; c < C; c++) {
						float l = gb[c] * m[c];
						gm[c] += gb[c] * (p[c] - a[c]), before[c] += l, here[c] += gb[c] - l;
					}
				}
			}
			float *to = gx + t * C;
			for (int64_t c = 0; c < C; c++) to[c] += here[c], q[c] += before[c];
		}
}

// hybrid_forward blends the recurrence with a read of the image state img[s]:
// p = q.S, gate = relu(z), out = y relu(1-gate) + p gate. p is kept for the backward pass.
void hybrid_forward(int64_t nseq, int64_t H, const int32_t *off, const int32_t *img, const float *S,
                    const float *y, const float *q, const float *z, float *p, float *out) {
	int64_t C = H * N;
	for (int64_t s = 0; s < nseq; s++)
		for (int64_t h = 0; h < H; h++) {
			const float *M = S + (img[s] * H + h) * N * N;
			for (int64_t t = off[s]; t < off[s + 1]; t++) {
				int64_t o = t * C + h * N;
				vec acc[NV], odd[NV];
				memset(acc, 0, sizeof acc), memset(odd, 0, sizeof odd);
				for (int i = 0; i < N; i += 2) {
					vec a[NV], b[NV];
					load(a, M + i * N), load(b, M + i * N + N);
					for (int j = 0; j < NV; j++) acc[j] += q[o + i] * a[j], odd[j] += q[o + i + 1] * b[j];
				}
				for (int j = 0; j < NV; j++) acc[j] += odd[j];
				store(p + o, acc);
				for (int i = 0; i < N; i++) {
					float g = z[o + i] > 0 ? z[o + i] : 0, k = g < 1 ? 1 - g : 0;
					out[o + i] = y[o + i] * k + p[o + i] * g;
				}
			}
		}
}

// hybrid_backward: gS [images,H,N,N] is added to.
void hybrid_backward(int64_t nseq, int64_t H, const int32_t *off, const int32_t *img, const float *S,
                     const float *y, const float *q, const float *z, const float *p, const float *g,
                     float *gy, float *gq, float *gz, float *gS) {
	int64_t C = H * N;
	for (int64_t s = 0; s < nseq; s++)
		for (int64_t h = 0; h < H; h++) {
			const float *M = S + (img[s] * H + h) * N * N;
			float *GM = gS + (img[s] * H + h) * N * N;
			for (int64_t t = off[s]; t < off[s + 1]; t++) {
				int64_t o = t * C + h * N;
				float gp[N];
				for (int i = 0; i < N; i++) {
					float f = z[o + i] > 0 ? z[o + i] : 0, k = f < 1 ? 1 - f : 0;
					gy[o + i] = g[o + i] * k;
					gp[i] = g[o + i] * f;
					gz[o + i] = z[o + i] > 0 ? g[o + i] * (p[o + i] - (f < 1 ? y[o + i] : 0)) : 0;
				}
				vec gg[NV];
				load(gg, gp);
				for (int i = 0; i < N; i++) {
					vec a[NV], b[NV];
					load(a, M + i * N), load(b, GM + i * N);
					vec d = a[0] * gg[0];
					for (int j = 1; j < NV; j++) d += a[j] * gg[j];
					for (int j = 0; j < NV; j++) b[j] += q[o + i] * gg[j];
					store(GM + i * N, b);
					gq[o + i] = sum(d);
				}
			}
		}
}

// norm_gate_forward: out = (groupnorm(y) * weight + bias) * silu(z), one group per head.
// stat [tokens,H,2] receives mean and reciprocal deviation.
void norm_gate_forward(int64_t n, int64_t H, float eps, const float *y, const float *z, const float *weight,
                       const float *bias, float *stat, float *out) {
	int64_t C = H * N;
	for (int64_t t = 0; t < n; t++)
		for (int64_t h = 0; h < H; h++) {
			int64_t o = t * C + h * N;
			const float *a = y + o, *b = z + o, *gw = weight + h * N, *gb = bias + h * N;
			float mean = 0, var = 0;
			for (int i = 0; i < N; i++) mean += a[i];
			mean /= N;
			for (int i = 0; i < N; i++) var += (a[i] - mean) * (a[i] - mean);
			float rs = 1 / sqrtf(var / N + eps);
			stat[(t * H + h) * 2] = mean, stat[(t * H + h) * 2 + 1] = rs;
			for (int i = 0; i < N; i++) out[o + i] = ((a[i] - mean) * rs * gw[i] + gb[i]) * b[i] / (1 + expf(-b[i]));
		}
}

// norm_gate_backward: gweight and gbias are added to.
void norm_gate_backward(int64_t n, int64_t H, const float *y, const float *z, const float *weight, const float *bias,
                        const float *stat, const float *g, float *gy, float *gz, float *gweight, float *gbias) {
	int64_t C = H * N;
	for (int64_t t = 0; t < n; t++)
		for (int64_t h = 0; h < H; h++) {
			int64_t o = t * C + h * N;
			float mean = stat[(t * H + h) * 2], rs = stat[(t * H + h) * 2 + 1], m1 = 0, m2 = 0;
			float xh[N], gx[N];
			for (int i = 0; i < N; i++) {
				float sg = 1 / (1 + expf(-z[o + i])), silu = z[o + i] * sg, gi = g[o + i];
				xh[i] = (y[o + i] - mean) * rs;
				float lin = xh[i] * weight[h * N + i] + bias[h * N + i], gl = gi * silu;
				gz[o + i] = gi * lin * (sg + silu * (1 - sg));
				gweight[h * N + i] += gl * xh[i];
				gbias[h * N + i] += gl;
				gx[i] = gl * weight[h * N + i];
				m1 += gx[i], m2 += gx[i] * xh[i];
			}
			m1 /= N, m2 /= N;
			for (int i = 0; i < N; i++) gy[o + i] = rs * (gx[i] - m1 - xh[i] * m2);
		}
}

// decay: w = exp(-exp(x)); decay_backward turns the gradient of w into that of x in place.
void decay_forward(int64_t n, const float *x, float *w) {
	for (int64_t i = 0; i < n; i++) w[i] = expf(-expf(x[i] < 20 ? x[i] : 20));
}

void decay_backward(int64_t n, const float *x, const float *w, float *g) {
	for (int64_t i = 0; i < n; i++) g[i] *= -w[i] * expf(x[i] < 20 ? x[i] : 20);
}

// relu2: squared rectifier of the channel mixing.
void relu2_forward(int64_t n, const float *x, float *y) {
	for (int64_t i = 0; i < n; i++) y[i] = x[i] > 0 ? x[i] * x[i] : 0;
}

void relu2_backward(int64_t n, const float *x, const float *g, float *gx) {
	for (int64_t i = 0; i < n; i++) gx[i] = x[i] > 0 ? 2 * x[i] * g[i] : 0;
}

// product: out[m,n] (+)= a[m,k] b[k,n] for small matrices. a is addressed by two
// strides, so it may be a transpose; n is a multiple of 2*VEC and m of 4.
static inline __attribute__((always_inline)) void product(int64_t m, int64_t n, int64_t k, const float *a, int64_t arow,
                                                          int64_t acol, const float *b, int64_t ldb, float *out,
                                                          int64_t ldo, float scale) {
	for (int64_t i = 0; i < m; i += 4)
		for (int64_t j = 0; j < n; j += 2 * VEC) {
			vec c[4][2];
			memset(c, 0, sizeof c);
			for (int64_t l = 0; l < k; l++) {
				vec b0 = *(const vec *)(b + l * ldb + j), b1 = *(const vec *)(b + l * ldb + j + VEC);
				for (int x = 0; x < 4; x++) {
					float f = a[(i + x) * arow + l * acol];
					c[x][0] += f * b0, c[x][1] += f * b1;
				}
			}
			for (int x = 0; x < 4; x++) {
				*(vec *)(out + (i + x) * ldo + j) = scale * c[x][0];
				*(vec *)(out + (i + x) * ldo + j + VEC) = scale * c[x][1];
			}
		}
}

static inline void transpose(int64_t rows, int64_t cols, const float *x, int64_t ld, float *out) {
	for (int64_t i = 0; i < rows; i++)
		for (int64_t j = 0; j < cols; j++) out[j * rows + i] = x[i * ld + j];
}

// attention_forward: softmax attention of n pictures. qkv [n,T,3,H,D], out
// [n,T,H*D], p [n,H,T,T] keeps the weights. T and D are multiples of 32.
void attention_forward(int64_t n, int64_t T, int64_t H, int64_t D, const float *qkv, float *p, float *out) {
	float turned[T * D], scale = 1 / sqrtf(D);
	int64_t ld = 3 * H * D;
	for (int64_t i = 0; i < n; i++)
		for (int64_t h = 0; h < H; h++) {
			const float *q = qkv + i * T * ld + h * D, *k = q + H * D, *v = k + H * D;
			float *w = p + (i * H + h) * T * T;
			transpose(T, D, k, ld, turned);
			product(T, T, D, q, ld, 1, turned, T, w, T, scale);
			for (int64_t t = 0; t < T; t++) {
				float *row = w + t * T, top = row[0], all = 0;
				for (int64_t j = 1; j < T; j++) top = row[j] > top ? row[j] : top;
				for (int64_t j = 0; j < T; j++) row[j] = expf(row[j] - top);
				for (int64_t j = 0; j < T; j++) all += row[j];
				for (int64_t j = 0; j < T; j++) row[j] /= all;
			}
			product(T, D, T, w, T, 1, v, ld, out + i * T * H * D + h * D, H * D, 1);
		}
}

void attention_backward(int64_t n, int64_t T, int64_t H, int64_t D, const float *qkv, const float *p, const float *g,
                        float *gqkv) {
	float turned[T * D], ds[T * T], scale = 1 / sqrtf(D);
	int64_t ld = 3 * H * D;
	for (int64_t i = 0; i < n; i++)
		for (int64_t h = 0; h < H; h++) {
			const float *q = qkv + i * T * ld + h * D, *k = q + H * D, *v = k + H * D;
			const float *w = p + (i * H + h) * T * T, *go = g + i * T * H * D + h * D;
			float *gq = gqkv + i * T * ld + h * D, *gk = gq + H * D, *gv = gk + H * D;
			product(T, D, T, w, 1, T, go, H * D, gv, ld, 1);
			transpose(T, D, v, ld, turned);
			product(T, T, D, go, H * D, 1, turned, T, ds, T, 1);
			for (int64_t t = 0; t < T; t++) {
				float dot = 0;
				for (int64_t j = 0; j < T; j++) dot += ds[t * T + j] * w[t * T + j];
				for (int64_t j = 0; j < T; j++) ds[t * T + j] = w[t * T + j] * (ds[t * T + j] - dot);
			}
			product(T, D, T, ds, T, 1, k, ld, gq, ld, scale);
			product(T, D, T, ds, 1, T, q, ld, gk, ld, scale);
		}
}
