package avx

// quantizeRow converts one vector of a tile. q, scale and sum begin at the vector's first
// value, pitch is 4*t, in bytes the distance to the next of each. cols is a positive
// multiple of 64.
//
//go:noescape
func quantizeRow(q *int8, scale *float32, sum *int32, x *float32, cols, pitch int)

// unpackP4 unpacks pairs of groups of a row tile: 512 bytes of w, 16 of wg and 1024 of dst
// each.
//
//go:noescape
func unpackP4(dst *int8, w, wg *byte, pairs int)

// bonus4 sets y[i*pitch] to Σ r*u*k over size channels, in order, for four heads or
// tokens: those of r, k and y begin pitch bytes apart, of u uPitch. bonus1 does one.
//
//go:noescape
func bonus4(y, r, k, u *float32, size, pitch, uPitch int)

//go:noescape
func bonus1(y, r, k, u *float32, size int)

// wkv6Head advances one head by one token; y[0] holds the sum made by bonus4 or bonus1.
// size is a positive multiple of 32.
//
//go:noescape
func wkv6Head(y, state, r, k, v, w *float32, size int)

//go:noescape
func wkv6Head512(y, state, r, k, v, w *float32, size int)

// addRows sets dst[j] = Σ_i x[i]*rows[i*stride/4+j] for i < n, in order, from 0. stride is
// in bytes; cols is a multiple of 8.
//
//go:noescape
func addRows(dst, rows, x *float32, n, stride, cols int)

//go:noescape
func addRows512(dst, rows, x *float32, n, stride, cols int)
