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
}

// settle is how long a camera may take to its next good picture. Webcams need up
// to two seconds for their first one.
const settle = 4 * time.Second

// repeats is far longer than what two equal pictures of a sensor are apart.
const repeats = 10 * time.Second

func newOpener(spec string, o *camera.Options) *opener {
	return &opener{spec: spec, opts: o, pics: camera.NewPictures(o.Decode)}
}

func kind(spec string, o *camera.Options) (camera.Kind, error) {
	p := newOpener(spec, o)
	return camera.Kind{Open: p.open, Wait: p.wait, Bad: p.bad.Load, Repeats: repeats}, nil
}

// wait waits for d, or shorter when the camera may have been plugged in.
func (p *opener) wait(ctx context.Context, d time.Duration) bool {
	return waitPlugged(ctx, d, func() bool {
		if !p.gone.Load() {
			return false
		}
		_, err := locate(p.spec)
		return err == nil
	})
}

// open goes down the ladder from where there was room last time.
func (p *opener) open(ctx context.Context) (camera.Source, error) {
	path, err := locate(p.spec)
	p.gone.Store(err != nil)
	if err != nil {
		p.rung.Store(0) // when it comes back it may be in another port
		return nil, err
	}
	for {
		s, left, err := p.try(path, int(p.rung.Load()))
		if err == nil {
			return s, nil
		}
		if errors.Is(err, unix.ENODEV) {
			p.rung.Store(0)
		}
		if !errors.Is(err, unix.ENOSPC) || ctx.Err() != nil {
			return nil, err
		}
		if left == 0 {
			p.rung.Store(0)
			return nil, err
		}
		p.rung.Add(1)
	}
}

// try opens the camera and starts it on a rung of the ladder. It says how many
// rungs are left below it.
func (p *opener) try(path string, rung int) (_ camera.Source, left int, err error) {
	d, err := openDevice(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	var c capability
	if err := ioctl(d.fd, reqQueryCap, &c); err != nil {
		return nil, 0, &nodeError{path, "ask", err}
	}
	if why := c.unusable(); why != "" {
		return nil, 0, fmt.Errorf("%s: %s", path, why)
	}
	w, h := p.opts.Width, p.opts.Height
	if w == 0 || h == 0 {
		w, h = defaultWidth, defaultHeight
	}
	formats := d.formats(FourCC.usable)
	rungs := ladder(formats, w, h, p.opts.Rate)
	if len(rungs) == 0 {
		return nil, 0, fmt.Errorf("%s: %s", path, cannotRead(formats))
	}
	rung = min(rung, len(rungs)-1)
	mode, left := rungs[rung], len(rungs)-1-rung
	pix, err := d.setMode(mode)
	if err != nil {
		if errors.Is(err, unix.EBUSY) {
			return nil, 0, fmt.Errorf("%w%s", &nodeError{path, "set the format", err}, holder(path))
		}
		return nil, 0, &nodeError{path, "set the format", err}
	}
	if mode.Rate > 0 {
		// A camera that does not know this call has one rate.
		if err := d.cam.SetFramerate(float32(mode.Rate)); err != nil && !errors.Is(err, unix.ENOTTY) && !errors.Is(err, unix.EINVAL) {
			return nil, 0, &nodeError{path, "set the rate", err}
		}
	}
	if err := d.setControls(p.opts.Controls); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	mode.Format, mode.Width, mode.Height = FourCC(pix.pixelformat), int(pix.width), int(pix.height)
	s, err := newSource(d, path, mode, pix, p)
	if err != nil {
		return nil, 0, err
	}
	if err := d.start(); err != nil {
		return nil, left, &nodeError{path, "start", err}
	}
	if rung > 0 {
		s.about += fmt.Sprintf(", as its USB bus has no room for %v", rungs[rung-1])
	}
	return s, left, nil
}
