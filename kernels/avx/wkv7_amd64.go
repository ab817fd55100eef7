package avx

// WKV7 advances the RWKV-7 recurrence by steps tokens, in place, one head after the
// other, so that its state stays in the nearest cache. What is to be removed from the
// state is read first, into the output. size is a multiple of 32.
func WKV7(y, state, r, k, v, w, kappa, a []float32, steps, stride, heads, size int) {
	for h := range heads {
		s := &state[h*size*size]
		for t := range steps {
			o := t*stride + h*size
			addRows(&y[o], s, &kappa[o], size, 4*size, size)
			wkv7Head(&y[o], s, &r[o], &k[o], &v[o], &w[o], &kappa[o], &a[o], size)
		}
	}
}

// WKV7x512 is WKV7.
func WKV7x512(y, state, r, k, v, w, kappa, a []float32, steps, stride, heads, size int) {
	for h := range heads {
		s := &state[h*size*size]
		for t := range steps {
			o := t*stride + h*size
			addRows512(&y[o], s, &kappa[o], size, 4*size, size)
			wkv7Head512(&y[o], s, &r[o], &k[o], &v[o], &w[o], &kappa[o], &a[o], size)
		}
	}
}
