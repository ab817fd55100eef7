package sim

// aspect is the height of every picture over its width. Rasters of another
// shape show the same view, stretched.
const aspect = 0.75

// Cameras returns the four cameras of the room in their fixed order: front,
// side, corner, top.
func Cameras() []Camera {
	target := [3]float64{0, 0, 0.15}
	return []Camera{
		{Name: "front", Pos: [3]float64{0, -3.2, 1.0}, Target: target, TanHalf: 0.42},
		{Name: "side", Pos: [3]float64{3.2, 0, 1.0}, Target: target, TanHalf: 0.42},
		{Name: "corner", Pos: [3]float64{-2.3, 2.3, 1.6}, Target: target, TanHalf: 0.42},
		{Name: "top", Pos: [3]float64{0, -0.6, 3.4}, Target: target, TanHalf: 0.42},
	}
}

// Jitter returns c moved by up to 0.06 and turned to a target moved by up to
// 0.04 along each axis, the same for the same seed and camera name.
func (c Camera) Jitter(seed uint64) Camera {
	h := seed ^ 0x6a69747465720000
	for i := 0; i < len(c.Name); i++ {
		h = mix(h ^ uint64(c.Name[i]))
	}
	for i := range c.Pos {
		c.Pos[i] += float64(0.06 * signed(mix(h+uint64(i))))
		c.Target[i] += float64(0.04 * signed(mix(h+uint64(i)+8)))
	}
	return c
}

// view is the orthogonal frame of a camera. The ray through (u, v) is
// fwd + u*right + v*down, so that its parameter is the depth.
type view struct {
	pos, fwd, right, down vec
	tx, ty                float64 // tangents of the half angles
}

func newView(c Camera) view {
	pos := vec{c.Pos[0], c.Pos[1], c.Pos[2]}
	f := vec{c.Target[0], c.Target[1], c.Target[2]}.sub(pos).unit()
	r := vec{f.y, -f.x, 0}.unit()
	d := vec{ // f x r: down, because r x f is up
		float64(f.y*r.z) - float64(f.z*r.y),
		float64(f.z*r.x) - float64(f.x*r.z),
		float64(f.x*r.y) - float64(f.y*r.x),
	}
	tx, ty := c.TanHalf, float64(c.TanHalf*aspect)
	return view{pos: pos, fwd: f, right: r.mul(tx), down: d.mul(ty), tx: tx, ty: ty}
}

// project returns where p is seen: u to the right and v down, both -1..1 over the
// picture, and the depth along the axis of view. Points with depth <= 0 are
// behind the camera and have no meaningful u and v.
func (w *view) project(p vec) (u, v, depth float64) {
	d := p.sub(w.pos)
	depth = d.dot(w.fwd)
	u = d.dot(w.right) / float64(float64(w.tx*w.tx)*depth)
	v = d.dot(w.down) / float64(float64(w.ty*w.ty)*depth)
	return u, v, depth
}

// rays gives the direction through each pixel centre of a w x h raster as
// origin + y*dy + x*dx.
type rays struct{ origin, dx, dy vec }

func (w *view) rays(width, height int) rays {
	iw, ih := 1/float64(width), 1/float64(height)
	return rays{
		origin: w.fwd.add(w.right.mul(iw - 1)).add(w.down.mul(ih - 1)),
		dx:     w.right.mul(2 * iw),
		dy:     w.down.mul(2 * ih),
	}
}

func (r *rays) row(y float64) vec   { return r.origin.add(r.dy.mul(y)) }
func (r *rays) at(x, y float64) vec { return r.row(y).add(r.dx.mul(x)) }
