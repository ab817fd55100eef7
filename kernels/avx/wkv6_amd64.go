package avx

// WKV6 advances the RWKV-6 recurrence by steps tokens, in place, one head after the
// other, so that its state stays in the nearest cache. size is a multiple of 32.
func WKV6(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	for h := range heads {
		a := h * size
		bonuses(y[a:], r[a:], k[a:], u[a:], steps, size, stride)
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
		bonuses(y[a:], r[a:], k[a:], u[a:], steps, size, stride)
		for t := range steps {
			o := t*stride + a
			wkv6Head512(&y[o], &state[a*size], &r[o], &k[o], &v[o], &w[o], size)
		}
	}
}

// bonuses leaves Σ r*u*k of each token of a head in the first value of its output, before
// the state is read.
func bonuses(y, r, k, u []float32, steps, size, stride int) {
	t := 0
	for ; t+4 <= steps; t += 4 {
		o := t * stride
		bonus4(&y[o], &r[o], &k[o], &u[0], size, 4*stride)
	}
	for ; t < steps; t++ {
		o := t * stride
		bonus1(&y[o], &r[o], &k[o], &u[0], size)
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
