package preprocess

import (
	"fmt"
	"image"
	"slices"
)

// Square prepares pictures of any size for a tower with a square input: RGB,
// resize straight to Size x Size without keeping the aspect ratio, normalise
// (spec section 7, DINO, SigLIP and SAM). It remembers the taps and buffers of
// the last few source sizes, so that steady cameras cost no allocation. It serves
// one goroutine at a time.
type Square struct {
	Size int
	Norm *Norm

	resizers []*Resizer // the one used last first, at most keptSizes
	src, rgb []uint8
}

// keptSizes is how many source sizes a Square remembers: cameras of one scene seldom
// have more.
const keptSizes = 4

// NewSquare returns a Square for a tower of the given input side, mean and std.
func NewSquare(size int, mean, std [3]float32) (*Square, error) {
	if size < 1 || size > maxSide {
		return nil, fmt.Errorf("tower input side %d outside 1..%d", size, maxSide)
	}
	n, err := NewNorm(mean, std)
	if err != nil {
		return nil, err
	}
	return &Square{Size: size, Norm: n, rgb: make([]uint8, 3*size*size)}, nil
}

// Planar writes img to dst as [3, Size, Size] normalised values. Pictures that
// are empty or larger than 16384 on a side are an error; a dst of the wrong
// length panics.
func (s *Square) Planar(dst []float32, img image.Image) error {
	rgb, err := s.RGB(img)
	if err != nil {
		return err
	}
	s.Norm.Planar(dst, rgb)
	return nil
}

// RGB returns img resized to Size x Size, packed; valid until the next call.
func (s *Square) RGB(img image.Image) ([]uint8, error) {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w == s.Size && h == s.Size {
		RGB(s.rgb, img)
		return s.rgb, nil
	}
	r, err := s.resizer(w, h)
	if err != nil {
		return nil, err
	}
	if n := 3 * w * h; cap(s.src) < n {
		s.src = make([]uint8, n)
	}
	src := s.src[:3*w*h]
	RGB(src, img)
	r.Resize(s.rgb, src, 3*w)
	return s.rgb, nil
}

// resizer returns the one from w x h, made if it is not among the last few.
func (s *Square) resizer(w, h int) (*Resizer, error) {
	i := slices.IndexFunc(s.resizers, func(r *Resizer) bool { return r.Fits(w, h, s.Size, s.Size) })
	if i == 0 {
		return s.resizers[0], nil
	}
	var r *Resizer
	if i > 0 {
		r = s.resizers[i]
	} else {
		var err error
		if r, err = NewResizer(w, h, s.Size, s.Size); err != nil {
			return nil, err
		}
		if len(s.resizers) < keptSizes {
			s.resizers = append(s.resizers, nil)
		}
		i = len(s.resizers) - 1
	}
	copy(s.resizers[1:i+1], s.resizers[:i])
	s.resizers[0] = r
	return r, nil
}
