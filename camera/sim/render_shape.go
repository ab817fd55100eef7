package sim

import "math"

// Sizes of the solids, in units of the room.
const (
	ballR         = 0.17
	boxHalf, boxH = 0.18, 0.48
	coneR, coneH  = 0.18, 0.40
	canR, canH    = 0.185, 0.52

	legR, legY, legH      = 0.052, 0.056, 0.32
	torsoX, torsoY        = 0.095, 0.112
	torsoLow, torsoHigh   = 0.29, 0.53
	shoulderZ             = 0.055
	armR, armY, armLow    = 0.033, 0.128, 0.29
	armHigh               = 0.53
	headR, headZ, personH = 0.088, 0.662, 0.75
)

// extent returns the radius and the height of a cylinder around a solid.
func extent(s Shape) (r, h float64) {
	switch s {
	case Ball:
		return ballR, 2 * ballR
	case Box:
		return boxHalf * 1.41422, boxH
	case Cone:
		return coneR, coneH
	case Can:
		return canR, canH
	}
	return armY + armR, personH
}

// Surfaces of the solids, at most 15. Two neighbouring pixels with different
// surfaces lie on an edge, which is drawn from several samples.
const (
	surfNone uint8 = iota
	surfSide
	surfTop
	surfX
	surfY
	surfLeg0
	surfLeg1
	surfTorso
	surfShoulder
	surfArm0
	surfArm1
	surfHead
)

// solid is an object prepared for one camera and raster. All vectors are in
// the frame of the object: its foot at the origin, turned by its heading, so
// that it faces +x.
type solid struct {
	shape          Shape
	color          Color
	cos, sin       float64
	o              vec // the camera
	ray            rays
	x0, y0, x1, y1 int // pixels that can see it, x1 and y1 excluded
}

func (s *solid) prepare(v *view, r *rays, w, h int, ob *Object) {
	s.shape, s.color = ob.Shape, ob.Color
	s.sin, s.cos = 0, 1
	if ob.Shape == Box || ob.Shape == Person {
		s.sin, s.cos = sincos(ob.Face)
	}
	s.o = s.turn(v.pos.sub(vec{ob.X, ob.Y, 0}))
	s.ray = rays{s.turn(r.origin), s.turn(r.dx), s.turn(r.dy)}

	rad, height := extent(ob.Shape)
	rx, ry := rad, rad
	switch ob.Shape {
	case Box:
		rx, ry = boxHalf, boxHalf
	case Person:
		rx = torsoX
	}
	minU, minV, maxU, maxV := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i := range 8 {
		x, y, z := rx, ry, height
		if i&1 != 0 {
			x = -x
		}
		if i&2 != 0 {
			y = -y
		}
		if i&4 != 0 {
			z = 0
		}
		u, vv, depth := v.project(vec{
			ob.X + float64(s.cos*x) - float64(s.sin*y),
			ob.Y + float64(s.sin*x) + float64(s.cos*y), z})
		if depth < 0.05 { // at the camera: no useful bound
			minU, minV, maxU, maxV = -1, -1, 1, 1
			break
		}
		minU, maxU = min(minU, u), max(maxU, u)
		minV, maxV = min(minV, vv), max(maxV, vv)
	}
	s.x0, s.x1 = pixels(minU, maxU, w)
	s.y0, s.y1 = pixels(minV, maxV, h)
}

// pixels returns the range of pixels from a to b (-1..1 over n pixels), one
// more on either side for samples off the centre.
func pixels(a, b float64, n int) (int, int) {
	k := 0.5 * float64(n)
	lo := math.Floor(float64((a+1)*k)) - 1
	hi := math.Floor(float64((b+1)*k)) + 2
	return int(min(max(lo, 0), float64(n))), int(min(max(hi, 0), float64(n)))
}

// turn takes a vector from the room to the frame of the solid.
func (s *solid) turn(a vec) vec {
	return vec{
		float64(s.cos*a.x) + float64(s.sin*a.y),
		float64(s.cos*a.y) - float64(s.sin*a.x),
		a.z,
	}
}

// hit returns the depth at which the ray with direction d meets the solid and
// the surface it meets there, surfNone for a miss.
func (s *solid) hit(d vec) (float64, uint8) {
	switch s.shape {
	case Ball:
		if t, ok := sphere(s.o, d, ballR, ballR); ok {
			return t, surfSide
		}
		return 0, surfNone
	case Box:
		return hitBox(s.o, d)
	case Cone:
		return hitCone(s.o, d)
	case Can:
		return hitCan(s.o, d)
	}
	return hitPerson(s.o, d)
}

// sphere meets the sphere of radius r around height z.
func sphere(o, d vec, z, r float64) (float64, bool) {
	o.z -= z
	a, b := d.dot(d), o.dot(d)
	q := float64(b*b) - float64(a*(o.dot(o)-float64(r*r)))
	if q < 0 {
		return 0, false
	}
	return (-b - math.Sqrt(q)) / a, true
}

// tube meets an endless upright cylinder of radius r. A ray that starts inside
// it meets it behind its start, and a vertical one at an endless height.
func tube(o, d vec, r float64) (t, z float64, ok bool) {
	a := float64(d.x*d.x) + float64(d.y*d.y)
	b := float64(o.x*d.x) + float64(o.y*d.y)
	c := float64(o.x*o.x) + float64(o.y*o.y) - float64(r*r)
	q := float64(b*b) - float64(a*c)
	if q < 0 {
		return 0, 0, false
	}
	if a < 1e-12 {
		return 0, math.Inf(1), c < 0
	}
	t = (-b - math.Sqrt(q)) / a
	return t, o.z + float64(t*d.z), true
}

