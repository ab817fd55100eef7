package sim

import (
	"math"
	"math/rand/v2"
)

// Config describes a World. The zero value of each field means its default.
type Config struct {
	Seed  uint64
	Room  uint64 // seed of the look and of the cameras' places; 0 means Seed
	Views int    // cameras in use, 1 to 4; default 2
	Count int    // objects at the start, 1 to 4; 0 draws it
}

// Event is a departure or an arrival: which object, and in which frame set.
type Event struct {
	Object Object
	Frame  int
}

// World is one room and its history: objects that stand, move, enter, leave and
// hide behind each other, one frame set at a time. It is deterministic by its
// Config. A World is used by one goroutine.
//
// Every state of a World has one answer to each question (the rules are in
// valid): an object is either clearly visible in a view or hidden in it, never
// in between, and the order from left to right is never close.
type World struct {
	cfg   Config
	rng   *rand.Rand
	look  Look
	cams  []Camera
	objs  []thing
	prev  map[int]Object // objects of the frame set before, by ID
	frame int
	nextI int

	target     int // number of objects the room drifts to
	mood       mood
	moodLeft   int
	lastLeft   *Event
	lastCame   *Event
	kept       string // kind of the event that stays the newest
	full, vis  []int
	scratch    []Object
	visibility [][]float64 // [view][object], of the present state
}

type thing struct {
	Object
	motion Motion
	wish   Motion // keeps going this way while it can
}

// mood is how lively the room is for a while; daemons see mostly quiet rooms,
// training needs lively ones.
type mood struct{ start, stop, event float64 }

var moods = []mood{
	{start: 0.45, stop: 0.25, event: 0.35},
	{start: 0.30, stop: 0.40, event: 0.15},
	{start: 0.03, stop: 0.80, event: 0.02},
}

// The numbers that keep every state unambiguous.
const (
	minGap       = 0.42 // floor units between two objects
	apart        = 0.14 // tangent of the front bearing between objects that stand side by side
	inLine       = 0.07 // and between objects of which one stands behind the other
	lineDepth    = 0.40 // floor units in depth between those two
	hiddenBelow  = 0.08 // visible share up to which an object counts as hidden in a view
	visibleAbove = 0.35 // visible share from which it counts as seen
	bestShare    = 0.50 // visible share wanted in the best view
	frontAway    = 3.2  // distance of the front camera from the middle of the floor
)

// NewWorld returns a World with its first frame set ready.
func NewWorld(cfg Config) *World {
	if cfg.Views == 0 {
		cfg.Views = 2
	}
	cfg.Views = max(1, min(cfg.Views, len(Cameras())))
	w := &World{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x65646765642d7369))}
	if cfg.Room == 0 {
		cfg.Room = cfg.Seed
	}
	room := rand.New(rand.NewPCG(cfg.Room, 0x726f6f6d))
	w.look = Look{Seed: room.Uint64()}
	for _, c := range Cameras()[:cfg.Views] {
		w.cams = append(w.cams, c.Jitter(room.Uint64()))
	}
	n := cfg.Count
	if n == 0 {
		n = 1 + w.rng.IntN(4)
		if w.rng.IntN(40) == 0 {
			n = 0
		}
	}
	w.target = n
	w.changeMood()
	for !w.populate(n) {
	}
	w.remember()
	return w
}

// populate fills the empty room with n objects; false when it got stuck.
func (w *World) populate(n int) bool {
	w.objs = w.objs[:0]
	for len(w.objs) < n {
		t, ok := w.newcomer(0xff)
		if !ok {
			return false
		}
		w.objs = append(w.objs, t)
	}
	return w.valid()
}

// Look, Cameras, Frame and Objects describe the present state.
func (w *World) Look() Look        { return w.look }
func (w *World) Cameras() []Camera { return w.cams }
func (w *World) Frame() int        { return w.frame }

// Objects appends the objects present to dst.
func (w *World) Objects(dst []Object) []Object {
	for i := range w.objs {
		dst = append(dst, w.objs[i].Object)
	}
	return dst
}

// Motion returns how object i of Objects moved since the frame set before.
func (w *World) Motion(i int) Motion { return w.objs[i].motion }

// Previous returns object i as it was in the frame set before; the object itself
// when it has just entered.
func (w *World) Previous(i int) Object {
	if o, ok := w.prev[w.objs[i].ID]; ok {
		return o
	}
	return w.objs[i].Object
}

