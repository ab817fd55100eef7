//go:build purego || !(amd64 || arm64)

package kernels

import "github.com/visualrwkv/edged/kernels/portable"

func yuyvToRGB(dst, src []uint8, full bool) {
	portable.YUYVToRGB(dst, src, full)
}

func uyvyToRGB(dst, src []uint8, full bool) {
	portable.UYVYToRGB(dst, src, full)
}

func nv12ToRGB(dst, y, uv []uint8, full bool) {
	portable.NV12ToRGB(dst, y, uv, full)
}

func i420ToRGB(dst, y, u, v []uint8, full bool) {
	portable.I420ToRGB(dst, y, u, v, full)
}

func greyToRGB(dst, src []uint8) {
	portable.GreyToRGB(dst, src)
}

func resample(dst, src []uint8, stride, n int, w []int16) {
	portable.Resample(dst, src, stride, n, w)
}

func transpose(dst []uint8, dstStride int, src []uint8, srcStride, rows, cols int) {
	portable.Transpose(dst, dstStride, src, srcStride, rows, cols)
}

func normalize(r, g, b []float32, rgb []uint8, n *Norm) int { return 0 }
