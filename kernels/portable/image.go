package portable

// Rows of camera pixels to packed 8-bit RGB, in 16.16 fixed point:
//
//	y = Y - black, u = U - 128, v = V - 128
//	R = clip8((cy*y + rv*v + half) >> 16)
//	G = clip8((cy*y + gu*u + gv*v + half) >> 16)
//	B = clip8((cy*y + bu*u + half) >> 16)
//
// Two conversions are known, both with the primaries of ITU-R BT.601:
//
//   - limited range, Y 16..235 and U, V 16..240, what V4L2 calls
//     V4L2_QUANTIZATION_LIM_RANGE and takes webcams' raw formats to have: factors are those
//     of BT.601 section 2.5, 255/219, 1.402*255/224, ..., rounded to 2^-16, results are
//     rounded to nearest;
//   - full range, of JPEG (JFIF 1.02): the factors and the rounding of Go's package
//     image/color, function YCbCrToRGB, bit for bit.
//
// Chroma is not filtered: two pixels beside each other, in 4:2:0 also two rows, share
// the nearest sample.
type yuv struct{ black, half, cy, rv, gu, gv, bu int32 }

var (
	limitedYUV = yuv{16, 1 << 15, 76309, 104597, -25675, -53279, 132201}
	fullYUV    = yuv{0, 0, 0x10101, 91881, -22554, -46802, 116130}
)

func yuvOf(full bool) *yuv {
	if full {
		return &fullYUV
	}
	return &limitedYUV
}

// pair converts two pixels beside each other, which share their chroma.
func (f *yuv) pair(dst []uint8, y0, y1, u, v uint8) {
	d, cb, cr := (*[6]uint8)(dst), int32(u)-128, int32(v)-128
	r, g, b := f.rv*cr+f.half, f.gu*cb+f.gv*cr+f.half, f.bu*cb+f.half
	y := (int32(y0) - f.black) * f.cy
	d[0], d[1], d[2] = top8(y+r), top8(y+g), top8(y+b)
	y = (int32(y1) - f.black) * f.cy
	d[3], d[4], d[5] = top8(y+r), top8(y+g), top8(y+b)
}

// top8 returns bits 16 to 23 of v, saturated.
func top8(v int32) uint8 {
	if uint32(v)&0xff000000 != 0 {
		return uint8(^(v >> 31))
	}
	return uint8(v >> 16)
}

// YUYVToRGB converts a row of Y0 U Y1 V, four bytes to two pixels.
func YUYVToRGB(dst, src []uint8, full bool) {
	f := yuvOf(full)
	for ; len(src) >= 4; src, dst = src[4:], dst[6:] {
		f.pair(dst, src[0], src[2], src[1], src[3])
	}
}

// UYVYToRGB converts a row of U Y0 V Y1.
func UYVYToRGB(dst, src []uint8, full bool) {
	f := yuvOf(full)
	for ; len(src) >= 4; src, dst = src[4:], dst[6:] {
		f.pair(dst, src[1], src[3], src[0], src[2])
	}
}

// NV12ToRGB converts a row of luma, of an even number of pixels, and one of U V pairs.
func NV12ToRGB(dst, y, uv []uint8, full bool) {
	f := yuvOf(full)
	for ; len(y) >= 2; y, uv, dst = y[2:], uv[2:], dst[6:] {
		f.pair(dst, y[0], y[1], uv[0], uv[1])
	}
}

// I420ToRGB converts a row of luma and those of U and V, of half as many samples rounded
// up.
func I420ToRGB(dst, y, u, v []uint8, full bool) {
	f := yuvOf(full)
	for ; len(y) >= 2; y, u, v, dst = y[2:], u[1:], v[1:], dst[6:] {
		f.pair(dst, y[0], y[1], u[0], v[0])
	}
	if len(y) > 0 {
		var last [6]uint8
		f.pair(last[:], y[0], y[0], u[0], v[0])
		copy(dst, last[:3])
	}
}

// GreyToRGB repeats each sample three times.
func GreyToRGB(dst, src []uint8) {
	for i, v := range src {
		d := (*[3]uint8)(dst[3*i:])
		d[0], d[1], d[2] = v, v, v
	}
}
