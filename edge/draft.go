package edge

import (
	"time"

	"github.com/visualrwkv/edged/camera"
)

// How often pictures are decoded that a draft would do for, so that quality is judged, and of
// a view whose pictures are unfit.
const (
	judgeEvery = time.Second
	unfitEvery = lookAgain
)

// drafts says what has become of a view's picture from drafts: the picture that was judged
// last, plus how the draft has changed since. The picture's own thumb is of samples and the
// draft's of all pixels, so that one says nothing beside the other.
type drafts struct {
	based  bool // base is the draft of the picture that was judged last
	base   thumb
	judged time.Time // when that picture was taken
	looked time.Time // when the newest one was, judged or not
	now    thumb
}

// look returns what the gate compares of a frame, nil when the frame is damaged or unfit for
// the model. A frame that a draft does for is not decoded: see judge.
func (v *view) look(f *camera.Frame) *thumb {
	d, q := &v.drafts, v.quality
	age, pause := f.Time.Sub(d.judged), f.Time.Sub(d.looked)
	d.looked = f.Time
	switch {
	case f.Image != nil || age < 0:
	case q.state != camera.Live && age < unfitEvery:
		v.unfit.Add(1)
		return nil
	case d.based && age < judgeEvery && q.state == camera.Live && q.next == "":
		if draft, ok := f.Draft(); ok && d.now.draft(draft) {
			d.now.move(&q.now.thumb, &d.base)
			return &d.now
		}
	}
	t := v.judge(f)
	// Frames that are as far apart as they are judged need no drafts.
	if t != nil && pause < judgeEvery/2 {
		if draft, ok := f.Draft(); ok {
			d.based = d.base.draft(draft)
		}
	}
	return t
}

// judge makes pixels of a frame and returns what the gate compares, nil when the frame is
// damaged or unfit for the model.
func (v *view) judge(f *camera.Frame) *thumb {
	v.drafts.based, v.drafts.judged = false, f.Time
	if f.Decode() != nil {
		v.damaged.Add(1)
		return nil
	}
	fit := v.quality.judge(f.Image, f.Time)
	v.set(&v.pictures, v.quality.state, v.quality.reason)
	v.thaw(f.Time)
	if !fit {
		v.unfit.Add(1)
		return nil
	}
	return &v.quality.now.thumb
}

// draft sets t from the draft of a picture. It is false when blocks are larger than cells; such
// pictures cost little.
func (t *thumb) draft(d camera.Draft) bool {
	w, h := d.Rect.Dx(), d.Rect.Dy()
	if w < 8*thumbW || h < 8*thumbH {
		return false
	}
	m := d.Image
	for cy := range thumbH {
		y0, y1 := d.Rect.Min.Y+cy*h/thumbH, d.Rect.Min.Y+(cy+1)*h/thumbH
		for cx := range thumbW {
			x0, x1 := d.Rect.Min.X+cx*w/thumbW, d.Rect.Min.X+(cx+1)*w/thumbW
			var luma, blue, red int
			for y := y0 &^ 7; y < y1; y += 8 {
				high := min(y+8, y1) - max(y, y0)
				at, row := m.YOffset(0, y/8), m.COffset(0, y/8)
				for x := x0 &^ 7; x < x1; x += 8 {
					area := high * (min(x+8, x1) - max(x, x0))
					c := row + m.COffset(x/8, 0)
					luma += area * int(m.Y[at+x/8])
					blue += area * int(m.Cb[c])
					red += area * int(m.Cr[c])
				}
			}
			of := 1 / float32((x1-x0)*(y1-y0))
			y, cb, cr := float32(luma)*of, float32(blue)*of-128, float32(red)*of-128
			t[cy*thumbW+cx] = [3]float32{y + 1.402*cr, y - 0.344136*cb - 0.714136*cr, y + 1.772*cb}
		}
	}
	return true
}

// move makes t what has become of from, as base has become t.
func (t *thumb) move(from, base *thumb) {
	for i := range t {
		for c := range 3 {
			t[i][c] += from[i][c] - base[i][c]
		}
	}
}
