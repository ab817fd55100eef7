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
	surfX0
	surfX1
	surfY0
	surfY1
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
	o              [3]float64 // the camera
	ray            rays
	x0, y0, x1, y1 int // pixels that can see it, x1 and y1 excluded
}

func (s *solid) prepare(v *view, r *rays, w, h int, ob *Object) {
	s.shape, s.color = ob.Shape, ob.Color
	s.sin, s.cos = 0, 1
	if ob.Shape == Box || ob.Shape == Person {
		s.sin, s.cos = sincos(ob.Face)
	}
	s.o = s.turn([3]float64{v.pos[0] - ob.X, v.pos[1] - ob.Y, v.pos[2]})
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
		u, vv, depth := v.project([3]float64{
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
func (s *solid) turn(a [3]float64) [3]float64 {
	return [3]float64{
		float64(s.cos*a[0]) + float64(s.sin*a[1]),
		float64(s.cos*a[1]) - float64(s.sin*a[0]),
		a[2],
	}
}

// hit returns the depth at which the ray with direction d meets the solid and
// the surface it meets there, surfNone for a miss.
func (s *solid) hit(d [3]float64) (float64, uint8) {
	switch s.shape {
	case Ball:
		if t, ok := sphere(s.o, d, ballR, ballR); ok {
			return t, surfSide
		}
		return 0, surfNone
	case Box:
		return s.hitBox(d)
	case Cone:
		return s.hitCone(d)
	case Can:
		if t, z, ok := tube(s.o[0], s.o[1], s.o[2], d[0], d[1], d[2], canR); ok {
			if z >= 0 && z <= canH {
				return t, surfSide
			}
			if t, ok := lid(s.o, d, canR, canH); ok {
				return t, surfTop
			}
		}
		return 0, surfNone
	}
	return s.hitPerson(d)
}

func sphere(o, d [3]float64, z, r float64) (float64, bool) {
	oz := o[2] - z
	b := float64(o[0]*d[0]) + float64(o[1]*d[1]) + float64(oz*d[2])
	c := float64(o[0]*o[0]) + float64(o[1]*o[1]) + float64(oz*oz) - float64(r*r)
	a := dot(d, d)
	q := float64(b*b) - float64(a*c)
	if q < 0 {
		return 0, false
	}
	return (-b - math.Sqrt(q)) / a, true
}

// tube meets an endless upright cylinder; ok also when the ray starts inside
// it, with a height above every lid that the ray can come through.
func tube(ox, oy, oz, dx, dy, dz, r float64) (t, z float64, ok bool) {
	a := float64(dx*dx) + float64(dy*dy)
	b := float64(ox*dx) + float64(oy*dy)
	c := float64(ox*ox) + float64(oy*oy) - float64(r*r)
	q := float64(b*b) - float64(a*c)
	if q < 0 || a < 1e-12 {
		return 0, math.Inf(1), c < 0
	}
	t = (-b - math.Sqrt(q)) / a
	return t, oz + float64(t*dz), true
}

// lid meets the disc of radius r at height z from above.
func lid(o, d [3]float64, r, z float64) (float64, bool) {
	if d[2] >= 0 || o[2] <= z {
		return 0, false
	}
	t := (z - o[2]) / d[2]
	x, y := o[0]+float64(t*d[0]), o[1]+float64(t*d[1])
	return t, float64(x*x)+float64(y*y) <= r*r
}

func (s *solid) hitCone(d [3]float64) (float64, uint8) {
	const k = (coneR / coneH) * (coneR / coneH)
	w := s.o[2] - coneH
	a := float64(d[0]*d[0]) + float64(d[1]*d[1]) - float64(k*float64(d[2]*d[2]))
	b := float64(s.o[0]*d[0]) + float64(s.o[1]*d[1]) - float64(k*float64(w*d[2]))
	c := float64(s.o[0]*s.o[0]) + float64(s.o[1]*s.o[1]) - float64(k*float64(w*w))
	q := float64(b*b) - float64(a*c)
	if q < 0 || a == 0 {
		return 0, surfNone
	}
	q = math.Sqrt(q)
	t0, t1 := (-b-q)/a, (-b+q)/a
	if t0 > t1 {
		t0, t1 = t1, t0
	}
	if z := s.o[2] + float64(t0*d[2]); t0 > 0 && z >= 0 && z <= coneH {
		return t0, surfSide
	}
	if z := s.o[2] + float64(t1*d[2]); t1 > 0 && z >= 0 && z <= coneH {
		return t1, surfSide
	}
	return 0, surfNone
}

func (s *solid) hitBox(d [3]float64) (float64, uint8) {
	near, far, surf := 0.0, math.Inf(1), surfNone
	for i, lim := range [3][2]float64{{-boxHalf, boxHalf}, {-boxHalf, boxHalf}, {0, boxH}} {
		if d[i] == 0 {
			if s.o[i] < lim[0] || s.o[i] > lim[1] {
				return 0, surfNone
			}
			continue
		}
		a, b := (lim[0]-s.o[i])/d[i], (lim[1]-s.o[i])/d[i]
		face := boxFaces[i][0]
		if a > b {
			a, b = b, a
			face = boxFaces[i][1]
		}
		if a > near {
			near, surf = a, face
		}
		far = min(far, b)
	}
	if near > far {
		return 0, surfNone
	}
	return near, surf
}

var boxFaces = [3][2]uint8{{surfX0, surfX1}, {surfY0, surfY1}, {surfSide, surfTop}}

func (s *solid) hitPerson(d [3]float64) (float64, uint8) {
	best, surf := math.Inf(1), surfNone
	ox, oy, oz := s.o[0], s.o[1], s.o[2]
	if t, ok := sphere(s.o, d, headZ, headR); ok {
		best, surf = t, surfHead
	}
	for i, y := range [2]float64{-legY, legY} {
		if t, z, ok := tube(ox, oy-y, oz, d[0], d[1], d[2], legR); ok && t < best && z >= 0 && z <= legH {
			best, surf = t, surfLeg0+uint8(i)
		}
	}
	for i, y := range [2]float64{-armY, armY} {
		if t, z, ok := tube(ox, oy-y, oz, d[0], d[1], d[2], armR); ok {
			if t < best && z >= armLow && z <= armHigh {
				best, surf = t, surfArm0+uint8(i)
			} else if z > armHigh {
				if t, ok := sphere([3]float64{ox, oy - y, oz}, d, armHigh, armR); ok && t < best {
					best, surf = t, surfArm0+uint8(i)
				}
			}
		}
	}
	// The torso is a circle stretched by torsoY / torsoX along y.
	const k = torsoX / torsoY
	ky, kd := float64(oy*k), float64(d[1]*k)
	if t, z, ok := tube(ox, ky, oz, d[0], kd, d[2], torsoX); ok {
		if t < best && z >= torsoLow && z <= torsoHigh {
			best, surf = t, surfTorso
		} else if z > torsoHigh {
			const kz = torsoX / shoulderZ
			o := [3]float64{ox, ky, float64((oz - torsoHigh) * kz)}
			if t, ok := sphere(o, [3]float64{d[0], kd, float64(d[2] * kz)}, 0, torsoX); ok && t < best {
				best, surf = t, surfShoulder
			}
		}
	}
	return best, surf
}
