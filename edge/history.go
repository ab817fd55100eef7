package edge

import (
	"math"
	"slices"
	"time"
)

// history is the least detail that each place of a view had in the last half hour or hour:
// that of the background, which stays when what stands before it comes and goes.
type history struct {
	least  [2]detail // of two half hours, this one and the one before
	began  time.Time // this half hour
	first  time.Time // of all
	seen   int       // pictures learned
	losing time.Time // since when detail is lost; zero: it is not
}

const (
	halfHour = 30 * time.Minute
	grownUp  = time.Minute // and as many pictures as follow, before anything is said
	enough   = 20

	fewCells   = 12  // with detail are too few to say anything
	lostFactor = 4   // less is lost detail: a blur of 2 pixels in 320 leaves a sixth of an edge's
	lostMost   = 0.7 // of these cells lost is blurred,
	lostMuch   = 0.5 // as long as not less is; of such pictures nothing is learned
	giveIn     = time.Hour
)

// lost returns the share of the places with detail that lost it in this picture, when that
// makes it blurred, else 0. was says that the view has been. Where other places have as
// much detail instead, the camera was turned, and its history begins anew. So does that of
// a view that stays blurred for an hour.
func (h *history) lost(l *look, at time.Time, was bool) float64 {
	now, sure := detailOf(l)
	if h.seen == 0 {
		h.least = [2]detail{now, now}
		h.began, h.first = at, at
	}
	before := h.least[0].min(&h.least[1])
	lost, of, sum := 0, 0, float32(0)
	for i, d := range before {
		if d >= sure {
			of++
			sum += d
			if now[i] < d/lostFactor {
				lost++
			}
		}
	}
	share := float64(lost) / float64(max(of, 1))
	if of < fewCells || share < lostMuch {
		h.losing = time.Time{}
		h.learn(&now, at)
		return 0
	}
	if h.losing.IsZero() {
		h.losing = at
	}
	typical := sum / float32(of) / lostFactor
	if turned := 2*now.above(typical) >= before.above(typical); turned || at.Sub(h.losing) >= giveIn {
		*h = history{}
		return 0
	}
	if h.seen < enough || at.Sub(h.first) < grownUp || share < lostMost && !was {
		return 0
	}
	return share
}

// learn takes in a picture that is as sharp as it was.
func (h *history) learn(now *detail, at time.Time) {
	h.seen++
	if at.Sub(h.began) >= halfHour {
		h.least[1], h.least[0], h.began = h.least[0], *now, at
		return
	}
	h.least[0] = h.least[0].min(now)
}

// detail says of each cell how much neighbouring pixels differ, beyond their noise and as a
// share of the picture's contrast, so that neither the light nor the gain of the camera
// counts.
type detail [cells]float32

// detailOf also returns what is detail beyond doubt in this picture. The contrast is the
// variance between the cells, which no blur changes.
func detailOf(l *look) (d detail, sure float32) {
	var sum, squares float32
	flat := make([]float32, 0, cells)
	for i, c := range l.thumb {
		v := 0.299*c[0] + 0.587*c[1] + 0.114*c[2]
		sum += v
		squares += v * v
		if v >= black && v < white {
			flat = append(flat, l.detail[i])
		}
	}
	mean := sum / cells
	scale := 1 / max(squares/cells-mean*mean, 1)
	noise := noiseOf(flat)
	for i, v := range l.detail {
		d[i] = max(v-2*noise, 0) * scale
	}
	return d, 4 * noise * scale
}

// noiseOf is what neighbours differ by in the flattest tenth of the cells, which are neither
// black, as masks are, nor white. It is not less than what rounding to 8 bits makes.
func noiseOf(cells []float32) float32 {
	slices.Sort(cells)
	if len(cells) == 0 {
		return math.MaxFloat32
	}
	return max(cells[len(cells)/10], 0.25)
}

func (d detail) min(o *detail) detail {
	for i := range d {
		d[i] = min(d[i], o[i])
	}
	return d
}

func (d *detail) above(v float32) (n int) {
	for _, c := range d {
		if c >= v {
			n++
		}
	}
	return n
}
