package neon

// WKV6 advances the RWKV-6 recurrence by steps tokens, which begin stride values apart;
// one head is finished before the next, so that its state stays in the nearest cache.
// Products are fused into the sums they are added to, and the bonus c is the sum of
// eight: the bits are not those of package portable, for two thirds of its time. size is
// a multiple of 32.
func WKV6(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	for h := range heads {
		a := h * size
		s, bonus := &state[a*size], &u[a]
		for range steps {
			wkv6Head(&y[a], s, &r[a], &k[a], &v[a], &w[a], bonus, size)
			a += stride
		}
	}
}

// StateRead sets p[j] = Σ_i q[i]*S[i,j] for each head. size is a multiple of 4.
func StateRead(p, state, q []float32, heads, size int) {
	for h := range heads {
		a := h * size
		sumRows(&p[a], &state[a*size], 4*size, &q[a], size, size)
	}
}

// LowRank sets the columns from..to of dst [n, out] = x [n, in] A, for a small matrix
// stored [in, out]. in is not 0, to-from a multiple of 4 and not 0.
func LowRank(dst, x, a []float32, n, in, out, from, to int) {
	for i := range n {
		sumRows(&dst[i*out+from], &a[from], 4*out, &x[i*in], in, to-from)
	}
}

// LowRankF16 is LowRank for half-precision weights; to-from is a multiple of 8.
func LowRankF16(dst, x []float32, a []byte, n, in, out, from, to int) {
	i := 0
	if mid := from + (to-from)&^15; mid > from {
		for ; i+4 <= n; i += 4 {
			sumHalfRows4(&dst[i*out+from], 4*out, &a[2*from], 2*out, &x[i*in], in, mid-from)
			if mid == to {
				continue
			}
			for j := i; j < i+4; j++ {
				sumHalfRows(&dst[j*out+mid], &a[2*mid], 2*out, &x[j*in], in, to-mid)
			}
		}
	}
	for ; i < n; i++ {
		sumHalfRows(&dst[i*out+from], &a[2*from], 2*out, &x[i*in], in, to-from)
	}
}

// wkv6Head advances one head by one token: the state in two halves or more of 32 columns,
// each read and written once.
//
//go:noescape
func wkv6Head(y, state, r, k, v, w, u *float32, size int)

// sumRows sets dst[j] = Σ_i x[i]*rows[i,j] for cols columns, a multiple of 4, with i from
// 0 to n-1 in order, each operation rounded. Rows begin stride bytes apart.
//
//go:noescape
func sumRows(dst, rows *float32, stride int, x *float32, n, cols int)

// sumHalfRows is sumRows for rows in half precision; cols is a multiple of 8, n not 0.
//
//go:noescape
func sumHalfRows(dst *float32, rows *byte, stride int, x *float32, n, cols int)

// sumHalfRows4 is sumHalfRows for four vectors x, one after another, which share the
// conversion of the rows. Their sums begin dstStride bytes apart; cols is a multiple of
// 16, not 0.
//
//go:noescape
func sumHalfRows4(dst *float32, dstStride int, rows *byte, stride int, x *float32, n, cols int)