func hitCan(o, d vec) (float64, uint8) {
	t, z, ok := tube(o, d, canR)
	switch {
	case !ok || z < 0:
		return 0, surfNone
	case z <= canH:
		return t, surfSide
	case d.z >= 0:
		return 0, surfNone
	}
	t = (canH - o.z) / d.z
	x, y := o.x+float64(t*d.x), o.y+float64(t*d.y)
	if float64(x*x)+float64(y*y) > canR*canR {
		return 0, surfNone
	}
	return t, surfTop
}

func hitCone(o, d vec) (float64, uint8) {
	const k = (coneR / coneH) * (coneR / coneH)
	w := o.z - coneH
	a := float64(d.x*d.x) + float64(d.y*d.y) - float64(k*float64(d.z*d.z))
	b := float64(o.x*d.x) + float64(o.y*d.y) - float64(k*float64(w*d.z))
	c := float64(o.x*o.x) + float64(o.y*o.y) - float64(k*float64(w*w))
	q := float64(b*b) - float64(a*c)
	if q < 0 || a == 0 {
		return 0, surfNone
	}
	q = math.Sqrt(q)
	t0, t1 := (-b-q)/a, (-b+q)/a
	if a < 0 {
		t0, t1 = t1, t0
	}
	// One of the two may lie on the mirror image above the tip.
	if z := o.z + float64(t0*d.z); t0 > 0 && z >= 0 && z <= coneH {
		return t0, surfSide
	}
	if z := o.z + float64(t1*d.z); t1 > 0 && z >= 0 && z <= coneH {
		return t1, surfSide
	}
	return 0, surfNone
}

func hitBox(o, d vec) (float64, uint8) {
	ix, iy, iz := inverse(d.x), inverse(d.y), inverse(d.z)
	hx, hy, hz := math.Abs(float64(boxHalf*ix)), math.Abs(float64(boxHalf*iy)), math.Abs(float64(boxH/2*iz))
	mx, my, mz := float64(-o.x*ix), float64(-o.y*iy), float64((boxH/2-o.z)*iz)
	near, surf := mx-hx, surfX
	if t := my - hy; t > near {
		near, surf = t, surfY
	}
	if t := mz - hz; t > near {
		near, surf = t, surfTop
	}
	if !(near <= mx+hx && near <= my+hy && near <= mz+hz) || near <= 0 {
		return 0, surfNone
	}
	return near, surf
}

// inverse keeps clear of infinities, whose differences are no numbers.
func inverse(x float64) float64 {
	if x == 0 {
		return 1e30
	}
	return 1 / x
}

// A person is met part by part; the torso is a circle stretched along y, its
// shoulders half of an ellipsoid.
func hitPerson(o, d vec) (float64, uint8) {
	best, surf := math.Inf(1), surfNone
	// Where the ray passes the axis of the body, and how far its height changes
	// within the radius of the body, tell which parts it can meet.
	const rad = armY + armR
	a := float64(d.x*d.x) + float64(d.y*d.y) + 1e-12
	b := (float64(o.x*d.x) + float64(o.y*d.y)) / a
	if c := float64(o.x*o.x) + float64(o.y*o.y); c-float64(b*float64(b*a)) > rad*rad*1.0001 {
		return 0, surfNone
	}
	z, spread := o.z-float64(b*d.z), float64(rad*math.Abs(d.z))/math.Sqrt(a)+1e-6
	low, high := z-spread, z+spread
	if high < 0 || low > personH {
		return 0, surfNone
	}
	if high > headZ-headR {
		if t, ok := sphere(o, d, headZ, headR); ok {
			best, surf = t, surfHead
		}
	}
	if high > armLow && low < torsoHigh+shoulderZ {
		best, surf = hitTrunk(o, d, best, surf)
	}
	if low < legH {
		if t, z, ok := tube(vec{o.x, o.y + legY, o.z}, d, legR); ok && t < best && z >= 0 && z <= legH {
			best, surf = t, surfLeg0
		}
		if t, z, ok := tube(vec{o.x, o.y - legY, o.z}, d, legR); ok && t < best && z >= 0 && z <= legH {
			best, surf = t, surfLeg1
		}
	}
	return best, surf
}

// hitTrunk adds torso, shoulders and arms to the nearest hit so far.
func hitTrunk(o, d vec, best float64, surf uint8) (float64, uint8) {
	const ky, kz = torsoX / torsoY, torsoX / shoulderZ
	so, sd := vec{o.x, float64(o.y * ky), o.z}, vec{d.x, float64(d.y * ky), d.z}
	if t, z, ok := tube(so, sd, torsoX); ok {
		if z >= torsoLow && z <= torsoHigh {
			if t < best {
				best, surf = t, surfTorso
			}
		} else if z > torsoHigh {
			so.z, sd.z = float64((o.z-torsoHigh)*kz), float64(d.z*kz)
			if t, ok := sphere(so, sd, 0, torsoX); ok && t < best {
				best, surf = t, surfShoulder
			}
		}
	}
	if t, ok := hitArm(vec{o.x, o.y + armY, o.z}, d); ok && t < best {
		best, surf = t, surfArm0
	}
	if t, ok := hitArm(vec{o.x, o.y - armY, o.z}, d); ok && t < best {
		best, surf = t, surfArm1
	}
	return best, surf
}

func hitArm(o, d vec) (float64, bool) {
	t, z, ok := tube(o, d, armR)
	if !ok || z < armLow {
		return 0, false
	}
	if z > armHigh {
		return sphere(o, d, armHigh, armR)
	}
	return t, true
}
