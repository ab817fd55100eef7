package sim

import "math"

// lamp is the light of the room in the frame of one solid, for one picture.
type lamp struct {
	dir               [3]float64
	key, above, below [3]float64
}

func (s *style) lampFor(so *solid) lamp {
	return lamp{dir: so.turn(s.light), key: s.key, above: s.above, below: s.below}
}

var (
	skin     = rgb(216, 168, 140)
	hair     = rgb(58, 44, 36)
	trousers = rgb(58, 62, 76)
	shoes    = rgb(44, 38, 36)
	metal    = rgb(176, 178, 182)
	eye      = rgb(40, 34, 34)
)

// shade returns the light that the solid sends back along the ray d, met at
// depth t on the given surface.
func (s *solid) shade(l *lamp, d [3]float64, t float64, surf uint8) [3]float64 {
	p := [3]float64{s.o[0] + float64(t*d[0]), s.o[1] + float64(t*d[1]), s.o[2] + float64(t*d[2])}
	c := paint(s.color)
	var n [3]float64
	gloss := 0.0
	switch s.shape {
	case Ball:
		n = scale([3]float64{p[0], p[1], p[2] - ballR}, 1/ballR)
		gloss = 0.45
	case Box:
		n, c = boxSurface(p, c, surf)
	case Cone:
		const slope = coneR / coneH
		rad := math.Sqrt(float64(p[0]*p[0]) + float64(p[1]*p[1]))
		n = [3]float64{0, 0, 1}
		if rad > 1e-6 {
			k := coneCos / rad
			n = [3]float64{float64(p[0] * k), float64(p[1] * k), slope * coneCos}
		}
		gloss = 0.12
	case Can:
		if surf == surfTop {
			n = [3]float64{0, 0, 1}
			if r2 := float64(p[0]*p[0]) + float64(p[1]*p[1]); r2 > 0.8*canR*canR {
				c = metal
			} else if r2 > 0.66*canR*canR {
				c = scale(c, 0.7)
			}
		} else {
			n = [3]float64{p[0] / canR, p[1] / canR, 0}
			if p[2] < 0.022 || p[2] > canH-0.03 {
				c = metal
			}
		}
		gloss = 0.4
	default:
		n, c = s.personSurface(p, c, surf)
	}
	return l.apply(n, c, d, p[2], gloss)
}

// coneCos is the cosine of the slope of the cone's normal against the floor.
var coneCos = coneH / math.Sqrt(coneH*coneH+coneR*coneR)

func boxSurface(p, c [3]float64, surf uint8) (n, out [3]float64) {
	var u, v, w float64
	switch surf {
	case surfX0, surfX1:
		n[0] = 1
		if surf == surfX0 {
			n[0] = -1
		}
		u, v, w = p[1], p[2]-boxH/2, boxHalf
	case surfY0, surfY1:
		n[1] = 1
		if surf == surfY0 {
			n[1] = -1
		}
		u, v, w = p[0], p[2]-boxH/2, boxHalf
	default:
		n[2] = 1
		u, v, w = p[0], p[1], boxHalf
	}
	// A bevel: edges a little darker.
	e := w - max(math.Abs(u), math.Abs(v))
	return n, scale(c, 0.8+float64(0.2*smooth(0, 0.025, e)))
}

func (s *solid) personSurface(p, c [3]float64, surf uint8) (n, out [3]float64) {
	switch surf {
	case surfHead:
		n = scale([3]float64{p[0], p[1], p[2] - headZ}, 1/headR)
		switch {
		case n[2]+float64(-0.75*n[0]) > 0.12:
			return n, hair
		case n[0] > 0.8 && math.Abs(n[2]-0.05) < 0.13 && math.Abs(math.Abs(n[1])-0.36) < 0.11:
			return n, eye
		}
		return n, skin
	case surfLeg0, surfLeg1:
		y := legY
		if surf == surfLeg0 {
			y = -legY
		}
		n = [3]float64{p[0] / legR, (p[1] - y) / legR, 0}
		if p[2] < 0.05 {
			return n, shoes
		}
		return n, trousers
	case surfArm0, surfArm1:
		y := armY
		if surf == surfArm0 {
			y = -armY
		}
		n = [3]float64{p[0] / armR, (p[1] - y) / armR, max(0, (p[2]-armHigh)/armR)}
		if p[2] < armLow+0.045 {
			return n, skin
		}
		return n, scale(c, 0.92)
	case surfTorso:
		n = normalize([3]float64{p[0] / (torsoX * torsoX), p[1] / (torsoY * torsoY), 0})
	default:
		n = normalize([3]float64{p[0] / (torsoX * torsoX), p[1] / (torsoY * torsoY), (p[2] - torsoHigh) / (shoulderZ * shoulderZ)})
		if p[2] > torsoHigh+0.045 {
			return n, skin
		}
	}
	return n, c
}

// apply lights a surface with normal n and reflectance c at height z.
func (l *lamp) apply(n, c, d [3]float64, z, gloss float64) [3]float64 {
	direct := max(dot(n, l.dir), 0)
	up := 0.5 + float64(0.5*n[2])
	// The floor hides part of the light close to it.
	occl := 1.0
	if z < 0.16 {
		q := 1 - z/0.16
		occl = 1 - float64(float64(0.42*float64(q*q))*(1-float64(0.6*up)))
	}
	for i := range c {
		amb := float64(lerp(l.below[i], l.above[i], up) * occl)
		c[i] = float64(c[i] * (amb + float64(l.key[i]*direct)))
	}
	if gloss > 0 && direct > 0 {
		v := normalize(d)
		h := [3]float64{l.dir[0] - v[0], l.dir[1] - v[1], l.dir[2] - v[2]}
		if k := dot(n, h); k > 0 {
			k = float64(k*k) / dot(h, h)
			k = float64(k * k)
			k = float64(k * k)
			k = float64(k * k)
			k = float64(gloss * float64(k*k))
			for i := range c {
				c[i] += float64(k * l.key[i])
			}
		}
	}
	return c
}
