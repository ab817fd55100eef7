package sim

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/visualrwkv/edged/camera"
)

// Rooms are live rooms by what sources are called, so that the views of one room
// show the same world. The zero value holds none.
type Rooms struct {
	mu    sync.Mutex
	rooms map[roomKey]*Room
}

type roomKey struct {
	seed  uint64
	views int
	every time.Duration
}

// demoViews is how many cameras a room has where its source does not say.
const demoViews = 2

// Kind understands what follows "sim:" in a spec, SEED/CAMERA or
// SEEDxCAMERAS/CAMERA: the camera front, side, corner or top of the room of this
// seed, in which so many of them are in use, two if it does not say. The world goes
// on Options.Rate times a second, once if that is zero, and lives as long as r:
// a view that is opened again goes on with the present.
func (r *Rooms) Kind(rest string, o *camera.Options) (camera.Kind, error) {
	key, cam, err := parseRoom(rest)
	if err != nil {
		return camera.Kind{}, err
	}
	key.every = time.Second
	if o.Rate > 0 {
		key.every = max(time.Duration(float64(time.Second)/o.Rate), time.Millisecond)
	}
	return camera.Kind{
		Patience: key.every + 10*time.Second,
		Open:     func(context.Context) (camera.Source, error) { return r.room(key).view(cam), nil },
	}, nil
}

func (r *Rooms) room(key roomKey) *Room {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := r.rooms[key]
	if room == nil {
		if r.rooms == nil {
			r.rooms = map[roomKey]*Room{}
		}
		room = NewRoom(key.seed, key.views, key.every, true)
		r.rooms[key] = room
	}
	return room
}

func parseRoom(rest string) (key roomKey, cam int, err error) {
	seed, name, ok := strings.Cut(rest, "/")
	if !ok {
		return key, 0, errors.New("want SEED/CAMERA, such as sim:1/front")
	}
	seed, views, given := strings.Cut(seed, "x")
	if key.seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
		return key, 0, fmt.Errorf("the seed of a room is a number, not %q", seed)
	}
	key.views = demoViews
	all := Cameras()
	if given {
		if key.views, err = strconv.Atoi(views); err != nil || key.views < 1 || key.views > len(all) {
			return key, 0, fmt.Errorf("a room has 1 to %d cameras, not %q", len(all), views)
		}
	}
	var names []string
	for i, c := range all[:key.views] {
		if c.Name == name {
			return key, i, nil
		}
		names = append(names, c.Name)
	}
	return key, 0, fmt.Errorf("this room has no camera %q; it has %s", name, strings.Join(names, ", "))
}
