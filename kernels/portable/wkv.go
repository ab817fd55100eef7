package portable

// WKV6 advances the RWKV-6 recurrence by steps tokens, in place, for heads heads of
// size channels:
//
//	y[j]   = c*v[j] + Σ_i r[i]*S[i,j],   c = Σ_i r[i]*u[i]*k[i]
//	S[i,j] = w[i]*S[i,j] + k[i]*v[j]
//
// The read uses the state before the update. Pulling the bonus u out of the sum
// is what makes one pass over the state enough. state is [head][key i][value j].
// Sums run over i in order, starting from c*v[j]. Token t of r, k, v, w and y begins
// at t*stride; the heads are consecutive from there. One head is finished before the
// next, so that its state stays in the nearest cache.
func WKV6(y, state, r, k, v, w, u []float32, steps, stride, heads, size int) {
	for h := range heads {
		a, b := h*size, (h+1)*size
		s := state[a*size : b*size]
		for t := range steps {
			o, e := t*stride+a, t*stride+b
			wkv6(y[o:e], s, r[o:e], k[o:e], v[o:e], w[o:e], u[a:b])
		}
	}
}

func wkv6(y, s, r, k, v, w, u []float32) {
	n := len(y)
	r, k, v, w, u = r[:n], k[:n], v[:n], w[:n], u[:n]
	var c float32
	for i := range n {
		c += float32(float32(r[i]*u[i]) * k[i])
	}
	for j, vj := range v {
		y[j] = float32(c * vj)
	}
	i := 0
	for ; i+2 <= n; i += 2 {
		r0, k0, w0 := r[i], k[i], w[i]
		r1, k1, w1 := r[i+1], k[i+1], w[i+1]
		s0, s1 := s[i*n:][:n], s[(i+1)*n:][:n]
		for j, vj := range v {
			a, b := s0[j], s1[j]
			t := y[j] + float32(r0*a)
			y[j] = t + float32(r1*b)
			s0[j] = float32(w0*a) + float32(k0*vj)
			s1[j] = float32(w1*b) + float32(k1*vj)
		}
	}
	if i < n {
		ri, ki, wi := r[i], k[i], w[i]
		row := s[i*n:][:n]
		for j, a := range row {
			y[j] += float32(ri * a)
			row[j] = float32(wi*a) + float32(ki*v[j])
		}
	}
}

// StateRead sets p[j] = Σ_i q[i]*S[i,j] for each head, summed over i in order. The
// state is not changed.
func StateRead(p, state, q []float32, heads, size int) {
	for h := range heads {
		out := p[h*size:][:size]
		clear(out)
		addRows(out, state[h*size*size:], size, q[h*size:][:size])
	}
}
