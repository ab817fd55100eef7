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

// Project returns where the camera sees p: u to the right and v down, both
// -1..1 over the picture, and the depth along the axis of view. Points with
// depth <= 0 are behind the camera and have no meaningful u and v.
func Project(c Camera, p [3]float64) (u, v, depth float64) {
	w := newView(c)
	return w.project(p)
}

// view is the orthogonal frame of a camera. The ray through (u, v) is
// fwd + u*right + v*down, so that its parameter is the depth.
type view struct {
	pos, fwd, right, down [3]float64
	tx, ty                float64 // tangents of the half angles
}

func newView(c Camera) view {
	f := normalize([3]float64{c.Target[0] - c.Pos[0], c.Target[1] - c.Pos[1], c.Target[2] - c.Pos[2]})
	r := normalize([3]float64{f[1], -f[0], 0})
	d := [3]float64{ // f x r: down, because r x f is up
		float64(f[1]*r[2]) - float64(f[2]*r[1]),
		float64(f[2]*r[0]) - float64(f[0]*r[2]),
		float64(f[0]*r[1]) - float64(f[1]*r[0]),
	}
	v := view{pos: c.Pos, fwd: f, tx: c.TanHalf, ty: float64(c.TanHalf * aspect)}
	for i := range r {
		v.right[i] = float64(r[i] * v.tx)
		v.down[i] = float64(d[i] * v.ty)
	}
	return v
}

func (w *view) project(p [3]float64) (u, v, depth float64) {
	d := [3]float64{p[0] - w.pos[0], p[1] - w.pos[1], p[2] - w.pos[2]}
	depth = dot(d, w.fwd)
	u = dot(d, w.right) / float64(float64(w.tx*w.tx)*depth)
	v = dot(d, w.down) / float64(float64(w.ty*w.ty)*depth)
	return u, v, depth
}

// rays gives the direction through each pixel centre of a w x h raster as
// origin + x*dx + y*dy.
type rays struct{ origin, dx, dy [3]float64 }

func (w *view) rays(width, height int) rays {
	var r rays
	iw, ih := 1/float64(width), 1/float64(height)
	for i := range r.origin {
		r.origin[i] = w.fwd[i] + float64(w.right[i]*(iw-1)) + float64(w.down[i]*(ih-1))
		r.dx[i] = float64(w.right[i] * (2 * iw))
		r.dy[i] = float64(w.down[i] * (2 * ih))
	}
	return r
}

func (r *rays) at(x, y float64) [3]float64 {
	var d [3]float64
	for i := range d {
		d[i] = r.origin[i] + float64(x*r.dx[i]) + float64(y*r.dy[i])
	}
	return d
}
