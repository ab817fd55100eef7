package preprocess

import (
	"fmt"

	"github.com/visualrwkv/edged/kernels"
)

// maxSide bounds the width and height a Resizer accepts. Pictures beyond it do
// not come from cameras; the bound keeps every size below 2^31.
const maxSide = 1 << 14

// stripRows is how many rows pass the horizontal filter together: samples of a column
// beside each other fill the registers of every machine three times.
const stripRows = 32

// A Resizer resizes packed 8-bit RGB pictures from one fixed size to another, or
// to a part of it. Results equal Pillow's Image.resize(size, Image.BICUBIC) on
// mode RGB, cropped, to the byte: horizontal pass, rounding to 8 bits, vertical
// pass; an axis whose size does not change is not filtered.
//
// A Resizer owns its intermediate picture and does not allocate after
// [NewResizer]. It serves one goroutine at a time.
type Resizer struct {
	srcW, srcH, dstW, dstH int

	x, y   axis
	offset struct{ x, y int } // of the result in the source, along axes that are not filtered
	// in and out are a strip of rows before and after the horizontal pass, transposed:
	// [3*width][strip].
	in, out []uint8
	strip   int
	// tmp is the result of the horizontal pass when a vertical one follows, packed.
	tmp []uint8
}

// axis is the integer form of Taps; w is nil where the size does not change.
type axis struct {
	lo, n  []int
	w      []int16 // stride values for each output, as kernels.SplitTaps stores them
	stride int
}

// NewResizer prepares a resize from srcW x srcH to dstW x dstH. Sides must lie
// in [1, 16384].
func NewResizer(srcW, srcH, dstW, dstH int) (*Resizer, error) {
	return newResizer(srcW, srcH, span{dstW, 0, dstW}, span{dstH, 0, dstH})
}

// NewCropper prepares what CLIP's preprocessing does: a resize that keeps the
// aspect ratio, the shorter side to size, the longer one rounded down, of which
// the size x size in the middle remain. Sides must lie in [1, 16384].
func NewCropper(srcW, srcH, size int) (*Resizer, error) {
	w, h := size, size
	if srcW > srcH && srcH > 0 {
		w = size * srcW / srcH
	} else if srcW > 0 {
		h = size * srcH / srcW
	}
	return newResizer(srcW, srcH, span{w, (w - size) / 2, size}, span{h, (h - size) / 2, size})
}

// span is a part of a side: n of size samples, from first on.
type span struct{ size, first, n int }

func newResizer(srcW, srcH int, x, y span) (*Resizer, error) {
	for _, n := range [...]int{srcW, srcH, x.n, y.n} {
		if n < 1 || n > maxSide {
			return nil, fmt.Errorf("resize %dx%d to %dx%d: side outside 1..%d", srcW, srcH, x.n, y.n, maxSide)
		}
	}
	r := &Resizer{
		srcW: srcW, srcH: srcH, dstW: x.n, dstH: y.n,
		x: newAxis(srcW, x), y: newAxis(srcH, y), strip: min(stripRows, srcH),
	}
	if r.x.w == nil {
		r.offset.x = x.first
	} else {
		r.in, r.out = make([]uint8, 3*srcW*r.strip), make([]uint8, 3*r.dstW*r.strip)
		if r.y.w != nil {
			r.tmp = make([]uint8, 3*r.dstW*srcH)
		}
	}
	if r.y.w == nil {
		r.offset.y = y.first
	}
	return r, nil
}

func newAxis(n int, m span) axis {
	if n == m.size {
		return axis{}
	}
	t := newTaps(n, m.size, m.first, m.n)
	k, stride := t.fixed(), kernels.TapsLen(t.Stride)
	a := axis{lo: t.Lo, n: t.N, w: make([]int16, m.n*stride), stride: stride}
	for i, n := range t.N {
		kernels.SplitTaps(a.weights(i), k[i*t.Stride:][:n])
	}
	return a
}

// weights returns those of output i.
func (a *axis) weights(i int) []int16 { return a.w[i*a.stride:][:kernels.TapsLen(a.n[i])] }

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
	src = src[r.offset.y*stride+3*r.offset.x:]
	switch {
	case r.x.w == nil && r.y.w == nil:
		row = 3 * r.dstW
		for y := range r.dstH {
			copy(dst[y*row:][:row], src[y*stride:])
		}
	case r.x.w == nil:
		r.vertical(dst, src, stride)
	case r.y.w == nil:
		r.horizontal(dst, src, stride)
	default:
		r.horizontal(r.tmp, src, stride)
		r.vertical(dst, r.tmp, 3*r.dstW)
	}
}

// horizontal filters all rows of src into dst, packed. The last strip may overlap the one
// before.
func (r *Resizer) horizontal(dst, src []uint8, stride int) {
	in, out, column := 3*r.srcW, 3*r.dstW, 3*r.strip
	for y := 0; y < r.srcH; y += r.strip {
		y := min(y, r.srcH-r.strip)
		transpose(r.in, r.strip, src[y*stride:], stride, r.strip, in)
		for x, lo := range r.x.lo {
			resample(r.out[x*column:][:column], r.in[lo*column:], column, r.x.n[x], r.x.weights(x))
		}
		transpose(dst[y*out:], out, r.out, r.strip, out, r.strip)
	}
}

// vertical filters rows of src, stride apart, into dst.
func (r *Resizer) vertical(dst, src []uint8, stride int) {
	row := 3 * r.dstW
	for y, lo := range r.y.lo {
		resample(dst[y*row:][:row], src[lo*stride:], stride, r.y.n[y], r.y.weights(y))
	}
}

// callWork bounds the samples of one kernel call, so that it takes less than 100
// microseconds.
const callWork = 1 << 16

// resample is [kernels.Resample] in pieces.
func resample(dst, src []uint8, stride, n int, w []int16) {
	step := max(callWork/n&^31, 32)
	for x := 0; x < len(dst); x += step {
		kernels.Resample(dst[x:min(x+step, len(dst))], src[x:], stride, n, w)
	}
}

// transpose is [kernels.Transpose] in pieces.
func transpose(dst []uint8, dstStride int, src []uint8, srcStride, rows, cols int) {
	step := max(callWork/rows&^15, 16)
	for c := 0; c < cols; c += step {
		kernels.Transpose(dst[c*dstStride:], dstStride, src[c:], srcStride, rows, min(step, cols-c))
	}
}
