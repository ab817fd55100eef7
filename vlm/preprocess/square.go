package preprocess

import (
	"fmt"
	"image"
	"slices"
)

// Square makes of pictures of any size the square input of a tower: RGB, resized.
// It remembers the taps and buffers of the last few source sizes, so that steady
// cameras cost no allocation. It serves one goroutine at a time.
type Square struct {
	size int
	crop bool

	resizers []*Resizer // the one used last first, at most keptSizes
	src      []uint8
}

// keptSizes is how many source sizes a Square remembers: cameras of one scene seldom
// have more.
const keptSizes = 4

// NewSquare returns a Square that resizes straight to size x size, without
// keeping the aspect ratio: spec section 7, for DINO, SigLIP and SAM.
func NewSquare(size int) (*Square, error) { return newSquare(size, false) }

// NewCentre returns a Square that keeps the middle of a picture resized with its
// aspect ratio, as [NewCropper] tells: spec section 7, for CLIP.
func NewCentre(size int) (*Square, error) { return newSquare(size, true) }

func newSquare(size int, crop bool) (*Square, error) {
	if size < 1 || size > maxSide {
		return nil, fmt.Errorf("tower input side %d outside 1..%d", size, maxSide)
	}
	return &Square{size: size, crop: crop}, nil
}

// Bytes returns the length of a result, 3*size*size.
func (s *Square) Bytes() int { return 3 * s.size * s.size }

// RGB writes img to dst, packed. Pictures that are empty or larger than 16384 on a
// side are an error; a dst of the wrong length panics.
func (s *Square) RGB(dst []uint8, img image.Image) error {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w == s.size && h == s.size {
		RGB(dst, img)
		return nil
	}
	r, err := s.resizer(w, h)
	if err != nil {
		return err
	}
	if m, ok := img.(rowsRGB); ok {
		pix, stride := m.RowsRGB()
		r.Resize(dst, pix, stride)
		return nil
	}
	if n := 3 * w * h; cap(s.src) < n {
		s.src = make([]uint8, n)
	}
	src := s.src[:3*w*h]
	RGB(src, img)
	r.Resize(dst, src, 3*w)
	return nil
}

// resizer returns the one from w x h, made if it is not among the last few.
func (s *Square) resizer(w, h int) (*Resizer, error) {
	i := slices.IndexFunc(s.resizers, func(r *Resizer) bool { return r.Fits(w, h, s.size, s.size) })
	if i == 0 {
		return s.resizers[0], nil
	}
	var r *Resizer
	if i > 0 {
		r = s.resizers[i]
	} else {
		var err error
		if s.crop {
			r, err = NewCropper(w, h, s.size)
		} else {
			r, err = NewResizer(w, h, s.size, s.size)
		}
		if err != nil {
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
