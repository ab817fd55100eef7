package sim

import "math"

// The room: walls at wallBack, wallLeft and, behind the first two cameras, at wallFront
// and wallRight. A wall seen from outside is left out, as in a doll's house.
const (
	wallBack, wallLeft   = 1.6, -1.6
	wallFront, wallRight = -2.3, 2.3
)

// away is a place that no shadow reaches; it marks pixels without floor.
const away = 1e6

// spot is what a ray meets of the empty room.
type spot struct {
	c    vec     // light towards the camera
	key  uint32  // differs across visible edges
	x, y float64 // place on the floor, or away
}

// look follows a ray from the camera at o into the empty room.
func (s *style) look(o, d vec) spot {
	t, wall := math.Inf(1), -1
	if d.z < 0 {
		t, wall = -o.z/d.z, 0
	}
	if u := (wallBack - o.y) / d.y; d.y > 0 && u > 0 && u < t {
		t, wall = u, 1
	}
	if u := (wallLeft - o.x) / d.x; d.x < 0 && u > 0 && u < t {
		t, wall = u, 2
	}
	if u := (wallFront - o.y) / d.y; d.y < 0 && u > 0 && u < t {
		t, wall = u, 3
	}
	if u := (wallRight - o.x) / d.x; d.x > 0 && u > 0 && u < t {
		t, wall = u, 4
	}
	if wall < 0 {
		return spot{c: s.wall, x: away, y: away}
	}
	x, y, z := o.x+float64(t*d.x), o.y+float64(t*d.y), o.z+float64(t*d.z)
	if wall == 0 {
		return s.lookFloor(x, y)
	}
	sp := spot{x: away, y: away}
	switch wall {
	case 1:
		sp.c, sp.key = s.backWall(x, z, d)
		sp.c = sp.c.mul(corner(x-wallLeft) * corner(wallRight-x))
	case 2:
		sp.c, sp.key = s.leftWall(y, z)
		sp.c = sp.c.mul(corner(wallBack-y) * corner(y-wallFront))
	case 3:
		sp.c, sp.key = s.plainWall(x, z, 0.82)
		sp.c = sp.c.mul(corner(x-wallLeft) * corner(wallRight-x))
	default:
		sp.c, sp.key = s.plainWall(y, z, 0.9)
		sp.c = sp.c.mul(corner(wallBack-y) * corner(y-wallFront))
	}
	sp.key |= uint32(wall) << 28
	return sp
}

// corner is the ambient light left at distance d from a corner of the room.
func corner(d float64) float64 {
	d /= 0.16
	return 1 - 0.3/(1+float64(d*d))
}

func (s *style) lookFloor(x, y float64) spot {
	c, key := s.floorAt(x, y)
	if s.rug != 0 {
		if rc, rk := s.rugAt(x, y); rk != 0 {
			c, key = rc, rk
		}
	}
	occl := float64(corner(wallBack-y)*corner(x-wallLeft)) * float64(corner(y-wallFront)*corner(wallRight-x))
	// The light falls off gently from the middle of the room.
	r2 := float64(x*x) + float64(y*y)
	key3 := s.light.z * (1 - float64(0.16*min(r2/6, 1)))
	sun := s.sunAt(x, y)
	c = c.times(s.above.mul(occl).add(s.key.mul(key3)).add(sunColor.mul(sun)))
	return spot{c: c, key: key, x: x, y: y}
}

var sunColor = vec{1.05, 1, 0.85}

// sunAt is the daylight that comes through the window to a place on the floor,
// low and from behind, in two panes with soft borders.
func (s *style) sunAt(x, y float64) float64 {
	if s.sunPatch == 0 {
		return 0
	}
	z := float64((wallBack - y) * 1.1)
	wx := x + float64((wallBack-y)*0.35)
	u := math.Abs(wx - s.windowX)
	in := smooth(0, 0.05, s.windowW-u) * smooth(0.02, 0.05, u)
	return float64(s.sunPatch*in) * float64(smooth(windowLow, windowLow+0.06, z)*smooth(0, 0.06, windowHigh-z))
}

func (s *style) floorAt(x, y float64) (vec, uint32) {
	cell := func(a float64) uint32 { return uint32(int32(math.Floor(a))+512) & 1023 }
	switch s.floor {
	case floorChecker:
		i, j := cell(x*2.5), cell(y*2.5)
		c := s.floorA
		if (i+j)&1 != 0 {
			c = s.floorB
		}
		n := noise2(float64(x*7), float64(y*7), s.seed)
		return c.mul(0.92 + float64(0.16*n)), 1<<24 | i<<10 | j
	case floorCarpet:
		n := noise2(float64(x*45), float64(y*45), s.seed)
		m := noise2(float64(x*5), float64(y*5), s.seed+1)
		return s.floorA.lerp(s.floorB, n).mul(0.92 + float64(0.16*m)), 0
	case floorTiles:
		const size = 3.2
		i, j := cell(x*size), cell(y*size)
		u, v := float64(x*size), float64(y*size)
		u -= math.Floor(u)
		v -= math.Floor(v)
		if min(u, 1-u, v, 1-v) < 0.03 {
			return s.floorB, 2 << 24
		}
		tone := unit(mix(s.seed ^ uint64(i)<<20 ^ uint64(j)))
		n := noise2(float64(x*6), float64(y*6), s.seed)
		return s.floorA.mul(0.88 + float64(0.12*tone) + float64(0.14*n)), 3<<24 | i<<10 | j
	}
	const width, length = 5.0, 0.7 // planks per unit across, along
	row := cell(y * width)
	hr := mix(s.seed ^ uint64(row))
	along := float64(x*length) + unit(hr)
	i := cell(along)
	v := float64(y * width)
	v -= math.Floor(v)
	u := along - math.Floor(along)
	if v < 0.045 || u < 0.006 {
		return s.floorB.mul(0.6), 4 << 24
	}
	tone := unit(mix(hr ^ uint64(i)))
	grain := noise2(float64(x*3), float64(y*40), hr)
	return s.floorA.lerp(s.floorB, tone).mul(0.9 + float64(0.2*grain)), 5<<24 | row<<10 | i
}

