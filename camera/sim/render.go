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
var subsamples = [...][2]float64{{-0.125, -0.375}, {0.375, -0.125}, {-0.375, 0.125}, {0.125, 0.375}}

func newPlate(s *style, c Camera, w, h int, keys []uint32) plate {
	p := plate{view: newView(c), light: make([]uint16, w*h*3), floor: make([][2]float32, w*h)}
	p.rays = p.view.rays(w, h)
	for y := range h {
		for x := range w {
			sp := s.look(p.view.pos, p.rays.at(float64(x), float64(y)))
			i := y*w + x
			keys[i] = sp.key
			p.floor[i] = [2]float32{float32(sp.x), float32(sp.y)}
			for j, v := range sp.c {
				p.light[3*i+j] = toFixed(v)
			}
		}
	}
	for y := range h {
		for x := range w {
			i := y*w + x
			k := keys[i]
			if x > 0 && keys[i-1] != k || x+1 < w && keys[i+1] != k || y > 0 && keys[i-w] != k || y+1 < h && keys[i+w] != k {
				var sum [3]float64
				for _, o := range subsamples {
					sp := s.look(p.view.pos, p.rays.at(float64(x)+o[0], float64(y)+o[1]))
					for j, v := range sp.c {
						sum[j] += v
					}
				}
				for j, v := range sum {
					p.light[3*i+j] = toFixed(v / float64(len(subsamples)))
				}
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
	x0, y0, x1, y1 := r.bounds()
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			r.paintPixel(x, y)
		}
	}
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
			for x := s.x0; x < s.x1; x++ {
				t, surf := s.hit(s.ray.at(float64(x), float64(y)))
				if surf == surfNone {
					continue
				}
				if q := y*r.w + x; r.key[q] == 0 || t < r.depth[q] {
					r.depth[q] = t
					r.key[q] = uint16(i+1)<<4 | uint16(surf)
				}
			}
		}
	}
}

// bounds is the box around all solids.
func (r *Renderer) bounds() (x0, y0, x1, y1 int) {
	x0, y0 = r.w, r.h
	for i := range r.solids {
		s := &r.solids[i]
		x0, y0 = min(x0, s.x0), min(y0, s.y0)
		x1, y1 = max(x1, s.x1), max(y1, s.y1)
	}
	return x0, y0, x1, y1
}

// paintPixel lays the objects over the room at one pixel.
func (r *Renderer) paintPixel(x, y int) {
	q := y*r.w + x
	k := r.key[q]
	edge := x > 0 && r.key[q-1] != k || x+1 < r.w && r.key[q+1] != k ||
		y > 0 && r.key[q-r.w] != k || y+1 < r.h && r.key[q+r.w] != k
	if !edge {
		if k != 0 {
			i := k>>4 - 1
			s := &r.solids[i]
			r.put(q, s.shade(&r.lamps[i], s.ray.at(float64(x), float64(y)), r.depth[q], uint8(k&15)))
		}
		return
	}
	room := [3]float64{float64(r.buf[3*q]) / linearOne, float64(r.buf[3*q+1]) / linearOne, float64(r.buf[3*q+2]) / linearOne}
	var sum [3]float64
	for _, o := range subsamples {
		c := room
		if s, l, d, t, surf := r.nearest(x, y, o); s != nil {
			c = s.shade(l, d, t, surf)
		}
		for j, v := range c {
			sum[j] += v
		}
	}
	r.put(q, scale(sum, 1/float64(len(subsamples))))
}

func (r *Renderer) put(q int, c [3]float64) {
	for j, v := range c {
		r.buf[3*q+j] = toFixed(v)
	}
}

// nearest traces one ray beside the centre of a pixel.
func (r *Renderer) nearest(x, y int, off [2]float64) (s *solid, l *lamp, dir [3]float64, depth float64, surf uint8) {
	for i := range r.solids {
		o := &r.solids[i]
		if x < o.x0 || x >= o.x1 || y < o.y0 || y >= o.y1 {
			continue
		}
		d := o.ray.at(float64(x)+off[0], float64(y)+off[1])
		if t, f := o.hit(d); f != surfNone && (s == nil || t < depth) {
			s, l, dir, depth, surf = o, &r.lamps[i], d, t, f
		}
	}
	return s, l, dir, depth, surf
}
