package v4l2

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
)

// opener opens one camera, again and again. An attempt that hangs may still use
// it while the next one does.
type opener struct {
	spec string
	opts *camera.Options
	pics *camera.Pictures
	rung atomic.Int64  // of the ladder, that had room on the bus last time
	seq  atomic.Uint64 // of the next picture
	bad  atomic.Uint64 // pictures that came damaged
	gone atomic.Bool   // the last attempt found no such camera

	bus    atomic.Pointer[bus]
	turn   time.Duration // how long it streams where cameras take turns
	retry  time.Duration // after which it asks for more than it has
	made   time.Time
	idle   atomic.Bool  // an attempt waits for its turn
	waited atomic.Int64 // when one did last, in nanoseconds since made

	// Of the bus.
	seen  uint64    // its epoch when this camera tried last
	lone  int       // times it was refused while no other streamed
	alone time.Time // when that was last
}

const (
	// settle is how long a camera may take to its next good picture. Webcams need
	// up to two seconds for their first one.
	settle = 4 * time.Second

	// repeats is far longer than what two equal pictures of a sensor are apart.
	repeats = 10 * time.Second

	// turn is long enough for a camera to find its exposure, and short enough for
	// views that take turns to be worth having.
	turn = 3 * time.Second

	// retry is how long a camera puts up with less than it wishes for before it asks again: that
	// costs it the pictures of a second or two.
	retry = 10 * time.Minute
)

func newOpener(spec string, o *camera.Options) *opener {
	return &opener{spec: spec, opts: o, pics: camera.NewPictures(o), turn: turn, retry: retry, made: time.Now()}
}

func kind(spec string, o *camera.Options) (camera.Kind, error) { return newOpener(spec, o).kind(), nil }

func (p *opener) kind() camera.Kind {
	return camera.Kind{Open: p.open, Wait: p.wait, Waited: p.lastWaited, Bad: p.bad.Load, Repeats: repeats}
}

// wait waits for d, or shorter when there may be room on the bus, or when the
// camera may have been plugged in.
func (p *opener) wait(ctx context.Context, d time.Duration) bool {
	if b := p.bus.Load(); b.waits(p) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return b.wait(ctx, p) == nil
	}
	return waitPlugged(ctx, d, func() bool {
		if !p.gone.Load() {
			return false
		}
		_, err := locate(p.spec)
		return err == nil
	})
}

// await waits until a camera that made room for others may try again.
func (p *opener) await(ctx context.Context) error {
	p.idle.Store(true)
	defer func() {
		p.waited.Store(int64(time.Since(p.made)))
		p.idle.Store(false)
	}()
	return p.bus.Load().wait(ctx, p)
}

func (p *opener) lastWaited() time.Time {
	if p.idle.Load() {
		return time.Now()
	}
	return p.made.Add(time.Duration(p.waited.Load()))
}

func (p *opener) open(ctx context.Context) (camera.Source, error) {
	path, err := locate(p.spec)
	p.gone.Store(err != nil)
	if err != nil {
		p.unplugged()
		return nil, err
	}
	s := &source{path: path, from: p}
	if err := s.start(ctx); err != nil {
		if errors.Is(err, unix.ENODEV) {
			p.unplugged()
		}
		return nil, err
	}
	return s, nil
}

// unplugged forgets what was learned of a bus: when the camera comes back it may
// be in another port.
func (p *opener) unplugged() {
	p.rung.Store(0)
	p.bus.Load().leave(p)
}

// errAsks is what follows when a camera found no room.
var errAsks = errors.New("the other cameras there are asked to make some")

// start goes down the ladder from where there was room last time. Where cameras
// take turns it goes down from the top: it may be alone.
func (s *source) start(ctx context.Context) error {
	p := s.from
	b := p.bus.Load() // nil at first: it is the camera that tells
	how, _ := b.sharing()
	turns, top := how == inTurns, 0
	if !turns {
		top = int(p.rung.Load())
	}
	epoch, again := b.attempt(), true
	defer b.end()
	for rung := top; ; rung++ {
		left, err := s.try(rung)
		if err == nil && rung > top && again && b.missed(epoch) {
			// There may be room for more than this.
			s.d.close()
			s.d = nil
			rung, again = top-1, false
			continue
		}
		if err == nil {
			if s.rung = rung; !turns {
				p.rung.Store(int64(rung))
			}
			s.seat = p.bus.Load().sit(p, left == 0)
			return nil
		}
		if !errors.Is(err, unix.ENOSPC) || ctx.Err() != nil {
			return err
		}
		if left > 0 {
			continue
		}
		if p.bus.Load().refuse(p, b != nil) {
			return fmt.Errorf("%w; %w", err, errAsks)
		}
		p.rung.Store(0)
		return err
	}
}

// try opens the camera and starts it on a rung of the ladder. It says how many
// rungs are left below it.
func (s *source) try(rung int) (left int, err error) {
	p, path := s.from, s.path
	d, err := openDevice(path)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	var c capability
	if err := ioctl(d.fd, reqQueryCap, &c); err != nil {
		return 0, &nodeError{path, "ask", err}
	}
	if why := c.unusable(); why != "" {
		return 0, fmt.Errorf("%s: %s", path, why)
	}
	p.bus.Store(busOf(text(c.busInfo[:])))
	w, h := p.opts.Width, p.opts.Height
	if w == 0 || h == 0 {
		w, h = defaultWidth, defaultHeight
	}
	formats := d.formats(FourCC.usable)
	rungs := ladder(formats, w, h, p.opts.Rate)
	if len(rungs) == 0 {
		return 0, fmt.Errorf("%s: %s", path, cannotRead(formats))
	}
	rung = min(rung, len(rungs)-1)
	mode, left := rungs[rung], len(rungs)-1-rung
	pix, err := d.setMode(mode)
	if err != nil {
		if errors.Is(err, unix.EBUSY) {
			return 0, fmt.Errorf("%w%s", &nodeError{path, "set the format", err}, holder(path))
		}
		return 0, &nodeError{path, "set the format", err}
	}
	if mode.Rate > 0 {
		// A camera that does not know this call has one rate.
		if err := d.cam.SetFramerate(float32(mode.Rate)); err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EINVAL) {
			return 0, &nodeError{path, "set the rate", err}
		}
	}
	if err := d.setControls(p.opts.Controls); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	mode.Format, mode.Width, mode.Height = FourCC(pix.pixelformat), int(pix.width), int(pix.height)
	if err := s.read(mode, pix); err != nil {
		return 0, err
	}
	if err := d.start(); err != nil {
		return left, &nodeError{path, "start", err}
	}
	if rung > 0 {
		s.about += fmt.Sprintf(", as its USB bus has no room for %v", rungs[rung-1])
	}
	s.begin(d)
	return left, nil
}
