package sim

import "math"

// Every product that feeds a sum is converted explicitly: Go may fuse x*y+z on
// some machines, and pictures must be the same bytes on all of them. For the
// same reason only Sqrt and Floor, which are exact, come from package math.

// vec is a struct, not an array, so that the compiler keeps it in registers.
type vec struct{ x, y, z float64 }

func (a vec) dot(b vec) float64 {
	return float64(a.x*b.x) + float64(a.y*b.y) + float64(a.z*b.z)
}

func (a vec) add(b vec) vec             { return vec{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec) sub(b vec) vec             { return vec{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec) mul(k float64) vec         { return vec{float64(a.x * k), float64(a.y * k), float64(a.z * k)} }
func (a vec) times(b vec) vec           { return vec{float64(a.x * b.x), float64(a.y * b.y), float64(a.z * b.z)} }
func (a vec) unit() vec                 { return a.mul(1 / math.Sqrt(a.dot(a))) }
func (a vec) lerp(b vec, t float64) vec { return a.add(b.sub(a).mul(t)) }

// lerp returns a at t=0 and b at t=1.
func lerp(a, b, t float64) float64 { return a + float64((b-a)*t) }

// smooth rises from 0 at a to 1 at b.
func smooth(a, b, x float64) float64 {
	t := (x - a) / (b - a)
	if t <= 0 {
		return 0
	}
	if t >= 1 {
		return 1
	}
	return float64(float64(t*t) * (3 - float64(2*t)))
}

// sincos is accurate to about 1e-9 for |x| below 1e6.
func sincos(x float64) (sin, cos float64) {
	const (
		hi = 1.5707963267341256    // pi/2, upper part
		lo = 6.077100506506192e-11 // pi/2 - hi
	)
	k := math.Floor(float64(x*0.6366197723675814) + 0.5)
	x = x - float64(k*hi) - float64(k*lo)
	q := float64(x * x)
	s := poly(q, 1, -1.0/6, 1.0/120, -1.0/5040, 1.0/362880, -1.0/39916800)
	s = float64(s * x)
	c := poly(q, 1, -1.0/2, 1.0/24, -1.0/720, 1.0/40320, -1.0/3628800)
	switch int64(k) & 3 {
	case 0:
		return s, c
	case 1:
		return c, -s
	case 2:
		return -s, -c
	}
	return -c, s
}

func poly(x, c0, c1, c2, c3, c4, c5 float64) float64 {
	p := float64(c5*x) + c4
	p = float64(p*x) + c3
	p = float64(p*x) + c2
	p = float64(p*x) + c1
	return float64(p*x) + c0
}

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit maps a hash to [0, 1), signed to [-1, 1).
func unit(h uint64) float64   { return float64(h>>11) / (1 << 53) }
func signed(h uint64) float64 { return float64(2*unit(h)) - 1 }

// noise2 is smooth noise in 0..1 with one lattice cell per unit.
func noise2(x, y float64, seed uint64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := uint64(int64(fx)), uint64(int64(fy))
	tx, ty := smooth(0, 1, x-fx), smooth(0, 1, y-fy)
	at := func(i, j uint64) float64 {
		return unit(mix(seed ^ (ix+i)*0x8da6b343 ^ (iy+j)*0xd8163841<<20))
	}
	return lerp(lerp(at(0, 0), at(1, 0), tx), lerp(at(0, 1), at(1, 1), tx), ty)
}
