package sim

import "image"

// Renderer draws one room as its cameras see it. It keeps its working memory:
// one goroutine at a time.
type Renderer struct {
	w, h   int
	style  style
	film   *film
	plates []plate

	solids []solid
	lamps  []lamp
	buf    []uint16  // the picture in linear light, RGB
	depth  []float64 // of the nearest object, where key is not 0
	key    []uint16  // (object+1)<<4 | surface, 0 background
}

// plate is the empty room from one camera.
type plate struct {
	view  view
	rays  rays
	light []uint16     // RGB
	floor [][2]float32 // place on the floor that a pixel sees
}

// maxObjects bounds the memory a Renderer takes in advance; more objects than
// this work but allocate.
const maxObjects = 16

// NewRenderer draws the empty room for every camera, w x h pixels each.
func NewRenderer(look Look, cams []Camera, w, h int) *Renderer {
	r := &Renderer{
		w: w, h: h,
		style:  newStyle(look),
		plates: make([]plate, len(cams)),
		solids: make([]solid, 0, maxObjects),
		lamps:  make([]lamp, 0, maxObjects),
		buf:    make([]uint16, w*h*3),
		depth:  make([]float64, w*h),
		key:    make([]uint16, w*h),
	}
	r.film = newFilm(&r.style, w, h)
	keys := make([]uint32, w*h)
	for i := range r.plates {
		r.plates[i] = newPlate(&r.style, cams[i], w, h, keys)
	}
	return r
}

// subsamples are the places inside an edge pixel that are averaged.
var subsamples = [...][2]float64{{-0.125, -0.375}, {-0.375, 0.125}, {0.375, -0.125}, {0.125, 0.375}}

func newPlate(s *style, c Camera, w, h int, keys []uint32) plate {
	p := plate{view: newView(c), light: make([]uint16, w*h*3), floor: make([][2]float32, w*h)}
	p.rays = p.view.rays(w, h)
	for y := range h {
		for x := range w {
			sp := s.look(p.view.pos, p.rays.at(float64(x), float64(y)))
			i := y*w + x
			keys[i] = sp.key
			p.floor[i] = [2]float32{float32(sp.x), float32(sp.y)}
			put(p.light[3*i:3*i+3], sp.c)
		}
	}
	for y := range h {
		for x := range w {
			i := y*w + x
			k := keys[i]
			if x > 0 && keys[i-1] != k || x+1 < w && keys[i+1] != k || y > 0 && keys[i-w] != k || y+1 < h && keys[i+w] != k {
				var sum vec
				for _, o := range subsamples {
					sum = sum.add(s.look(p.view.pos, p.rays.at(float64(x)+o[0], float64(y)+o[1])).c)
				}
				put(p.light[3*i:3*i+3], sum.mul(1/float64(len(subsamples))))
			}
		}
	}
	return p
}

// Render draws the objects as camera cam sees them. dst has the size of the
// renderer; frame seeds the sensor noise and the flicker of the exposure. The
// same arguments give the same bytes on every machine.
func (r *Renderer) Render(dst *image.RGBA, cam int, objs []Object, frame uint64) {
	p := &r.plates[cam]
	copy(r.buf, p.light)
	r.trace(p, objs)
	for i := range objs {
		r.shadow(p, &objs[i])
	}
	r.paint()
	r.film.develop(dst, r.buf, r.w, r.h, frame<<3^uint64(cam))
}

// IDs writes for each pixel centre the front-most object: 0 for the room, i+1
// for objs[i]. dst holds w*h bytes.
func (r *Renderer) IDs(dst []uint8, cam int, objs []Object) {
	r.trace(&r.plates[cam], objs)
	for i, k := range r.key {
		dst[i] = uint8(k >> 4)
	}
}