// LastLeft and LastEntered are the most recent departure and arrival since the
// World began; nil when there was none. The objects of the first frame set did
// not arrive.
func (w *World) LastLeft() *Event    { return w.lastLeft }
func (w *World) LastEntered() *Event { return w.lastCame }

func (w *World) remember() {
	if w.prev == nil {
		w.prev = make(map[int]Object, 8)
	}
	clear(w.prev)
	for i := range w.objs {
		w.prev[w.objs[i].ID] = w.objs[i].Object
	}
}

func (w *World) changeMood() {
	w.moodLeft = 3 + w.rng.IntN(15)
	switch p := w.rng.Float64(); {
	case p < 0.50:
		w.mood = moods[0]
	case p < 0.85:
		w.mood = moods[1]
	default:
		w.mood = moods[2]
	}
}

// Step goes on to the next frame set.
func (w *World) Step() {
	w.remember()
	w.frame++
	if w.moodLeft--; w.moodLeft < 0 {
		w.changeMood()
	}
	if w.rng.Float64() < 0.06 {
		if w.target = 1 + w.rng.IntN(4); w.rng.IntN(25) == 0 {
			w.target = 0
		}
	}
	for i := range w.objs {
		w.objs[i].motion = Still
	}
	gone := Shape(0xff)
	n := len(w.objs)
	if w.mayLeave(n) && w.rng.Float64() < w.leaveChance(n) {
		gone = w.leave()
	}
	for _, i := range w.rng.Perm(len(w.objs)) {
		w.walk(i)
	}
	if n < 4 && len(w.objs) < 4 && w.kept != "entered" && w.rng.Float64() < w.enterChance(n) {
		if t, ok := w.newcomer(gone); ok {
			t.motion = Entering
			w.objs = append(w.objs, t)
			w.lastCame = &Event{t.Object, w.frame}
		}
	}
	w.valid() // refreshes visibility
}

// Rest goes on to the next frame set, in which nothing happens.
func (w *World) Rest() {
	w.remember()
	w.frame++
	for i := range w.objs {
		w.objs[i].motion = Still
	}
}

// Keep makes the newest departure (kind "left") or arrival ("entered") stay the newest, so
// that the question for it keeps its answer: nothing else leaves or enters any more. All
// else goes on, but for the last object, which stays.
func (w *World) Keep(kind string) { w.kept = kind }

// Busy reports whether something moved, left or entered in the present frame set.
func (w *World) Busy() bool {
	for i := range w.objs {
		if w.objs[i].motion != Still {
			return true
		}
	}
	return w.lastLeft != nil && w.lastLeft.Frame == w.frame
}

// mayLeave reports whether one of n objects may leave.
func (w *World) mayLeave(n int) bool {
	return n > 0 && w.kept != "left" && (n > 1 || w.kept == "")
}

func (w *World) leaveChance(n int) float64 {
	switch {
	case n > w.target:
		return w.mood.event
	case n == w.target:
		return w.mood.event * 0.5
	}
	return w.mood.event * 0.15
}

func (w *World) enterChance(n int) float64 {
	switch {
	case n < w.target:
		return w.mood.event
	case n == w.target:
		return w.mood.event * 0.3
	}
	return w.mood.event * 0.05
}

// leave takes one object out if the rest stays unambiguous, and returns its
// shape, else 0xff.
func (w *World) leave() Shape {
	i := w.rng.IntN(len(w.objs))
	t := w.objs[i]
	old := append([]thing(nil), w.objs...)
	w.objs = append(w.objs[:i], w.objs[i+1:]...)
	if !w.valid() {
		w.objs = old
		return 0xff
	}
	w.lastLeft = &Event{t.Object, w.frame}
	return t.Shape
}

// walk moves object i one stride if it wants to and can.
func (w *World) walk(i int) {
	t := &w.objs[i]
	if t.wish != Still && w.rng.Float64() < w.mood.stop {
		t.wish = Still
	}
	if t.wish == Still && w.rng.Float64() < w.mood.start {
		t.wish = w.direction()
	}
	if t.wish == Still {
		return
	}
	for range 3 {
		old := t.Object
		dx, dy := t.wish.step()
		t.X, t.Y = t.X+dx, t.Y+dy
		t.Face = heading(dx, dy)
		if math.Abs(t.X) <= Reach && math.Abs(t.Y) <= Reach && w.valid() {
			t.motion = t.wish
			return
		}
		t.Object = old
		t.wish = w.direction()
	}
	t.wish = Still
}

