//go:build !purego

package kernels

import (
	"github.com/visualrwkv/edged/kernels/neon"
	"github.com/visualrwkv/edged/kernels/portable"
)

func yuyvToRGB(dst, src []uint8, full bool) {
	if level != portableLevel && len(src) >= 32 {
		neon.YUYVToRGB(dst, src, full)
	} else {
		portable.YUYVToRGB(dst, src, full)
	}
}

func uyvyToRGB(dst, src []uint8, full bool) {
	if level != portableLevel && len(src) >= 32 {
		neon.UYVYToRGB(dst, src, full)
	} else {
		portable.UYVYToRGB(dst, src, full)
	}
}

func nv12ToRGB(dst, y, uv []uint8, full bool) {
	if level != portableLevel && len(y) >= 16 {
		neon.NV12ToRGB(dst, y, uv, full)
	} else {
		portable.NV12ToRGB(dst, y, uv, full)
	}
}

func i420ToRGB(dst, y, u, v []uint8, full bool) {
	if level != portableLevel && len(y) >= 16 {
		neon.I420ToRGB(dst, y, u, v, full)
	} else {
		portable.I420ToRGB(dst, y, u, v, full)
	}
}

func greyToRGB(dst, src []uint8) {
	if level != portableLevel && len(src) >= 16 {
		neon.GreyToRGB(dst, src)
	} else {
		portable.GreyToRGB(dst, src)
	}
}

func resample(dst, src []uint8, stride, n int, w []int16) {
	if level != portableLevel && len(dst) >= 32 {
		neon.Resample(dst, src, stride, n, w)
	} else {
		portable.Resample(dst, src, stride, n, w)
	}
}

func transpose(dst []uint8, dstStride int, src []uint8, srcStride, rows, cols int) {
	if level != portableLevel && rows >= 16 && cols >= 16 {
		neon.Transpose(dst, dstStride, src, srcStride, rows, cols)
	} else {
		portable.Transpose(dst, dstStride, src, srcStride, rows, cols)
	}
}

// normalize returns how many pixels it did, the first ones.
func normalize(r, g, b []float32, rgb []uint8, n *Norm) int {
	if level == portableLevel || len(r) < 8 || !n.Products {
		return 0
	}
	done := len(r) &^ 7
	neon.Normalize(r[:done], g, b, rgb, &n.Factors)
	return done
}
