package edge

import (
	"image"

	"github.com/visualrwkv/edged/vlm/preprocess"
)

// pixels is one picture as plugins see it, in packed RGB. Its buffers grow to the largest
// picture and are used again.
type pixels struct {
	rgb  []uint8
	w, h int

	small          []uint8 // a smaller one
	smallW, smallH int
	both           bool     // it is of the picture in hand
	sums           []uint32 // of a row of it
}

// set makes img the picture in hand.
func (p *pixels) set(img image.Image) {
	size := img.Bounds().Size()
	p.w, p.h = size.X, size.Y
	p.rgb = sized(p.rgb, 3*p.w*p.h)
	preprocess.RGB(p.rgb, img)
	p.both = false
}

func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// within returns the picture, made smaller where it is larger than a size that is not 0: means of boxes, of equal
// sizes as far as pixels go.
func (p *pixels) within(mostW, mostH int) (pix []uint8, w, h int) {
	if mostW == 0 || p.w <= mostW && p.h <= mostH {
		return p.rgb, p.w, p.h
	}
	w, h = fit(p.w, p.h, mostW, mostH)
	if p.both && p.smallW == w && p.smallH == h {
		return p.small, w, h
	}
	p.smallW, p.smallH = w, h
	p.small, p.sums = sized(p.small, 3*p.smallW*p.smallH), sized(p.sums, 3*p.smallW)
	p.both = true
	for y := range p.smallH {
		top, bottom := y*p.h/p.smallH, (y+1)*p.h/p.smallH
		clear(p.sums)
		for from := top; from < bottom; from++ {
			row := p.rgb[3*p.w*from:][:3*p.w]
			for x := range p.smallW {
				var r, g, b uint32
				for box := row[3*(x*p.w/p.smallW) : 3*((x+1)*p.w/p.smallW)]; len(box) >= 3; box = box[3:] {
					r += uint32(box[0])
					g += uint32(box[1])
					b += uint32(box[2])
				}
				sum := p.sums[3*x:][:3]
				sum[0] += r
				sum[1] += g
				sum[2] += b
			}
		}
		out := p.small[3*p.smallW*y:][:3*p.smallW]
		for x := range p.smallW {
			n := uint32(bottom-top) * uint32((x+1)*p.w/p.smallW-x*p.w/p.smallW)
			for c := range 3 {
				out[3*x+c] = uint8((p.sums[3*x+c] + n/2) / n)
			}
		}
	}
	return p.small, p.smallW, p.smallH
}

// fit returns the largest size of a picture of w x h pixels, its shape kept, within mostW x mostH, which it is not.
func fit(w, h, mostW, mostH int) (int, int) {
	if w*mostH > h*mostW {
		return mostW, max(1, (h*mostW+w/2)/w)
	}
	return max(1, (w*mostH+h/2)/h), mostH
}
