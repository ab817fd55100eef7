package neon

// WKV7 advances the RWKV-7 recurrence by steps tokens, which begin stride values apart;
// one head is finished before the next, so that its state stays in the nearest cache.
// Products are fused into the sums they are added to: the bits are not those of package
// portable. size is a multiple of 32.
func WKV7(y, state, r, k, v, w, kappa, a []float32, steps, stride, heads, size int) {
	for h := range heads {
		o := h * size
		s := &state[o*size]
		for range steps {
			wkv7Head(&y[o], s, &r[o], &k[o], &v[o], &w[o], &kappa[o], &a[o], size)
			o += stride
		}
	}
}

// wkv7Head advances one head by one token: the state in strips of 32 columns, each read
// for what is to be removed, then read and written once.
//
//go:noescape
func wkv7Head(y, state, r, k, v, w, kappa, a *float32, size int)
