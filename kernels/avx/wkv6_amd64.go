package avx

// WKV6Step advances the RWKV-6 recurrence by one token, in place. size is a multiple of
// 32.
func WKV6Step(y, state, r, k, v, w, u []float32, heads, size int) {
	bonuses(y, r, k, u, heads, size, size, size)
	for h := range heads {
		o := h * size
		wkv6Head(&y[o], &state[o*size], &r[o], &k[o], &v[o], &w[o], size)
	}
}

// WKV6Step512 is WKV6Step.
func WKV6Step512(y, state, r, k, v, w, u []float32, heads, size int) {
	bonuses(y, r, k, u, heads, size, size, size)
	for h := range heads {
		o := h * size
		wkv6Head512(&y[o], &state[o*size], &r[o], &k[o], &v[o], &w[o], size)
	}
}

// WKV6 advances the recurrence by steps tokens, one head after the other, so that its
// state stays in the nearest cache. size is a multiple of 32.
func WKV6(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	for h := range heads {
		a := h * size
		bonuses(y[a:], r[a:], k[a:], u[a:], steps, size, stride, 0)
		for t := range steps {
			o := t*stride + a
			wkv6Head(&y[o], &state[a*size], &r[o], &k[o], &v[o], &w[o], size)
		}
	}
}

// WKV6x512 is WKV6.
func WKV6x512(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	for h := range heads {
		a := h * size
		bonuses(y[a:], r[a:], k[a:], u[a:], steps, size, stride, 0)
		for t := range steps {
			o := t*stride + a
			wkv6Head512(&y[o], &state[a*size], &r[o], &k[o], &v[o], &w[o], size)
		}
	}
}

// bonuses leaves Σ r*u*k of n heads or tokens in the first value of each of their
// outputs, before the state is read.
func bonuses(y, r, k, u []float32, n, size, pitch, uPitch int) {
	i := 0
	for ; i+4 <= n; i += 4 {
		o := i * pitch
		bonus4(&y[o], &r[o], &k[o], &u[i*uPitch], size, 4*pitch, 4*uPitch)
	}
	for ; i < n; i++ {
		o := i * pitch
		bonus1(&y[o], &r[o], &k[o], &u[i*uPitch], size)
	}
}

// StateRead sets p[j] = Σ_i q[i]*S[i,j] for each head. size is a multiple of 8.
func StateRead(p, state, q []float32, heads, size int) {
	for h := range heads {
		addRows(&p[h*size], &state[h*size*size], &q[h*size], size, 4*size, size)
	}
}

// StateRead512 is StateRead.
func StateRead512(p, state, q []float32, heads, size int) {
	for h := range heads {
		addRows512(&p[h*size], &state[h*size*size], &q[h*size], size, 4*size, size)
	}
}
