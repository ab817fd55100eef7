package sim

import (
	"context"
	"image"
	"sync"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// The size at which the cameras of a [Room] deliver their pictures.
const (
	Width  = 320
	Height = 240
)

// Room plays a simulated world as cameras. The views run on their own, the world
// goes on when the first of them asks for the next instant, and the truth of
// the recent instants is kept beside the pictures, for the score only.
type Room struct {
	every time.Duration // between two instants; 0: as fast as they are asked for
	held  bool          // nothing happens any more
	live  bool          // views that are late go on with the present, as cameras do

	mu       sync.Mutex
	start    time.Time // when instant 0 was, or would have been
	world    *World
	renderer *Renderer
	past     []instant // the recent ones; the last is the world's present
	first    uint64    // number of past[0]
}

// instant is one state of the room, and its truth.
type instant struct {
	objects []Object
	caption string
}

// keepInstants is more than views can be apart, or a caption can be late. A live world
// that is farther behind than that, since the machine slept or is too slow for its pace,
// does not catch up: its time stood still meanwhile.
const keepInstants = 64

// NewRoom returns a room that has just begun, with so many views, 1 to 4. every is
// the time between two instants; zero plays as fast as pictures are asked for, and
// their times are a second apart. In a live room a view that is late goes on with
// the present.
func NewRoom(seed uint64, views int, every time.Duration, live bool) *Room {
	w := NewWorld(Config{Seed: seed, Views: views})
	r := &Room{
		every: every, live: live, start: time.Now(), world: w,
		renderer: NewRenderer(w.Look(), w.Cameras(), Width, Height),
	}
	r.remember()
	return r
}

// Views returns the cameras of the room.
func (r *Room) Views() []camera.View {
	var all []camera.View
	for i, c := range r.world.Cameras() {
		all = append(all, camera.View{Name: c.Name, Source: r.view(i)})
	}
	return all
}

func (r *Room) view(cam int) camera.Source {
	return &roomView{room: r, cam: cam, free: make(chan *image.RGBA, 4)}
}

// Truth returns the canonical caption of instant n, which is the Seq of its
// frames; false when it is long past.
func (r *Room) Truth(n uint64) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n < r.first || n >= r.first+uint64(len(r.past)) {
		return "", false
	}
	return r.past[n-r.first].caption, true
}

// Hold keeps the world as it is: what differs from now on is the noise of the cameras.
func (r *Room) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = true
}

func (r *Room) remember() {
	r.past = append(r.past, instant{r.world.Objects(nil), r.world.Caption()})
	if len(r.past) > keepInstants {
		r.past = append(r.past[:0], r.past[1:]...)
		r.first++
	}
}

// due returns the instant to show after those before next, and when it is.
func (r *Room) due(next uint64) (n uint64, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Since(r.start); r.live && now > 0 {
		ahead := r.first + uint64(len(r.past)) - 1 + keepInstants
		if n := uint64(now / r.every); n > ahead {
			r.start = r.start.Add(time.Duration(n-ahead) * r.every)
		}
		next = max(next, uint64(time.Since(r.start)/r.every))
	}
	return next, r.start.Add(time.Duration(next) * r.every)
}

// draw renders instant n, or the oldest one kept when n is older, and returns
// which it was, and when: every apart from the one before.
func (r *Room) draw(dst *image.RGBA, cam int, n uint64, every time.Duration) (uint64, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n >= r.first+uint64(len(r.past)) {
		if !r.held {
			r.world.Step()
		}
		r.remember()
	}
	n = max(n, r.first)
	r.renderer.Render(dst, cam, r.past[n-r.first].objects, n)
	return n, r.start.Add(time.Duration(n) * every)
}

// roomView is one camera of a room.
type roomView struct {
	room *Room
	cam  int
	next uint64
	free chan *image.RGBA // released pictures
}

// Next implements [camera.Source].
func (v *roomView) Next(ctx context.Context) (camera.Frame, error) {
	if err := ctx.Err(); err != nil {
		return camera.Frame{}, err
	}
	every := time.Second
	if v.room.every > 0 {
		every = v.room.every
		var at time.Time
		v.next, at = v.room.due(v.next)
		wait := time.NewTimer(time.Until(at))
		defer wait.Stop()
		select {
		case <-ctx.Done():
			return camera.Frame{}, ctx.Err()
		case <-wait.C:
		}
	}
	var img *image.RGBA
	select {
	case img = <-v.free:
	default:
		img = image.NewRGBA(image.Rect(0, 0, Width, Height))
	}
	n, at := v.room.draw(img, v.cam, v.next, every)
	v.next = n + 1
	return camera.NewFrame(img, at, n, func() {
		select {
		case v.free <- img:
		default:
		}
	}), nil
}

// Close implements [camera.Source].
func (v *roomView) Close() error { return nil }
