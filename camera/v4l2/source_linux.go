package v4l2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
)

// source is a camera that streams.
type source struct {
	d      *device
	path   string
	about  string
	raw    camera.RawPicture // Format 0: JPEG
	size   int               // bytes of a raw picture
	from   *opener
	base   uint64        // Seq of the driver's picture 0
	first  bool          // no picture was seen yet
	seq    uint32        // the driver's number of the last picture
	stamp  time.Duration // and its time
	good   time.Time     // when the last good one came
	lately error         // what was wrong with the last bad one
}

func newSource(d *device, path string, m Mode, pix pixFormat, p *opener) (*source, error) {
	s := &source{d: d, path: path, about: m.String(), from: p, first: true, good: time.Now()}
	f, raw := m.Format.raw()
	if !raw {
		if m.Format != fourCC("MJPG") && m.Format != fourCC("JPEG") {
			return nil, fmt.Errorf("%s: the driver chose the format %v, which is not read", path, m.Format)
		}
		if p.opts.Decode == nil {
			return nil, fmt.Errorf("%s: no decoder for JPEG was given", path)
		}
		return s, nil
	}
	s.raw = camera.RawPicture{
		Format: f, Width: m.Width, Height: m.Height, Stride: int(pix.bytesperline),
		FullRange: pix.quantization == quantizationFullRange || pix.quantization == 0 && pix.colorspace == colorspaceJPEG,
	}
	if s.raw.Stride == 0 { // some drivers leave it out where rows are not padded
		s.raw.Stride = m.Width
		if f == camera.YUYV || f == camera.UYVY {
			s.raw.Stride = 2 * m.Width
		}
	}
	var err error
	if s.size, err = s.raw.Size(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// String tells the mode and how it came to be chosen.
func (s *source) String() string { return s.about }

// Next implements [camera.Source]: the newest good picture that the driver has.
// Bad ones are left out; a camera that sends nothing else fails.
func (s *source) Next(ctx context.Context) (camera.Frame, error) {
	for {
		left := settle - time.Since(s.good)
		if left <= 0 {
			return camera.Frame{}, s.silent()
		}
		// Short waits, so that the end of ctx is noticed.
		ready, err := s.d.wait(min(left, 100*time.Millisecond))
		if err != nil {
			return camera.Frame{}, &nodeError{s.path, "wait", err}
		}
		if err := ctx.Err(); err != nil {
			return camera.Frame{}, err
		}
		if !ready {
			continue
		}
		f, ok, err := s.newest()
		if err != nil {
			return camera.Frame{}, &nodeError{s.path, "take a picture", err}
		}
		if ok {
			s.good, s.lately = time.Now(), nil
			return f, nil
		}
	}
}

func (s *source) silent() error {
	if s.lately != nil {
		return fmt.Errorf("%s: no good picture for %v: %w", s.path, settle, s.lately)
	}
	return fmt.Errorf("%s: no picture for %v", s.path, settle)
}

// newest empties the driver's queue and keeps the last good picture.
func (s *source) newest() (f camera.Frame, ok bool, err error) {
	defer func() {
		if err != nil && ok {
			f.Release()
			f, ok = camera.Frame{}, false
		}
	}()
	for range buffers {
		b, data, filled, err := s.d.dequeue()
		if err != nil || !filled {
			return f, ok, err
		}
		g, bad := s.picture(&b, data)
		if bad != nil {
			s.lately = bad
			s.from.bad.Add(1)
		} else {
			if ok {
				f.Release()
			}
			f, ok = g, true
		}
		if err := s.d.requeue(b); err != nil {
			return f, ok, err
		}
	}
	return f, ok, nil
}

// picture makes a frame of what the driver filled, or says what is wrong with it.
func (s *source) picture(b *buffer, data []byte) (camera.Frame, error) {
	now := time.Now()
	stamp := time.Duration(b.timestamp.Nano())
	s.count(b.sequence)
	if b.flags&flagError != 0 {
		return camera.Frame{}, errors.New("the driver marked it as damaged")
	}
	at, ok := exposure(now, b.flags, stamp)
	if ok {
		if stamp <= s.stamp && s.stamp != 0 {
			return camera.Frame{}, errors.New("its time stamp goes back")
		}
		s.stamp = stamp
	}
	seq := s.base + uint64(b.sequence)
	// A copy: what a driver maps is gone when the camera is.
	p := s.from.pics.Take()
	if s.raw.Format == 0 {
		p.Data = append(p.Data, data...)
		return p.JPEG(at, seq)
	}
	p.Data = append(p.Data, data[:min(len(data), s.size)]...)
	return p.Raw(s.raw, at, seq)
}

// count follows the driver's numbers, which begin anew with each stream and wrap
// around; a Seq never goes back.
func (s *source) count(n uint32) {
	switch {
	case s.first:
		s.first = false
		s.base = s.from.seq.Load() - uint64(n)
	case n < s.seq:
		s.base += 1 << 32
	}
	s.seq = n
	s.from.seq.Store(s.base + uint64(n) + 1)
}

// exposure is the instant of a picture. Drivers stamp with the monotonic clock;
// a stamp of another clock, or one that cannot be, is no better than now.
func exposure(now time.Time, flags uint32, stamp time.Duration) (time.Time, bool) {
	if flags&flagTimeMask != flagTimeMonotonic {
		return now, false
	}
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return now, false
	}
	age := time.Duration(ts.Nano()) - stamp
	if age < 0 || age > 10*time.Second {
		return now, false
	}
	return now.Add(-age), true
}

// Close implements [camera.Source].
func (s *source) Close() error { return s.d.close() }
