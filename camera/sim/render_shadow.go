package sim

import "math"

// shadow darkens the floor around and behind one object.
func (r *Renderer) shadow(p *plate, ob *Object) {
	rad, height := extent(ob.Shape)
	taper := 0.15
	switch ob.Shape {
	case Ball:
		height = 1.5 * ballR
	case Box:
		rad = boxHalf * 1.1
	case Cone:
		taper = 0.95
	case Person:
		rad, height = 0.115, 0.68
	}
	st := &r.style
	length := min(float64(height*st.slen), 0.7)
	// Along the floor, away from the light.
	k := -1 / math.Sqrt(float64(st.light.x*st.light.x)+float64(st.light.y*st.light.y))
	lx, ly := float64(st.light.x*k), float64(st.light.y*k)
	reach := float64(rad * 2.1)
	x0, x1, y0, y1 := p.floorBox(ob.X, ob.Y, ob.X+float64(lx*length), ob.Y+float64(ly*length), reach, r.w, r.h)

	ex, ey := float32(ob.X), float32(ob.Y)
	dx, dy := float32(lx), float32(ly)
	full, invLen := float32(length), float32(1/length)
	near := float32(1 / float64(reach*reach))
	rf, tf, strong := float32(rad), float32(taper), float32(st.shadowX)
	for y := y0; y < y1; y++ {
		floor := p.floor[y*r.w : (y+1)*r.w]
		row := r.buf[y*r.w*3 : (y+1)*r.w*3]
		for x := x0; x < x1; x++ {
			ax, ay := floor[x][0]-ex, floor[x][1]-ey
			d2 := float32(ax*ax) + float32(ay*ay)
			light := float32(1)
			if q := 1 - float32(d2*near); q > 0 {
				light -= float32(0.5 * float32(q*q))
			}
			a := float32(ax*dx) + float32(ay*dy)
			a = min(max(a, 0), full)
			s := float32(a * invLen)
			bx, by := ax-float32(a*dx), ay-float32(a*dy)
			w := float32(rf*(1-float32(tf*s))) + 0.03 + float32(0.06*s)
			if q := 1 - (float32(bx*bx)+float32(by*by))/float32(w*w); q > 0 {
				q = min(float32(q*2.2), 1)
				light = float32(light * (1 - float32(float32(strong*q)*(1-float32(0.55*s)))))
			}
			if light < 1 {
				m := uint32(float32(light * 4096))
				c := row[3*x : 3*x+3 : 3*x+3]
				c[0] = uint16(uint32(c[0]) * m >> 12)
				c[1] = uint16(uint32(c[1]) * m >> 12)
				c[2] = uint16(uint32(c[2]) * m >> 12)
			}
		}
	}
}

// floorBox bounds the pixels that see the floor within reach of a segment.
func (p *plate) floorBox(ax, ay, bx, by, reach float64, w, h int) (x0, x1, y0, y1 int) {
	minU, minV, maxU, maxV := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	xs := [2]float64{min(ax, bx) - reach, max(ax, bx) + reach}
	ys := [2]float64{min(ay, by) - reach, max(ay, by) + reach}
	for _, x := range xs {
		for _, y := range ys {
			u, v, depth := p.view.project(vec{x, y, 0})
			if depth < 0.05 {
				return 0, w, 0, h
			}
			minU, maxU = min(minU, u), max(maxU, u)
			minV, maxV = min(minV, v), max(maxV, v)
		}
	}
	x0, x1 = pixels(minU, maxU, w)
	y0, y1 = pixels(minV, maxV, h)
	return x0, x1, y0, y1
}
