package kernels

import "fmt"

// WKV7 advances the RWKV-7 recurrence by steps tokens, in place. For each token and
// head:
//
//	q[j]   = Σ_i kappa[i]*S[i,j]
//	S[i,j] = w[i]*S[i,j] - kappa[i]*a[i]*q[j] + k[i]*v[j]
//	y[j]   = Σ_i r[i]*S[i,j]
//
// The read uses the state after the update. state is [heads][size key i][size value j],
// w the decay in [0, 1], kappa the normalised removal key, a the in-context learning
// rate. Strips of heads and steps are as in [WKV6]: how a sequence is cut into them does
// not change a bit. y must not overlap an input.
//
//go:noinline
func WKV7(y, state, r, k, v, w, kappa, a []float32, steps, stride, heads, size int) {
	if steps < 1 || stride < heads*size {
		panic(fmt.Sprintf("kernels: WKV7: %d steps, stride %d, %d heads of %d", steps, stride, heads, size))
	}
	need := (steps-1)*stride + heads*size
	if got := min(len(y), len(r), len(k), len(v), len(w), len(kappa), len(a)); got < need {
		panic(fmt.Sprintf("kernels: WKV7: shortest argument has %d values, want %d", got, need))
	}
	same("WKV7", heads*size*size, len(state))
	if race {
		raceWrite(state)
		for t := range steps {
			from, to := t*stride, t*stride+heads*size
			raceWrite(y[from:to])
			raceReads(r[from:to], k[from:to], v[from:to], w[from:to], kappa[from:to], a[from:to])
		}
	}
	wkv7(y, state, r, k, v, w, kappa, a, steps, stride, heads, size)
}
