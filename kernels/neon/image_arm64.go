package neon

// YUYVToRGB converts a row of Y0 U Y1 V; see package portable. There are at least 16
// pixels, in all of these an even number of them.
func YUYVToRGB(dst, src []uint8, full bool) {
	yuyvToRGB(&dst[0], &src[0], len(src)/2, factors(full))
}

// UYVYToRGB converts a row of U Y0 V Y1.
func UYVYToRGB(dst, src []uint8, full bool) {
	uyvyToRGB(&dst[0], &src[0], len(src)/2, factors(full))
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

// yuvFactors are a conversion in 16 bits, in the order of the lanes of a register. With
// whole multiples of 2^16 taken out of the factors of package portable what is left fits:
//
//	R = clip8(y + rvWhole*v + (cy*y + rv*v + half) >> 16)
//	G = clip8(y - v + (cy*y + gu*u + gv*v + half) >> 16)
//	B = clip8(y + 2*u + (cy*y + bu*u + half) >> 16)
type yuvFactors struct {
	cy, rv, gu, gv, bu, rvWhole int16
	black                       int16
	half                        uint16
}

var (
	limitedYUV = yuvFactors{76309 - 1<<16, 104597 - 2<<16, -25675, -53279 + 1<<16, 132201 - 2<<16, 2, 16, 1 << 15}
	fullYUV    = yuvFactors{0x101, 91881 - 1<<16, -22554, -46802 + 1<<16, 116130 - 2<<16, 1, 0, 0}
)

func factors(full bool) *yuvFactors {
	if full {
		return &fullYUV
	}
	return &limitedYUV
}

// yuyvToRGB and those after it convert n pixels, at least 16 and an even number (of grey
// any): 16 at a time, the last of them again where they are no multiple of that.
//
//go:noescape
func yuyvToRGB(dst, src *uint8, n int, f *yuvFactors)

//go:noescape
func uyvyToRGB(dst, src *uint8, n int, f *yuvFactors)

//go:noescape
func nv12ToRGB(dst, y, uv *uint8, n int, f *yuvFactors)

//go:noescape
func i420ToRGB(dst, y, u, v *uint8, n int, f *yuvFactors)

//go:noescape
func greyToRGB(dst, src *uint8, n int)
