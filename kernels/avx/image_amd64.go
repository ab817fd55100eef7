package avx

// YUYVToRGB converts a row of Y0 U Y1 V; see package portable. There are at least 16
// pixels, in all of these an even number of them.
func YUYVToRGB(dst, src []uint8, full bool) {
	packedToRGB(&dst[0], &src[0], len(src)/2, &yuyv, factors(full))
}

// UYVYToRGB converts a row of U Y0 V Y1.
func UYVYToRGB(dst, src []uint8, full bool) {
	packedToRGB(&dst[0], &src[0], len(src)/2, &uyvy, factors(full))
}

// NV12ToRGB converts a row of luma and one of U V pairs.
func NV12ToRGB(dst, y, uv []uint8, full bool) {
	nv12ToRGB(&dst[0], &y[0], &uv[0], len(y), factors(full))
}

// I420ToRGB converts a row of luma and those of U and V.
func I420ToRGB(dst, y, u, v []uint8, full bool) {
	i420ToRGB(&dst[0], &y[0], &u[0], &v[0], len(y), factors(full))
}

// GreyToRGB repeats each sample three times. There are at least 16.
func GreyToRGB(dst, src []uint8) { greyToRGB(&dst[0], &src[0], len(src)) }

// order says where the luma and the chroma of eight pixels are among their 16 bytes, for
// VPSHUFB: words of Y, of U and of V.
type order [3][16]uint8

var (
	yuyv = order{words(0, 2, 4, 6, 8, 10, 12, 14), words(1, 1, 5, 5, 9, 9, 13, 13), words(3, 3, 7, 7, 11, 11, 15, 15)}
	uyvy = order{words(1, 3, 5, 7, 9, 11, 13, 15), words(0, 0, 4, 4, 8, 8, 12, 12), words(2, 2, 6, 6, 10, 10, 14, 14)}
)

func words(at ...uint8) (w [16]uint8) {
	for i, b := range at {
		w[2*i], w[2*i+1] = b, 0x80 // a zero
	}
	return w
}

// yuvFactors are a conversion in 16 bits. With whole multiples of 2^16 taken out of the
// factors of package portable what is left fits:
//
//	R = clip8(y + rvWhole*v + (cy*y + rv*v + half) >> 16)
//	G = clip8(y - v + (cy*y + gu*u + gv*v + half) >> 16)
//	B = clip8(y + 2*u + (cy*y + bu*u + half) >> 16)
//
// Words of two are multiplied and added by VPMADDWD: those of (y, v) for R and G, of (y,
// u) for B, and (0, gu) with (y, u) for G.
type yuvFactors struct {
	r, g, b, gu [2]int16
	half        int32
	black       [2]int16
	rvWhole     [2]int16
}

var (
	limitedYUV = yuvFactors{
		r: [2]int16{76309 - 1<<16, 104597 - 2<<16}, g: [2]int16{76309 - 1<<16, -53279 + 1<<16}, b: [2]int16{76309 - 1<<16, 132201 - 2<<16},
		gu: [2]int16{0, -25675}, half: 1 << 15, black: [2]int16{16, 16}, rvWhole: [2]int16{2, 2},
	}
	fullYUV = yuvFactors{
		r: [2]int16{0x101, 91881 - 1<<16}, g: [2]int16{0x101, -46802 + 1<<16}, b: [2]int16{0x101, 116130 - 2<<16},
		gu: [2]int16{0, -22554}, rvWhole: [2]int16{1, 1},
	}
)

func factors(full bool) *yuvFactors {
	if full {
		return &fullYUV
	}
	return &limitedYUV
}

// packedToRGB and those after it convert n pixels, at least 16 and an even number (of grey
// any): 16 at a time, the last of them again where they are no multiple of that.
//
//go:noescape
func packedToRGB(dst, src *uint8, n int, o *order, f *yuvFactors)

//go:noescape
func nv12ToRGB(dst, y, uv *uint8, n int, f *yuvFactors)

//go:noescape
func i420ToRGB(dst, y, u, v *uint8, n int, f *yuvFactors)

//go:noescape
func greyToRGB(dst, src *uint8, n int)