// direction draws a way to go; sideways is drawn more often because it is refused
// more often.
func (w *World) direction() Motion {
	if w.rng.IntN(3) > 0 {
		return Left + Motion(w.rng.IntN(2))
	}
	return Closer + Motion(w.rng.IntN(2))
}

// heading is the direction of one of the four strides, exact on every machine.
func heading(dx, dy float64) float64 {
	switch {
	case dx > 0:
		return 0
	case dx < 0:
		return math.Pi
	case dy > 0:
		return math.Pi / 2
	}
	return -math.Pi / 2
}

// newcomer finds a place for an object of a shape that is neither present nor
// the one just gone. Of two tries one places it in line with another object, so
// that hiding is common.
func (w *World) newcomer(gone Shape) (thing, bool) {
	var free []Shape
next:
	for s := range Shape(NumShapes) {
		if s == gone {
			continue
		}
		for i := range w.objs {
			if w.objs[i].Shape == s {
				continue next
			}
		}
		free = append(free, s)
	}
	if len(free) == 0 {
		return thing{}, false
	}
	w.nextI++
	t := thing{Object: Object{ID: w.nextI}}
	for try := range 24 {
		t.Shape = free[w.rng.IntN(len(free))]
		t.Color = Color(w.rng.IntN(NumColors))
		t.Face = 2 * math.Pi * w.rng.Float64()
		t.X, t.Y = w.spread(Reach), w.spread(Reach)
		if len(w.objs) > 0 && w.cfg.Views > 1 && try%2 == 0 {
			o := w.objs[w.rng.IntN(len(w.objs))]
			t.Y = o.Y + lineDepth + float64(0.3*w.rng.Float64())
			if w.rng.IntN(3) == 0 {
				t.Y = o.Y - lineDepth - float64(0.3*w.rng.Float64())
			}
			t.X = (bearing(o.Object) + w.spread(0.02)) * (t.Y + frontAway)
			if math.Abs(t.X) > Reach || math.Abs(t.Y) > Reach {
				continue
			}
		}
		w.objs = append(w.objs, t)
		ok := w.valid()
		w.objs = w.objs[:len(w.objs)-1]
		if ok {
			return t, true
		}
	}
	return thing{}, false
}

// spread draws from -r to r. The conversions here and above keep machines that
// fuse multiply and add from drawing another world.
func (w *World) spread(r float64) float64 {
	return float64(r * (float64(2*w.rng.Float64()) - 1))
}

// bearing is the tangent of the horizontal angle at which the front camera sees
// an object.
func bearing(o Object) float64 { return o.X / (o.Y + frontAway) }

// valid reports whether the present state is unambiguous, and refreshes the
// visible shares of all views.
func (w *World) valid() bool {
	for i := range w.objs {
		pairs := 0
		for j := range w.objs {
			if i == j {
				continue
			}
			a, b := w.objs[i].Object, w.objs[j].Object
			dx, dy := a.X-b.X, a.Y-b.Y
			if float64(dx*dx)+float64(dy*dy) < minGap*minGap {
				return false
			}
			switch d := math.Abs(bearing(a) - bearing(b)); {
			case d >= apart:
			case d <= inLine && math.Abs(dy) >= lineDepth && w.cfg.Views > 1:
				pairs++
			default:
				return false
			}
		}
		if pairs > 1 {
			return false
		}
	}
	return w.visible()
}

func (w *World) visible() bool {
	n := len(w.objs)
	w.scratch = w.Objects(w.scratch[:0])
	for len(w.full) < n {
		w.full, w.vis = append(w.full, 0), append(w.vis, 0)
	}
	if w.visibility == nil {
		w.visibility = make([][]float64, len(w.cams))
	}
	var best [8]float64
	for v, c := range w.cams {
		w.visibility[v] = w.visibility[v][:0]
		Coverage(c, w.scratch, w.full[:n], w.vis[:n])
		for i := range n {
			share := 0.0
			if w.full[i] > 0 {
				share = float64(w.vis[i]) / float64(w.full[i])
			}
			w.visibility[v] = append(w.visibility[v], share)
			if v < 2 && share > hiddenBelow && share < visibleAbove {
				return false
			}
			best[i] = max(best[i], share)
		}
	}
	for i := range n {
		if best[i] < bestShare {
			return false
		}
	}
	return true
}

// Sees reports whether view v shows object i of Objects.
func (w *World) Sees(v, i int) bool { return w.visibility[v][i] >= visibleAbove }