// rugAt returns key 0 beside the rug.
func (s *style) rugAt(x, y float64) (vec, uint32) {
	d := max(math.Abs(x), math.Abs(y)) / 1.06
	if s.rug == 2 {
		d = math.Sqrt(float64(x*x)+float64(y*y)) / 1.12
	}
	if d > 1 {
		return vec{}, 0
	}
	n := noise2(float64(x*40), float64(y*40), s.seed+3)
	c, key := s.rugA, uint32(6)<<24
	if d > 0.86 && d < 0.94 {
		c, key = s.rugB, 7<<24
	}
	return c.mul(0.92 + float64(0.16*n)), key
}

// wallAt is the bare wall with its skirting, u along it and z up.
func (s *style) wallAt(u, z, light float64) (vec, uint32) {
	k := float64(light * (0.78 + float64(0.1*min(z, 1.5))))
	switch {
	case z < 0.012:
		return s.skirting.mul(k * 0.45), 1
	case z < 0.1:
		return s.skirting.mul(k), 2
	case s.panel && z < 0.5:
		return s.wall.mul(k * 0.72), 3
	case s.panel && z < 0.53:
		return s.skirting.mul(k), 4
	}
	n := noise2(float64(u*9), float64(z*9), s.seed+7)
	return s.wall.mul(k * (0.97 + float64(0.06*n))), 5
}

const windowLow, windowHigh = 0.58, 1.3

func (s *style) backWall(x, z float64, d vec) (vec, uint32) {
	u, low, high := math.Abs(x-s.windowX), z-windowLow, windowHigh-z
	in := min(s.windowW-u, low, high)
	switch {
	case low > -0.07 && low < -0.03 && u < s.windowW+0.1:
		return s.skirting.mul(1.05), 8 // sill
	case in < -0.05:
		glow := 0.08 / (1 + float64(4*float64(in*in)))
		return s.wallAt(x, z, 0.86+glow)
	case in < 0.02:
		return s.skirting.mul(0.92), 9
	case u < 0.018 || math.Abs(z-0.5*(windowLow+windowHigh)) < 0.014:
		return s.skirting.mul(0.8), 10
	}
	// Outside, far away: it depends on the direction only.
	e := d.z / d.y
	a := d.x / d.y
	hill := -0.1 + float64(0.05*noise2(float64(a*6), 0.5, s.seed+11))
	if e < hill {
		return s.land.mul(0.9 + float64(0.3*noise2(float64(a*30), float64(e*60), s.seed+12))), 11
	}
	return s.sky.mul(1.02).lerp(s.sky.mul(0.85), smooth(-0.1, 0.3, e)), 12
}

func (s *style) leftWall(y, z float64) (vec, uint32) {
	const y0, y1, top = 0.1, 0.8, 1.75
	in := min(y-y0, y1-y, top-z)
	if in < -0.05 {
		return s.wallAt(y, z, 0.88)
	}
	if in < 0 {
		return s.skirting.mul(0.8), 8
	}
	dy, dz := y-(y1-0.09), z-0.8
	if float64(dy*dy)+float64(dz*dz) < 0.0011 {
		return rgb(196, 176, 120), 9
	}
	k := 0.8
	key := uint32(10)
	mid := 0.5 * (y0 + y1)
	if p := min(0.24-math.Abs(y-mid), max(0.27-math.Abs(z-0.42), 0.35-math.Abs(z-1.25))); p > 0 {
		k, key = 0.7, 11
		if p > 0.03 {
			k, key = 0.86, 12
		}
	}
	return s.door.mul(k), key
}

// plainWall has a framed picture.
func (s *style) plainWall(u, z, light float64) (vec, uint32) {
	in := min(0.42-math.Abs(u), 0.28-math.Abs(z-0.85))
	switch {
	case in < 0:
		return s.wallAt(u, z, light)
	case in < 0.035:
		return s.door.mul(0.7), 8
	case in < 0.09:
		return s.skirting.mul(0.9), 9
	}
	if z < 0.8+float64(0.1*noise2(float64(u*6), 0, s.seed+21)) {
		return s.land.mul(0.8), 10
	}
	return s.art.mul(0.9), 11
}
