package preprocess

import (
	"fmt"
	"image"
)

// Square prepares pictures of any size for a tower with a square input: RGB,
// resize straight to Size x Size without keeping the aspect ratio, normalise
// (spec section 7, DINO, SigLIP and SAM). It remembers the taps and buffers of
// the last source size, so a steady camera costs no allocation. It serves one
// goroutine at a time.
type Square struct {
	Size int
	Norm *Norm

	r        *Resizer
	src, rgb []uint8
}

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
	if s.r == nil || !s.r.Fits(w, h, s.Size, s.Size) {
		r, err := NewResizer(w, h, s.Size, s.Size)
		if err != nil {
			return nil, err
		}
		s.r = r
		s.src = make([]uint8, 3*w*h)
	}
	RGB(s.src, img)
	s.r.Resize(s.rgb, s.src, 3*w)
	return s.rgb, nil
}