// trace finds depth and surface at every pixel centre.
func (r *Renderer) trace(p *plate, objs []Object) {
	clear(r.key)
	r.solids, r.lamps = r.solids[:0], r.lamps[:0]
	for i := range objs {
		r.solids = append(r.solids, solid{})
		s := &r.solids[i]
		s.prepare(&p.view, &p.rays, r.w, r.h, &objs[i])
		r.lamps = append(r.lamps, r.style.lampFor(s))
		for y := s.y0; y < s.y1; y++ {
			row := s.ray.row(float64(y))
			keys, depths := r.key[y*r.w:(y+1)*r.w], r.depth[y*r.w:(y+1)*r.w]
			for x := s.x0; x < s.x1; x++ {
				t, surf := s.hit(row.add(s.ray.dx.mul(float64(x))))
				if surf != surfNone && (keys[x] == 0 || t < depths[x]) {
					depths[x] = t
					keys[x] = keyOf(i, surf)
				}
			}
		}
	}
}

func keyOf(i int, surf uint8) uint16 { return uint16(i+1)<<4 | uint16(surf) }

// paint lays the objects over the room: one sample inside a surface, several
// where surfaces meet.
func (r *Renderer) paint() {
	x0, y0, x1, y1 := r.w, r.h, 0, 0
	for i := range r.solids {
		s := &r.solids[i]
		x0, y0 = min(x0, s.x0), min(y0, s.y0)
		x1, y1 = max(x1, s.x1), max(y1, s.y1)
	}
	for y := y0; y < y1; y++ {
		row := r.key[y*r.w : (y+1)*r.w]
		above, below := row, row
		if y > 0 {
			above = r.key[(y-1)*r.w : y*r.w]
		}
		if y+1 < r.h {
			below = r.key[(y+1)*r.w : (y+2)*r.w]
		}
		for x := x0; x < x1; x++ {
			k := row[x]
			n, s, w, e := above[x], below[x], row[max(x-1, 0)], row[min(x+1, r.w-1)]
			if n != k || s != k || w != k || e != k {
				among := uint64(1)<<(k>>4) | 1<<(n>>4) | 1<<(s>>4) | 1<<(w>>4) | 1<<(e>>4)
				r.paintEdge(x, y, among)
			} else if k != 0 {
				s, l := &r.solids[k>>4-1], &r.lamps[k>>4-1]
				q := y*r.w + x
				put(r.buf[3*q:3*q+3], s.shade(l, s.ray.at(float64(x), float64(y)), r.depth[q], uint8(k&15)))
			}
		}
	}
}

// paintEdge averages samples. Neighbouring samples of one surface are shaded
// once: within a pixel it hardly changes. Only the solids seen in and around
// the pixel are looked at: bit i+1 of among is solid i.
func (r *Renderer) paintEdge(x, y int, among uint64) {
	q := y*r.w + x
	pix := r.buf[3*q : 3*q+3]
	var sum, last vec
	have := uint16(0xffff)
	for _, off := range subsamples {
		d, t, k := r.nearest(float64(x)+off[0], float64(y)+off[1], among)
		switch {
		case k == have:
		case k == 0:
			last = vec{float64(pix[0]), float64(pix[1]), float64(pix[2])}.mul(1.0 / linearOne)
		default:
			last = r.solids[k>>4-1].shade(&r.lamps[k>>4-1], d, t, uint8(k&15))
		}
		have, sum = k, sum.add(last)
	}
	put(pix, sum.mul(1/float64(len(subsamples))))
}

func put(pix []uint16, c vec) {
	pix[0], pix[1], pix[2] = toFixed(c.x), toFixed(c.y), toFixed(c.z)
}

// nearest follows one ray and returns its direction, the depth and the key of
// what it meets.
func (r *Renderer) nearest(x, y float64, among uint64) (dir vec, depth float64, key uint16) {
	for i := range r.solids {
		if among>>(i+1)&1 == 0 {
			continue
		}
		s := &r.solids[i]
		d := s.ray.at(x, y)
		if t, surf := s.hit(d); surf != surfNone && (key == 0 || t < depth) {
			dir, depth, key = d, t, keyOf(i, surf)
		}
	}
	return dir, depth, key
}
