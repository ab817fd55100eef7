package sim

import (
	"hash/crc32"
	"image"
	"math"
	"math/rand/v2"
	"testing"
)

// crowd has four objects that hide parts of each other from every camera but
// the last.
func crowd() []Object {
	return []Object{
		{ID: 1, Shape: Person, Color: Red, X: -0.55, Y: 0.2, Face: -1.2},
		{ID: 2, Shape: Ball, Color: White, X: 0.1, Y: -0.45},
		{ID: 3, Shape: Box, Color: Blue, X: 0.55, Y: 0.35, Face: 0.5},
		{ID: 4, Shape: Can, Color: Green, X: -0.1, Y: 0.65},
	}
}

func scatter(rng *rand.Rand, n int) []Object {
	objs := make([]Object, n)
	for i := range objs {
		objs[i] = Object{
			ID: i, Shape: Shape(rng.IntN(NumShapes)), Color: Color(rng.IntN(NumColors)),
			X: Reach * (2*rng.Float64() - 1), Y: Reach * (2*rng.Float64() - 1),
			Face: 20 * (rng.Float64() - 0.5),
		}
	}
	return objs
}

func picture(w, h int) *image.RGBA { return image.NewRGBA(image.Rect(0, 0, w, h)) }

// TestRenderSameEverywhere pins the bytes of pictures. Run it on every
// architecture: fused multiply-adds would show here. A change of the looks
// changes the sum too, and then the message has the new one.
func TestRenderSameEverywhere(t *testing.T) {
	sum := uint32(0)
	for seed := range uint64(8) { // every kind of floor
		cams := Cameras()
		for i := range cams {
			cams[i] = cams[i].Jitter(seed)
		}
		objs := scatter(rand.New(rand.NewPCG(seed, 1)), 5)
		r := NewRenderer(Look{seed}, cams, 80, 60)
		for c := range cams {
			img := picture(80, 60)
			r.Render(img, c, objs, seed+7)
			sum = crc32.Update(sum, crc32.IEEETable, img.Pix)
		}
	}
	if want := uint32(0xb0123bcc); sum != want {
		t.Errorf("pictures have checksum %#08x, want %#08x", sum, want)
	}
}

func TestRenderRepeats(t *testing.T) {
	objs := crowd()
	a, b := picture(160, 120), picture(160, 120)
	r := NewRenderer(Look{3}, Cameras(), 160, 120)
	r.Render(a, 1, objs, 5)
	r.Render(b, 0, objs[1:], 6) // leaves other things in the working memory
	r.IDs(make([]uint8, 160*120), 2, objs)
	r.Render(b, 1, objs, 5)
	if string(a.Pix) != string(b.Pix) {
		t.Error("the second picture of the same frame differs")
	}
	r.Render(b, 1, objs, 6)
	if string(a.Pix) == string(b.Pix) {
		t.Error("two frames have the same noise")
	}
	NewRenderer(Look{4}, Cameras(), 160, 120).Render(b, 1, objs, 5)
	if string(a.Pix) == string(b.Pix) {
		t.Error("two looks give the same picture")
	}
}

func TestRenderIntoPart(t *testing.T) {
	whole, part := picture(50, 40), picture(32, 24)
	r := NewRenderer(Look{1}, Cameras(), 32, 24)
	r.Render(part, 0, crowd(), 0)
	r.Render(whole.SubImage(image.Rect(10, 9, 42, 33)).(*image.RGBA), 0, crowd(), 0)
	for y := range 40 {
		for x := range 50 {
			got := whole.RGBAAt(x, y)
			if in := image.Pt(x-10, y-9); in.In(part.Rect) {
				if want := part.RGBAAt(in.X, in.Y); got != want {
					t.Fatalf("pixel %v of the part is %v, want %v", in, got, want)
				}
			} else if got.A != 0 {
				t.Fatalf("pixel %d,%d outside the part was written", x, y)
			}
		}
	}
}

// Any size and any place must work, the places of the cameras included.
func TestRenderOddSizes(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 7}, {31, 2}, {97, 73}} {
		r := NewRenderer(Look{2}, Cameras(), size[0], size[1])
		img := picture(size[0], size[1])
		for c, cam := range Cameras() {
			for s := range Shape(NumShapes) {
				objs := []Object{{Shape: s}, {Shape: s, X: cam.Pos[0], Y: cam.Pos[1]}, {Shape: s, X: 50, Y: -50}}
				r.Render(img, c, objs, 0)
			}
		}
	}
}

func TestIDsAgreeWithCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ids := make([]uint8, coverW*coverH)
	for trial := range many(20) {
		cams := Cameras()
		for i := range cams {
			cams[i] = cams[i].Jitter(trial)
		}
		r := NewRenderer(Look{trial}, cams, coverW, coverH)
		objs := scatter(rng, int(trial%6))
		for c := range cams {
			var full, visible, want [6]int
			Coverage(cams[c], objs, full[:], visible[:])
			r.IDs(ids, c, objs)
			for _, id := range ids {
				if id > 0 {
					want[id-1]++
				}
			}
			if visible != want {
				t.Errorf("trial %d, camera %s: visible %v, but IDs show %v", trial, cams[c].Name, visible, want)
			}
			for i := range objs {
				r.IDs(ids, c, objs[i:i+1])
				n := 0
				for _, id := range ids {
					n += int(id)
				}
				if n != full[i] {
					t.Errorf("trial %d, camera %s: object %d covers %d, but IDs show %d", trial, cams[c].Name, i, full[i], n)
				}
			}
		}
	}
}

func TestHidden(t *testing.T) {
	objs := []Object{
		{Shape: Ball, Color: Red, X: 0, Y: 0.3},
		{Shape: Box, Color: Blue, X: 0, Y: -0.25},
	}
	var full, visible [2]int
	cams := Cameras()
	Coverage(cams[0], objs, full[:], visible[:])
	if full[0] < 50 || visible[0] != 0 || visible[1] != full[1] {
		t.Errorf("front camera: full %v, visible %v, want the ball hidden behind the box", full, visible)
	}
	for _, c := range cams[1:] {
		Coverage(c, objs, full[:], visible[:])
		if visible[0]*5 < full[0]*4 || visible[1]*5 < full[1]*4 {
			t.Errorf("%s camera: full %v, visible %v, want both in sight", c.Name, full, visible)
		}
	}
}

// project is where the camera sees a point.
func project(c Camera, p [3]float64) (u, v, depth float64) {
	w := newView(c)
	return w.project(vec{p[0], p[1], p[2]})
}

func TestProject(t *testing.T) {
	for _, c := range Cameras() {
		c = c.Jitter(9)
		u, v, depth := project(c, c.Target)
		dist := math.Hypot(math.Hypot(c.Pos[0]-c.Target[0], c.Pos[1]-c.Target[1]), c.Pos[2]-c.Target[2])
		if math.Abs(u)+math.Abs(v) > 1e-12 || math.Abs(depth-dist) > 1e-12 {
			t.Errorf("%s camera: target at %g,%g depth %g, want the middle at %g", c.Name, u, v, depth, dist)
		}
	}
	front := Cameras()[0]
	for _, p := range []struct {
		at   [3]float64
		u, v float64 // signs
	}{{[3]float64{0.5, 0, 0.15}, 1, 0}, {[3]float64{0, 0, 0.5}, 0, -1}, {[3]float64{0, -0.5, 0.15}, 0, 1}} {
		u, v, _ := project(front, p.at)
		if math.Abs(u) > 1e-9 && u*p.u <= 0 || math.Abs(v) > 1e-9 && v*p.v < 0 {
			t.Errorf("front camera sees %v at %g,%g", p.at, u, v)
		}
	}
}

// The middle of an object projects into its pixels.
func TestProjectAgreesWithIDs(t *testing.T) {
	const w, h = 200, 150
	rng := rand.New(rand.NewPCG(3, 4))
	cams := Cameras()
	r := NewRenderer(Look{}, cams, w, h)
	ids := make([]uint8, w*h)
	for range 50 {
		for c, cam := range cams {
			o := scatter(rng, 1)
			_, height := extent(o[0].Shape)
			r.IDs(ids, c, o)
			u, v, _ := project(cam, [3]float64{o[0].X, o[0].Y, height / 2})
			x, y := int((u+1)*w/2), int((v+1)*h/2)
			if x < 0 || x >= w || y < 0 || y >= h || ids[y*w+x] != 1 {
				t.Errorf("%s camera: %+v is not at %d,%d", cam.Name, o[0], x, y)
			}
		}
	}
}

// Objects change their own pixels; around them the room gets no brighter, and
// stays as it is where no floor is.
func TestPixelsMeanIDs(t *testing.T) {
	const w, h = 160, 120
	r := NewRenderer(Look{11}, Cameras(), w, h)
	empty, img, ids := picture(w, h), picture(w, h), make([]uint8, w*h)
	for c := range Cameras() {
		r.Render(empty, c, nil, 1)
		r.Render(img, c, crowd(), 1)
		r.IDs(ids, c, crowd())
		for y := 1; y < h-1; y++ {
			for x := 1; x < w-1; x++ {
				i := y*w + x
				if ids[i]|ids[i-1]|ids[i+1]|ids[i-w]|ids[i+w] != 0 {
					continue
				}
				a, b := empty.RGBAAt(x, y), img.RGBAAt(x, y)
				wall := r.plates[c].floor[i][0] == away
				if b.R > a.R || b.G > a.G || b.B > a.B || wall && a != b {
					t.Fatalf("camera %d, pixel %d,%d without object went from %v to %v", c, x, y, a, b)
				}
			}
		}
	}
}

