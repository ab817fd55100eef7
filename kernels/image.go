package kernels

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels/portable"
)

// Pictures of cameras: rows of raw pixels to packed 8-bit RGB, exactly as package portable
// defines. full says that samples use all of 0..255, as in JPEG; otherwise Y is 16..235
// and U and V are 16..240, as V4L2 takes the raw formats of webcams to be. dst must not
// overlap an input.

// checkRow panics unless dst holds 3 bytes for each of n pixels and the chroma, if any, has
// want samples.
func checkRow(op string, dst []uint8, n, want int, src ...[]uint8) {
	if len(dst) != 3*n {
		panic(fmt.Sprintf("kernels: %s: %d bytes for %d pixels", op, len(dst), n))
	}
	for _, s := range src[1:] {
		if len(s) != want {
			panic(fmt.Sprintf("kernels: %s: %d samples of chroma for %d pixels, want %d", op, len(s), n, want))
		}
	}
	if race {
		raceWrite(dst)
		raceReads(src...)
	}
}

// evenRow panics when a length that must be a multiple of unit is none.
func evenRow(op string, n, unit int) {
	if n%unit != 0 {
		panic(fmt.Sprintf("kernels: %s: a row of %d bytes, not a multiple of %d", op, n, unit))
	}
}

// YUYVToRGB converts a row of Y0 U Y1 V, two pixels each.
//
//go:noinline
func YUYVToRGB(dst, src []uint8, full bool) {
	evenRow("YUYVToRGB", len(src), 4)
	checkRow("YUYVToRGB", dst, len(src)/2, 0, src)
	yuyvToRGB(dst, src, full)
}

// UYVYToRGB converts a row of U Y0 V Y1, two pixels each.
//
//go:noinline
func UYVYToRGB(dst, src []uint8, full bool) {
	evenRow("UYVYToRGB", len(src), 4)
	checkRow("UYVYToRGB", dst, len(src)/2, 0, src)
	uyvyToRGB(dst, src, full)
}

// NV12ToRGB converts a row of luma, of an even number of pixels, and one of U V pairs.
//
//go:noinline
func NV12ToRGB(dst, y, uv []uint8, full bool) {
	evenRow("NV12ToRGB", len(y), 2)
	checkRow("NV12ToRGB", dst, len(y), len(y), y, uv)
	nv12ToRGB(dst, y, uv, full)
}

// I420ToRGB converts a row of luma and those of U and V, each of half as many samples
// rounded up.
//
//go:noinline
func I420ToRGB(dst, y, u, v []uint8, full bool) {
	checkRow("I420ToRGB", dst, len(y), (len(y)+1)/2, y, u, v)
	// The last pixel of an odd row has a chroma sample to itself.
	even := len(y) &^ 1
	i420ToRGB(dst[:3*even], y[:even], u[:even/2], v[:even/2], full)
	portable.I420ToRGB(dst[3*even:], y[even:], u[even/2:], v[even/2:], full)
}

// GreyToRGB repeats each sample three times.
//
//go:noinline
func GreyToRGB(dst, src []uint8) {
	checkRow("GreyToRGB", dst, len(src), 0, src)
	greyToRGB(dst, src)
}
