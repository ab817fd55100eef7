package main

import (
	"fmt"
	"hash/fnv"
	"image"
	"io"
	"math"
	"math/rand/v2"

	"github.com/visualrwkv/edged/camera/sim"
	"github.com/visualrwkv/edged/vlm/preprocess"
)

type options struct {
	seed               uint64
	split              string
	streams, views     int
	size, grid         int
	questions, longest int
	short, life        float64
}

// segment describes what the pictures show.
type segment struct {
	T     int      `json:"T"`
	B     int      `json:"B"`
	K     int      `json:"K"`
	Reset []bool   `json:"reset"` // the stream began with this segment: zero its memory
	Age   []int    `json:"age"`   // frame sets of the stream before this segment
	Items [][]item `json:"items"` // [T][B]
}

type item struct {
	Objects   []object    `json:"objects"`
	Left      []int       `json:"left"` // shape and colour of the newest departure; empty: none yet
	Came      []int       `json:"came"` // and of the newest arrival
	Caption   string      `json:"caption"`
	Questions [][3]string `json:"questions"` // kind, question, answer
}

type object struct {
	Shape  sim.Shape    `json:"shape"`
	Color  sim.Color    `json:"color"`
	Motion sim.Motion   `json:"motion"`
	Axes   [][2]float64 `json:"axes"` // per view: lateral, depth
	Prev   [][2]float64 `json:"prev"` // the same in the frame set before
}

// kinds is what questions are drawn from; what is hard or rare stands twice.
var kinds = []string{"count", "colour", "hidden", "exist", "exist", "camera", "camera", "motion", "motion", "moved", "moved",
	"where", "relation", "relation", "left", "left", "entered", "entered", "changed", "changed", "describe"}

// An empty room is drawn once for several worlds.
const roomLife, roomShift = 4, 3

type stream struct {
	world      *sim.World
	rend       *sim.Renderer
	img        *image.RGBA
	ids        []uint8
	square     *preprocess.Square
	rng        *rand.Rand
	generation uint64
	room       uint64
	age, life  int
}

type generator struct {
	o        options
	streams  []*stream
	objs     []sim.Object
	pictures []byte
	patches  []byte
}

func newGenerator(o options) (*generator, error) {
	g := &generator{o: o}
	for b := range o.streams {
		s := &stream{}
		if err := g.restart(s, b); err != nil {
			return nil, err
		}
		g.streams = append(g.streams, s)
	}
	return g, nil
}

// pictureSizes are what cameras deliver; small ones are drawn more often because
// they cost less.
var pictureSizes = [][2]int{{128, 96}, {128, 96}, {128, 96}, {160, 120}, {160, 120}, {240, 180}, {320, 240}}

// restart begins a new world in place of stream b.
func (g *generator) restart(s *stream, b int) error {
	room := (s.generation + roomShift*uint64(b)) / roomLife // neighbours change at different times
	seed := g.seed(b, "world", s.generation)
	s.generation++
	s.rng = rand.New(rand.NewPCG(seed, 1))
	s.world = sim.NewWorld(sim.Config{Seed: seed, Room: g.seed(b, "room", room), Views: g.o.views})
	s.age = 0
	s.life = g.lifetime(s, b)
	if s.rend != nil && room == s.room {
		return nil
	}
	s.room = room
	size := pictureSizes[s.rng.IntN(len(pictureSizes))]
	w, h2 := size[0], size[1]
	s.rend = sim.NewRenderer(s.world.Look(), s.world.Cameras(), w, h2)
	s.img = image.NewRGBA(image.Rect(0, 0, w, h2))
	s.ids = make([]uint8, w*h2)
	var err error
	if s.square, err = preprocess.NewSquare(g.o.size); err != nil {
		return err
	}
	return nil
}

// seed depends on the split, so that training never meets a room of validation.
func (g *generator) seed(b int, purpose string, n uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d %d %s %d", g.o.split, g.o.seed, b, purpose, n)
	return h.Sum64()
}

