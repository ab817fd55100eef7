package preprocess

import (
	"encoding/binary"
	"fmt"
)

// maxSide bounds the width and height a Resizer accepts. Pictures beyond it do
// not come from cameras; the bound keeps every size below 2^31.
const maxSide = 1 << 14

// A Resizer resizes packed 8-bit RGB pictures from one fixed size to another.
// Results equal Pillow's Image.resize((dstW, dstH), Image.BICUBIC) on mode RGB
// to the byte: horizontal pass, rounding to 8 bits, vertical pass; an axis whose
// size does not change is not filtered.
//
// A Resizer owns its intermediate picture and does not allocate after
// [NewResizer]. It serves one goroutine at a time.
type Resizer struct {
	srcW, srcH, dstW, dstH int

	x, y axis
	// pair holds two source rows, sample by sample: the upper row in the low
	// 32 bits and the lower row in the high 32 bits.
	pair []pixel2
	// tmp is the result of the horizontal pass, srcH rows of tmpStride bytes.
	// Rows are padded to 8 bytes so that the vertical pass has no tail.
	tmp       []uint8
	tmpStride int
}

// axis is the integer form of Taps; k is nil where the size does not change.
type axis struct {
	lo, n  []int
	k      []int32
	stride int
}

// pixel2 is one column of two rows: three channels, two 32-bit lanes each.
type pixel2 [3]uint64

// NewResizer prepares a resize from srcW x srcH to dstW x dstH. Sides must lie
// in [1, 16384].
func NewResizer(srcW, srcH, dstW, dstH int) (*Resizer, error) {
	for _, n := range [...]int{srcW, srcH, dstW, dstH} {
		if n < 1 || n > maxSide {
			return nil, fmt.Errorf("resize %dx%d to %dx%d: side outside 1..%d", srcW, srcH, dstW, dstH, maxSide)
		}
	}
	r := &Resizer{
		srcW: srcW, srcH: srcH, dstW: dstW, dstH: dstH,
		x: newAxis(srcW, dstW), y: newAxis(srcH, dstH),
		tmpStride: (3*dstW + 7) &^ 7,
	}
	if r.x.k != nil {
		r.pair = make([]pixel2, srcW)
	}
	if r.x.k != nil || r.y.k != nil {
		r.tmp = make([]uint8, srcH*r.tmpStride)
	}
	return r, nil
}

func newAxis(n, m int) axis {
	if n == m {
		return axis{}
	}
	t := NewTaps(n, m)
	return axis{lo: t.Lo, n: t.N, k: t.fixed(), stride: t.Stride}
}

// Fits reports whether the resizer takes srcW x srcH to dstW x dstH.
func (r *Resizer) Fits(srcW, srcH, dstW, dstH int) bool {
	return r.srcW == srcW && r.srcH == srcH && r.dstW == dstW && r.dstH == dstH
}

// Resize writes the resized picture to dst, packed, 3*dstW*dstH bytes. Row y of
// the source starts at src[y*stride] and holds 3*srcW bytes. dst must not
// overlap src. Slices of the wrong length panic.
func (r *Resizer) Resize(dst, src []uint8, stride int) {
	row := 3 * r.srcW
	if stride < row || len(src) < (r.srcH-1)*stride+row {
		panic(fmt.Sprintf("preprocess: source of %d bytes, stride %d, for %dx%d", len(src), stride, r.srcW, r.srcH))
	}
	if len(dst) != 3*r.dstW*r.dstH {
		panic(fmt.Sprintf("preprocess: destination of %d bytes for %dx%d", len(dst), r.dstW, r.dstH))
	}
	switch {
	case r.x.k == nil && r.y.k == nil:
		for y := range r.srcH {
			copy(dst[y*row:][:row], src[y*stride:])
		}
		return
	case r.x.k == nil:
		for y := range r.srcH {
			copy(r.tmp[y*r.tmpStride:][:row], src[y*stride:])
		}
	default:
		r.horizontal(src, stride)
	}
	if r.y.k == nil {
		for y := range r.dstH {
			copy(dst[y*3*r.dstW:][:3*r.dstW], r.tmp[y*r.tmpStride:])
		}
		return
	}
	r.vertical(dst)
}

