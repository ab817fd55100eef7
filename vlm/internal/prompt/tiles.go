package prompt

import (
	"image"
	"math"
)

// layouts are the ways to cut a picture, in tiles across and down, in the order in
// which the first of equals is taken.
var layouts = [...]image.Point{{1, 2}, {2, 1}, {2, 2}, {1, 3}, {3, 1}}

// Tiles returns how one picture of width x height pixels becomes several images for
// a tower of side x side inputs (the authors: 448): the whole picture first, then
// its tiles, row by row. The layout is the one of which the picture, scaled to fit,
// leaves the fewest pixels unused; nearly square pictures are cut only if they have
// more than 2 x 2 inputs' pixels. Tiles are equal, so up to two pixels at the right
// and bottom can be in no tile.
func Tiles(width, height, side int) []image.Rectangle {
	list := []image.Rectangle{image.Rect(0, 0, width, height)}
	if width < 1 || height < 1 || side < 1 {
		return list
	}
	best, unused := image.Point{}, math.Inf(1)
	for _, l := range layouts {
		w, h := float64(l.X)*float64(side), float64(l.Y)*float64(side)
		scale := min(w/float64(width), h/float64(height))
		fitted := math.Trunc(float64(width)*scale) * math.Trunc(float64(height)*scale)
		if u := math.Abs(w*h - fitted); u < unused {
			best, unused = l, u
		}
	}
	if best == image.Pt(2, 2) && int64(width)*int64(height) <= 4*int64(side)*int64(side) {
		return list
	}
	w, h := width/best.X, height/best.Y
	for y := range best.Y {
		for x := range best.X {
			list = append(list, image.Rect(x*w, y*h, (x+1)*w, (y+1)*h))
		}
	}
	return list
}