// lifetime draws how many frame sets the room is watched: the first streams live
// briefly, so that beginnings are common, the others for long.
func (g *generator) lifetime(s *stream, b int) int {
	if float64(b) < g.o.short*float64(g.o.streams) {
		return 1 + int(-g.o.life*math.Log(1-s.rng.Float64()))
	}
	return g.o.longest/4 + s.rng.IntN(1+g.o.longest*3/4)
}

func (g *generator) segment(out io.Writer, T int) error {
	o := g.o
	pic, patch := o.size*o.size*3, o.grid*o.grid
	g.pictures = grow(g.pictures, T*o.streams*o.views*pic)
	g.patches = grow(g.patches, T*o.streams*o.views*patch)
	seg := &segment{T: T, B: o.streams, K: o.views, Items: make([][]item, T)}
	for b, s := range g.streams {
		reset := s.age == 0
		if s.age >= s.life {
			if err := g.restart(s, b); err != nil {
				return err
			}
			reset = true
		}
		seg.Reset, seg.Age = append(seg.Reset, reset), append(seg.Age, s.age)
		for t := range T {
			if s.age > 0 {
				s.world.Step()
			}
			s.age++
			for k := range o.views {
				at := (t*o.streams+b)*o.views + k
				if err := g.draw(s, k, g.pictures[at*pic:(at+1)*pic], g.patches[at*patch:(at+1)*patch]); err != nil {
					return err
				}
			}
			seg.Items[t] = append(seg.Items[t], g.describe(s))
		}
	}
	return writeSegment(out, seg, g.pictures, g.patches)
}

func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// draw makes the model's picture of view k and the main object of each patch.
func (g *generator) draw(s *stream, k int, picture, patches []byte) error {
	g.objs = s.world.Objects(g.objs[:0])
	s.rend.Render(s.img, k, g.objs, uint64(s.world.Frame()))
	if err := s.square.RGB(picture, s.img); err != nil {
		return err
	}
	s.rend.IDs(s.ids, k, g.objs)
	w, h := s.img.Rect.Dx(), s.img.Rect.Dy()
	n := g.o.grid
	for py := range n {
		for px := range n {
			var count [8]int
			total := 0
			for y := py * h / n; y < (py+1)*h/n; y++ {
				for _, id := range s.ids[y*w+px*w/n : y*w+(px+1)*w/n] {
					count[id&7]++
					total++
				}
			}
			best := 0
			for i := 1; i < len(count); i++ {
				if count[i] > 0 && count[i]*100 >= 8*total && (best == 0 || count[i] > count[best]) {
					best = i
				}
			}
			patches[py*n+px] = uint8(best)
		}
	}
	return nil
}

func (g *generator) describe(s *stream) item {
	w := s.world
	g.objs = w.Objects(g.objs[:0])
	it := item{Caption: w.Caption(), Objects: []object{}, Left: event(w.LastLeft()), Came: event(w.LastEntered())}
	for i, o := range g.objs {
		ob := object{Shape: o.Shape, Color: o.Color, Motion: w.Motion(i)}
		p := w.Previous(i)
		for _, c := range w.Cameras() {
			l, d := c.Axes(o.X, o.Y)
			pl, pd := c.Axes(p.X, p.Y)
			ob.Axes = append(ob.Axes, [2]float64{l, d})
			ob.Prev = append(ob.Prev, [2]float64{pl, pd})
		}
		it.Objects = append(it.Objects, ob)
	}
	for tries := 0; len(it.Questions) < g.o.questions && tries < 50; tries++ {
		q, ok := w.Ask(s.rng, kinds[s.rng.IntN(len(kinds))])
		if !ok {
			continue
		}
		// People leave the question mark out.
		if n := len(q.Question); q.Question[n-1] == '?' && s.rng.IntN(10) == 0 {
			q.Question = q.Question[:n-1]
		}
		it.Questions = append(it.Questions, [3]string{q.Kind, q.Question, q.Answer})
	}
	return it
}

func event(e *sim.Event) []int {
	if e == nil {
		return []int{}
	}
	return []int{int(e.Object.Shape), int(e.Object.Color)}
}