// Both passes work on two samples per 64-bit multiply. A coefficient is at most
// 2^22 times a little more than one in magnitude and the weights of one output
// have absolute sum below 1.5, so each 32-bit lane stays within +-2^31 and the
// sum of the lanes, hi*2^32 + lo with signed lo, determines both exactly.

// half is the rounding term of one lane, twice.
const half = 1<<(precisionBits-1) | 1<<(precisionBits-1+32)

// lanes splits a two-lane sum and clips both to 8 bits.
func lanes(sum uint64) (lo, hi uint8) {
	l := int32(sum)
	h := int32((sum - uint64(int64(l))) >> 32)
	return clip(l >> precisionBits), clip(h >> precisionBits)
}

func clip(v int32) uint8 {
	if uint32(v) > 255 {
		v = ^(v >> 31)
	}
	return uint8(v)
}

// horizontal filters all rows of src into r.tmp, two rows at a time.
func (r *Resizer) horizontal(src []uint8, stride int) {
	for y := 0; y < r.srcH; y += 2 {
		// The last row of an odd height is paired with itself.
		y1 := min(y+1, r.srcH-1)
		r.load(src[y*stride:], src[y1*stride:])
		d0 := r.tmp[y*r.tmpStride:][:3*r.dstW]
		d1 := r.tmp[y1*r.tmpStride:][:3*r.dstW]
		for x := range r.dstW {
			px := r.pair[r.x.lo[x]:][:r.x.n[x]]
			ks := r.x.k[x*r.x.stride:][:len(px)]
			var s0, s1, s2 uint64 = half, half, half
			for j := range px {
				p, k := &px[j], uint64(int64(ks[j]))
				s0 += p[0] * k
				s1 += p[1] * k
				s2 += p[2] * k
			}
			e0, e1 := d0[3*x:][:3], d1[3*x:][:3]
			e0[0], e1[0] = lanes(s0)
			e0[1], e1[1] = lanes(s1)
			e0[2], e1[2] = lanes(s2)
		}
	}
}

// load interleaves two source rows into r.pair.
func (r *Resizer) load(a, b []uint8) {
	a, b = a[:3*r.srcW], b[:3*r.srcW]
	for i := range r.pair {
		p := &r.pair[i]
		s, t := (*[3]uint8)(a[3*i:]), (*[3]uint8)(b[3*i:])
		p[0] = uint64(s[0]) | uint64(t[0])<<32
		p[1] = uint64(s[1]) | uint64(t[1])<<32
		p[2] = uint64(s[2]) | uint64(t[2])<<32
	}
}

// vertical filters r.tmp into dst, eight bytes of a row at a time.
func (r *Resizer) vertical(dst []uint8) {
	const mask = 0x000000ff_000000ff
	row := 3 * r.dstW
	for y := range r.dstH {
		top := r.tmp[r.y.lo[y]*r.tmpStride:][:r.y.n[y]*r.tmpStride]
		ks := r.y.k[y*r.y.stride:][:r.y.n[y]]
		d := dst[y*row:][:row]
		for x := 0; x < row; x += 8 {
			var s0, s1, s2, s3 uint64 = half, half, half, half
			at := x
			for _, kj := range ks {
				v := binary.LittleEndian.Uint64(top[at:])
				at += r.tmpStride
				k := uint64(int64(kj))
				s0 += v & mask * k
				s1 += v >> 8 & mask * k
				s2 += v >> 16 & mask * k
				s3 += v >> 24 & mask * k
			}
			var o [8]uint8
			o[0], o[4] = lanes(s0)
			o[1], o[5] = lanes(s1)
			o[2], o[6] = lanes(s2)
			o[3], o[7] = lanes(s3)
			copy(d[x:], o[:])
		}
	}
}