// In every room, from every side, each colour is what its name says.
func TestColours(t *testing.T) {
	const w, h = 96, 72
	img, ids := picture(w, h), make([]uint8, w*h)
	for seed := range many(40) {
		r := NewRenderer(Look{seed}, Cameras(), w, h)
		for k := range Color(NumColors) {
			objs := []Object{{Shape: Shape(seed % NumShapes), Color: k, X: 0.2, Y: -0.1, Face: float64(seed)}}
			for c := range Cameras() {
				r.Render(img, c, objs, seed)
				r.IDs(ids, c, objs)
				red, green, blue, n := 0.0, 0.0, 0.0, 0.0
				for i, id := range ids {
					if id != 0 {
						p := img.Pix[4*i:]
						if objs[0].Shape == Person && max(p[0], p[1], p[2]) < min(p[0], p[1], p[2])+60 && k != White {
							continue // trousers, hair
						}
						red, green, blue, n = red+float64(p[0]), green+float64(p[1]), blue+float64(p[2]), n+1
					}
				}
				if got := nameColor(red/n, green/n, blue/n); got != k {
					t.Errorf("look %d, camera %d: %v %v looks %v (%.0f %.0f %.0f)", seed, c, k, objs[0].Shape, got, red/n, green/n, blue/n)
				}
			}
		}
	}
}

func nameColor(r, g, b float64) Color {
	switch {
	case max(r, g, b)-min(r, g, b) < 0.3*max(r, g, b):
		return White
	case r > 1.5*b && g > 0.6*r:
		return Yellow
	case r > 0.55*b && b > 1.25*g && b > 0.5*r:
		return Purple
	case r > g && r > b:
		return Red
	case g > b:
		return Green
	}
	return Blue
}

func TestJitter(t *testing.T) {
	for _, c := range Cameras() {
		if c.Jitter(5) != c.Jitter(5) || c.Jitter(5) == c.Jitter(6) {
			t.Errorf("%s: jitter must follow its seed", c.Name)
		}
		for seed := range uint64(200) {
			j := c.Jitter(seed)
			for i := range j.Pos {
				if math.Abs(j.Pos[i]-c.Pos[i]) > 0.06 || math.Abs(j.Target[i]-c.Target[i]) > 0.04 {
					t.Fatalf("%s: jitter %d goes too far: %+v", c.Name, seed, j)
				}
			}
		}
	}
}

func TestSincos(t *testing.T) {
	for x := -30.0; x < 30; x += 0.0137 {
		s, c := sincos(x)
		if math.Abs(s-math.Sin(x)) > 1e-7 || math.Abs(c-math.Cos(x)) > 1e-7 {
			t.Fatalf("sincos(%g) = %g, %g", x, s, c)
		}
	}
}

func TestRenderAllocs(t *testing.T) {
	r := NewRenderer(Look{1}, Cameras(), 160, 120)
	img, ids, objs := picture(160, 120), make([]uint8, 160*120), crowd()
	cam := Cameras()[0]
	var full, visible [4]int
	if n := testing.AllocsPerRun(10, func() {
		r.Render(img, 0, objs, 1)
		r.IDs(ids, 1, objs)
		Coverage(cam, objs, full[:], visible[:])
	}); n != 0 {
		t.Errorf("%v allocations per frame, want 0", n)
	}
}

func benchmarkRender(b *testing.B, w, h int) {
	r := NewRenderer(Look{1}, Cameras(), w, h)
	img, objs := picture(w, h), crowd()
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		r.Render(img, int(i&3), objs, i)
	}
}

func BenchmarkRender160(b *testing.B) { benchmarkRender(b, 160, 120) }
func BenchmarkRender320(b *testing.B) { benchmarkRender(b, 320, 240) }
func BenchmarkRender640(b *testing.B) { benchmarkRender(b, 640, 480) }

func BenchmarkNewRenderer160(b *testing.B) {
	for b.Loop() {
		NewRenderer(Look{1}, Cameras(), 160, 120)
	}
}

func BenchmarkCoverage(b *testing.B) {
	var full, visible [4]int
	cam, objs := Cameras()[0], crowd()
	b.ReportAllocs()
	for b.Loop() {
		Coverage(cam, objs, full[:], visible[:])
	}
}
