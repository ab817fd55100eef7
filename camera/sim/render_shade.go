package sim

import "math"

// lamp is the light of the room in the frame of one solid, for one picture.
type lamp struct {
	dir               vec
	key, above, below vec
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
func (s *solid) shade(l *lamp, d vec, t float64, surf uint8) vec {
	p := s.o.add(d.mul(t))
	c := paint(s.color)
	var n vec
	gloss := 0.0
	switch s.shape {
	case Ball:
		n = vec{p.x, p.y, p.z - ballR}.mul(1 / ballR)
		gloss = 0.45
	case Box:
		n, c = boxSurface(p, c, surf)
	case Cone:
		const slope = coneR / coneH
		rad := math.Sqrt(float64(p.x*p.x) + float64(p.y*p.y))
		n = vec{0, 0, 1}
		if rad > 1e-6 {
			k := coneCos / rad
			n = vec{float64(p.x * k), float64(p.y * k), slope * coneCos}
		}
		gloss = 0.12
	case Can:
		if surf == surfTop {
			n = vec{0, 0, 1}
			if r2 := float64(p.x*p.x) + float64(p.y*p.y); r2 > 0.8*canR*canR {
				c = metal
			} else if r2 > 0.66*canR*canR {
				c = c.mul(0.7)
			}
		} else {
			n = vec{p.x / canR, p.y / canR, 0}
			if p.z < 0.022 || p.z > canH-0.03 {
				c = metal
			}
		}
		gloss = 0.4
	default:
		n, c = s.personSurface(p, c, surf)
	}
	return l.apply(n, c, d, p.z, gloss)
}

// coneCos is the cosine of the slope of the cone's normal against the floor.
var coneCos = coneH / math.Sqrt(coneH*coneH+coneR*coneR)

func boxSurface(p, c vec, surf uint8) (n, out vec) {
	u, v := p.x, p.z-boxH/2
	hu, hv := boxHalf, boxH/2
	switch surf {
	case surfX:
		u = p.y
		n.x = math.Copysign(1, p.x)
	case surfY:
		n.y = math.Copysign(1, p.y)
	default:
		n.z = 1
		v, hv = p.y, boxHalf
	}
	// A bevel: edges a little darker.
	e := min(hu-math.Abs(u), hv-math.Abs(v))
	return n, c.mul(0.8 + float64(0.2*smooth(0, 0.025, e)))
}

// isEye takes the offset from the middle of an eye on a head of radius 1.
func isEye(y, z float64) bool {
	return float64(float64(y*y)*1.6)+float64(z*z) < 0.018
}

func (s *solid) personSurface(p, c vec, surf uint8) (n, out vec) {
	switch surf {
	case surfHead:
		n = vec{p.x, p.y, p.z - headZ}.mul(1 / headR)
		switch {
		case n.z+float64(-0.75*n.x) > 0.12:
			return n, hair
		case n.x > 0.7 && isEye(math.Abs(n.y)-0.36, n.z-0.04):
			return n, eye
		}
		return n, skin
	case surfLeg0, surfLeg1:
		y := legY
		if surf == surfLeg0 {
			y = -legY
		}
		n = vec{p.x / legR, (p.y - y) / legR, 0}
		if p.z < 0.05 {
			return n, shoes
		}
		return n, trousers
	case surfArm0, surfArm1:
		y := armY
		if surf == surfArm0 {
			y = -armY
		}
		n = vec{p.x / armR, (p.y - y) / armR, max(0, (p.z-armHigh)/armR)}
		if p.z < armLow+0.045 {
			return n, skin
		}
		return n, c.mul(0.92)
	case surfTorso:
		n = vec{p.x / (torsoX * torsoX), p.y / (torsoY * torsoY), 0}.unit()
	default:
		n = vec{p.x / (torsoX * torsoX), p.y / (torsoY * torsoY), (p.z - torsoHigh) / (shoulderZ * shoulderZ)}.unit()
		if p.z > torsoHigh+0.045 {
			return n, skin
		}
	}
	return n, c
}

// apply lights a surface with normal n and reflectance c at height z.
func (l *lamp) apply(n, c, d vec, z, gloss float64) vec {
	direct := max(n.dot(l.dir), 0)
	up := 0.5 + float64(0.5*n.z)
	// The floor hides part of the light close to it.
	occl := 1.0
	if z < 0.16 {
		q := 1 - z/0.16
		occl = 1 - float64(float64(0.42*float64(q*q))*(1-float64(0.6*up)))
	}
	c = c.times(l.below.lerp(l.above, up).mul(occl).add(l.key.mul(direct)))
	if gloss > 0 && direct > 0 {
		h := l.dir.sub(d.unit())
		if k := n.dot(h); k > 0 {
			k = float64(k*k) / h.dot(h)
			k = float64(k * k)
			k = float64(k * k)
			k = float64(k * k)
			c = c.add(l.key.mul(float64(gloss * float64(k*k))))
		}
	}
	return c
}
