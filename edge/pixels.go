package edge

import (
	"image"

	"github.com/visualrwkv/edged/fw/plugin"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

// pixels is one picture as plugins see it, in packed RGB. Its buffers grow to the largest
// picture and are used again.
type pixels struct {
	rgb  []uint8
	w, h int

	small          []uint8 // the preview
	smallW, smallH int
	both           bool     // small is of the picture in hand
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

// preview returns the picture as small as a preview has to be: means of boxes, of equal sizes as
// far as pixels go. A small picture is its own preview.
func (p *pixels) preview() (pix []uint8, w, h int) {
	if p.both {
		return p.small, p.smallW, p.smallH
	}
	p.smallW, p.smallH = fit(p.w, p.h, plugin.PreviewWidth, plugin.PreviewHeight)
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

// fit returns the largest size of a picture of w x h pixels, its shape kept, within mostW x mostH,
// and never more than it has.
func fit(w, h, mostW, mostH int) (int, int) {
	if w <= mostW && h <= mostH {
		return w, h
	}
	if w*mostH > h*mostW {
		return mostW, max(1, (h*mostW+w/2)/w)
	}
	return max(1, (w*mostH+h/2)/h), mostH
}
