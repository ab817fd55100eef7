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
