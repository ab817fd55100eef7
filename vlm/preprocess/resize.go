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

// Both passes work on two samples per 64-bit multiply, one in each 32-bit lane.
// Weights of one output sum to one and their negative part to no less than
// -0.25, so a result lies within (-0.25, 1.25) * 255 * 2^22. With bias added it
// is positive and below 2^32: borrows between the lanes cancel out by the end of
// a sum, whatever order the terms come in, and the lanes can be read apart.

// bias is 256 whole steps and the rounding half step, in both lanes.
const bias = (256<<precisionBits | 1<<(precisionBits-1)) * (1<<32 + 1)

// clip8 takes a biased sum, less its fraction, to 8 bits.
var clip8 = func() (t [1 << (32 - precisionBits)]uint8) {
	for i := range t {
		t[i] = uint8(min(max(i-256, 0), 255))
	}
	return t
}()

// lo8 and hi8 read the result in the low and in the high lane.
func lo8(sum uint64) uint8 { return clip8[sum>>precisionBits&(1<<(32-precisionBits)-1)] }
func hi8(sum uint64) uint8 { return clip8[sum>>(precisionBits+32)] }

// bytes4 gathers both lanes of a sum as bytes 0 and 4.
func bytes4(sum uint64) uint64 { return uint64(lo8(sum)) | uint64(hi8(sum))<<32 }

// horizontal filters all rows of src into r.tmp, two rows at a time.
func (r *Resizer) horizontal(src []uint8, stride int) {
	lo, n, k, taps, pair := r.x.lo, r.x.n, r.x.k, r.x.stride, r.pair
	for y := 0; y < r.srcH; y += 2 {
		// The last row of an odd height is paired with itself.
		y1 := min(y+1, r.srcH-1)
		r.load(src[y*stride:], src[y1*stride:])
		d0 := r.tmp[y*r.tmpStride:][:3*r.dstW]
		d1 := r.tmp[y1*r.tmpStride:][:3*r.dstW]
		d1 = d1[:len(d0)]
		for x, lo := range lo {
			ks := k[x*taps:][:n[x]]
			px := pair[lo:][:len(ks)]
			s0, s1, s2 := across(px, ks)
			e0, e1 := (*[3]uint8)(d0[3*x:]), (*[3]uint8)(d1[3*x:])
			e0[0], e0[1], e0[2] = lo8(s0), lo8(s1), lo8(s2)
			e1[0], e1[1], e1[2] = hi8(s0), hi8(s1), hi8(s2)
		}
	}
}

// across sums one output pixel of two rows. It is kept out of line so that the
// sums stay in registers; inlined, they are spilt in every round. len(px) is
// len(k).
//
//go:noinline
func across(px []pixel2, k []int32) (s0, s1, s2 uint64) {
	s0, s1, s2 = bias, bias, bias
	k = k[:len(px)]
	for j := range px {
		p, w := &px[j], uint64(int64(k[j]))
		s0 += p[0] * w
		s1 += p[1] * w
		s2 += p[2] * w
	}
	return s0, s1, s2
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
	row, stride := 3*r.dstW, r.tmpStride
	for y := range r.dstH {
		top := r.tmp[r.y.lo[y]*stride:][:r.y.n[y]*stride]
		ks := r.y.k[y*r.y.stride:][:r.y.n[y]]
		d := dst[y*row:][:row]
		for x := 0; x < row; x += 8 {
			s0, s1, s2, s3 := down(top[x:], stride, ks)
			o := bytes4(s0) | bytes4(s1)<<8 | bytes4(s2)<<16 | bytes4(s3)<<24
			if x+8 <= len(d) {
				binary.LittleEndian.PutUint64(d[x:], o)
				continue
			}
			for ; x < len(d); x++ {
				d[x] = uint8(o)
				o >>= 8
			}
		}
	}
}

// down sums eight neighbouring bytes of a column of rows, stride apart: bytes 0
// and 4, 1 and 5, 2 and 6, 3 and 7. Out of line like across.
//
//go:noinline
func down(top []uint8, stride int, k []int32) (s0, s1, s2, s3 uint64) {
	const mask = 0x000000ff_000000ff
	s0, s1, s2, s3 = bias, bias, bias, bias
	at := 0
	for _, kj := range k {
		v, w := binary.LittleEndian.Uint64(top[at:]), uint64(int64(kj))
		at += stride
		s0 += v & mask * w
		s1 += v >> 8 & mask * w
		s2 += v >> 16 & mask * w
		s3 += v >> 24 & mask * w
	}
	return s0, s1, s2, s3
}
