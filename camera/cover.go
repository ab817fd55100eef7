package camera

import (
	"context"
	"fmt"
	"image"
	"image/draw"
	"math"
)

// Area is a part of a picture: its left, top, right and bottom edges as fractions of width
// and height, so that it stays where it is when a camera changes its size.
type Area [4]float64

// within returns the pixels of the area in r; those that it touches belong to it.
func (a Area) within(r image.Rectangle) image.Rectangle {
	w, h := float64(r.Dx()), float64(r.Dy())
	return image.Rect(
		r.Min.X+int(math.Floor(a[0]*w)), r.Min.Y+int(math.Floor(a[1]*h)),
		r.Min.X+int(math.Ceil(a[2]*w)), r.Min.Y+int(math.Ceil(a[3]*h)),
	).Intersect(r)
}

func (a Area) check() error {
	for i, v := range a {
		if !(v >= 0 && v <= 1) || i >= 2 && v <= a[i-2] {
			return fmt.Errorf("area %v: want left, top, right, bottom between 0 and 1", [4]float64(a))
		}
	}
	return nil
}

// covered is a source of which not everything may be seen.
type covered struct {
	Source
	masks  []Area
	region Area
	frames *Pool[coveredFrame]
}

// coveredFrame makes pixels, and a draft, of a frame of which not everything may be seen.
type coveredFrame struct {
	Frame
	decode func() (image.Image, error)
	draft  func() (Draft, bool)
	free   func()
}

// Cover returns src with the masks painted black and all but the region cut away; the zero
// region keeps all. Masks are in fractions of the whole picture, not of the region. It is
// done where pixels are made, and drafts, so that nothing that is given a frame can see,
// store or encode what is masked. Closing the result closes src.
func Cover(src Source, masks []Area, region Area) (Source, error) {
	if region == (Area{}) {
		region = Area{0, 0, 1, 1}
	}
	for _, a := range append([]Area{region}, masks...) {
		if err := a.check(); err != nil {
			return nil, err
		}
	}
	c := &covered{Source: src, masks: masks, region: region}
	c.frames = NewPool(func(free func()) *coveredFrame {
		f := &coveredFrame{}
		f.decode = func() (image.Image, error) {
			if err := f.Decode(); err != nil {
				return nil, err
			}
			return cover(f.Image, c.masks, c.region), nil
		}
		f.draft = func() (Draft, bool) {
			d, ok := f.Draft()
			if ok {
				c.coverDraft(&d)
			}
			return d, ok
		}
		f.free = func() {
			f.Release()
			f.Frame = Frame{}
			free()
		}
		return f
	})
	return c, nil
}

// Next implements [Source].
func (c *covered) Next(ctx context.Context) (Frame, error) {
	f, err := c.Source.Next(ctx)
	if err != nil {
		return f, err
	}
	cf := c.frames.Take()
	cf.Frame = f
	g := NewLazyFrame(c.region.within(image.Rectangle{Max: f.Size}).Size(), cf.decode, f.Time, f.Seq, cf.free)
	if f.draft != nil {
		g.draft = cf.draft
	}
	return g, nil
}

// coverDraft paints every block that is masked in part, or lies beyond the region in part.
func (c *covered) coverDraft(d *Draft) {
	for _, a := range c.masks {
		blackYCbCr(d.Image, blocks(a.within(d.Rect)).Intersect(d.Image.Rect))
	}
	r, all := c.region.within(d.Rect), d.Image.Rect
	for _, beyond := range []image.Rectangle{
		{d.Rect.Min, image.Pt(d.Rect.Max.X, r.Min.Y)}, {image.Pt(d.Rect.Min.X, r.Max.Y), d.Rect.Max},
		{d.Rect.Min, image.Pt(r.Min.X, d.Rect.Max.Y)}, {image.Pt(r.Max.X, d.Rect.Min.Y), d.Rect.Max},
	} {
		if !beyond.Empty() {
			blackYCbCr(d.Image, blocks(beyond).Intersect(all))
		}
	}
	d.Rect = r
}

// blocks returns the blocks of a draft that r touches.
func blocks(r image.Rectangle) image.Rectangle {
	return image.Rect(r.Min.X/8, r.Min.Y/8, (r.Max.X+7)/8, (r.Max.Y+7)/8)
}

// Cover does to the Image of a frame what [Cover] does to those of a source. The frame has no
// draft any more, which would show what is covered. Areas must be right.
func (f *Frame) Cover(masks []Area, region Area) {
	if region == (Area{}) {
		region = Area{0, 0, 1, 1}
	}
	f.Image = cover(f.Image, masks, region)
	f.Size, f.draft = f.Image.Bounds().Size(), nil
}

// cover paints and cuts. Pixels are painted where they lie where that is possible: they are
// their frame's until it is released.
func cover(img image.Image, masks []Area, region Area) image.Image {
	b := img.Bounds()
	for _, a := range masks {
		r := a.within(b)
		switch m := img.(type) {
		case *image.YCbCr:
			blackYCbCr(m, r)
		case *RGB:
			blackRGB(m, r)
		case draw.Image:
			draw.Draw(m, r, image.Black, image.Point{}, draw.Src)
		default:
			copied := image.NewRGBA(b)
			draw.Draw(copied, b, img, b.Min, draw.Src)
			draw.Draw(copied, r, image.Black, image.Point{}, draw.Src)
			img = copied
		}
	}
	r := region.within(b)
	if r == b {
		return img
	}
	if m, ok := img.(interface {
		SubImage(image.Rectangle) image.Image
	}); ok {
		return m.SubImage(r)
	}
	cut := image.NewRGBA(r)
	draw.Draw(cut, r, img, r.Min, draw.Src)
	return cut
}

// blackRGB blackens r. Raw pixels shared their colour by twos with neighbours on each side;
// what they gave them of it goes too.
func blackRGB(m *RGB, r image.Rectangle) {
	if r.Empty() {
		return
	}
	at := m.Rect.Min // whose pixels are even in the camera's count
	r = r.Sub(at)
	r = image.Rect(r.Min.X&^1, r.Min.Y&^1, (r.Max.X+1)&^1, (r.Max.Y+1)&^1).Add(at).Intersect(m.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		clear(m.Pix[m.offset(r.Min.X, y):][:3*r.Dx()])
	}
}

// blackYCbCr blackens r. Colour that its pixels share with neighbours goes too.
func blackYCbCr(m *image.YCbCr, r image.Rectangle) {
	if r.Empty() {
		return
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		clear(m.Y[m.YOffset(r.Min.X, y):][:r.Dx()])
		from, to := m.COffset(r.Min.X, y), m.COffset(r.Max.X-1, y)+1
		for i := from; i < to; i++ {
			m.Cb[i], m.Cr[i] = 128, 128
		}
	}
}
