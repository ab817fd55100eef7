package sim

// Raster on which Coverage counts.
const coverW, coverH = 96, 72

// Coverage counts for each object the pixels of a 96 x 72 raster whose
// centres it covers when alone (full) and when not hidden by others (visible).
// Both slices hold at least len(objs) counts. The counts agree with IDs at
// that size; 6912 pixels make a whole picture.
func Coverage(cam Camera, objs []Object, full, visible []int) {
	var few [8]solid
	solids := few[:0]
	v := newView(cam)
	r := v.rays(coverW, coverH)
	for i := range objs {
		solids = append(solids, solid{})
		solids[i].prepare(&v, &r, coverW, coverH, &objs[i])
	}
	for i := range solids {
		full[i], visible[i] = 0, 0
		s := &solids[i]
		for y := s.y0; y < s.y1; y++ {
			for x := s.x0; x < s.x1; x++ {
				t, surf := s.hit(s.ray.at(float64(x), float64(y)))
				if surf == surfNone {
					continue
				}
				full[i]++
				if !hidden(solids, i, x, y, t) {
					visible[i]++
				}
			}
		}
	}
}

// hidden reports whether another solid is nearer than t at a pixel. Of equal
// depths the first in order wins, as in the picture.
func hidden(solids []solid, i, x, y int, t float64) bool {
	for j := range solids {
		o := &solids[j]
		if j == i || x < o.x0 || x >= o.x1 || y < o.y0 || y >= o.y1 {
			continue
		}
		if d, surf := o.hit(o.ray.at(float64(x), float64(y))); surf != surfNone && (d < t || d == t && j < i) {
			return true
		}
	}
	return false
}
