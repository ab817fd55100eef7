package portable

// wkv7Columns is how many value columns of a state WKV7 takes at once.
const wkv7Columns = 64

// WKV7 advances the RWKV-7 recurrence (the generalised delta rule) by steps tokens, in
// place, for heads heads of size channels:
//
//	q[j]   = Σ_i kappa[i]*S[i,j]
//	S[i,j] = w[i]*S[i,j] - kappa[i]*a[i]*q[j] + k[i]*v[j]
//	y[j]   = Σ_i r[i]*S[i,j]
//
// The read uses the state after the update. state is [head][key i][value j], as in WKV6.
// Sums run over i in order. Token t of the inputs and y begins at t*stride; the heads are
// consecutive from there.
func WKV7(y, state, r, k, v, w, kappa, a []float32, steps, stride, heads, size int) {
	for h := range heads {
		from, to := h*size, (h+1)*size
		s := state[from*size : to*size]
		for t := range steps {
			o, e := t*stride+from, t*stride+to
			for j := 0; j < size; j += wkv7Columns {
				n := min(wkv7Columns, size-j)
				wkv7(y[o+j:][:n], s[j:], v[o+j:][:n], r[o:e], k[o:e], w[o:e], kappa[o:e], a[o:e])
			}
		}
	}
}

// wkv7 does len(y) columns, which begin at s[0].
func wkv7(y, s, v, r, k, w, kappa, a []float32) {
	n, size := len(y), len(r)
	k, w, kappa, a, v = k[:size], w[:size], kappa[:size], a[:size], v[:n]
	var buf [wkv7Columns]float32
	q := buf[:n]
	addRows(q, s, size, kappa)
	clear(y)
	for i, ri := range r {
		ki, wi, b := k[i], w[i], float32(kappa[i]*a[i])
		row := s[i*size:][:n]
		for j, x := range row {
			x = float32(float32(wi*x)-float32(b*q[j])) + float32(ki*v[j])
			row[j] = x
			y[j] += float32(ri * x)
		}
	}
}
