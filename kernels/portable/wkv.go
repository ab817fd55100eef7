package portable

// WKV6Step advances the RWKV-6 recurrence by one token, in place, for heads heads
// of size channels:
//
//	y[j]   = c*v[j] + Σ_i r[i]*S[i,j],   c = Σ_i r[i]*u[i]*k[i]
//	S[i,j] = w[i]*S[i,j] + k[i]*v[j]
//
// The read uses the state before the update. Pulling the bonus u out of the sum
// is what makes one pass over the state enough. state is [head][key i][value j].
// Sums run over i in order, starting from c*v[j].
func WKV6Step(y, state, r, k, v, w, u []float32, heads, size int) {
	for h := range heads {
		a, b := h*size, (h+1)*size
		wkv6(y[a:b], state[a*size:b*size], r[a:b], k[a:b], v[a:b], w[a:b], u[a:b])
	}
}

// WKV6 advances the recurrence by steps tokens. Token t of r, k, v, w and y begins
// at t*stride; the heads are consecutive from there. It equals WKV6Step repeated,
// bit for bit; one head is finished before the next, so that its state stays in
// the nearest cache.
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
	for i := range n {
		ri, ki, wi := r[i], k[i], w[i]
		row := s[i*n:][:n]
		for j, x := range row {
			y[j] += float32(ri * x)
			row[j] = float32(wi*x) + float32(ki*v[j])
		}
	}
}

// StateRead sets p[j] = Σ_i q[i]*S[i,j] for each head, summed over i in order. The
// state is not changed.
func StateRead(p, state, q []float32, heads, size int) {
	for h := range heads {
		out := p[h*size:][:size]
		clear(out)
		for i, qi := range q[h*size:][:size] {
			row := state[(h*size+i)*size:][:size]
			for j, x := range row {
				out[j] += float32(qi * x)
			}
		}
	}
}
