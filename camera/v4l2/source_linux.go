package v4l2

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/camera"
)

// source is a camera that streams, or waits for its turn to.
type source struct {
	d      *device // nil while it waits
	seat   *seat   // on the bus; nil without one
	rung   int     // of the ladder
	path   string
	about  string
	shares [2]string         // what to say where cameras make room, and take turns
	party  int               // how many take turns in shares
	raw    camera.RawPicture // Format 0: JPEG
	size   int               // bytes of a raw picture
	from   *opener
	base   uint64        // Seq of the driver's picture 0
	first  bool          // no picture was seen yet
	seq    uint32        // the driver's number of the last picture
	stamp  time.Duration // and its time
	good   time.Time     // when the last good one came
	served bool          // one did, since it streams
	lately error         // what was wrong with the last bad one
}

// read takes in what the driver made of a mode.
func (s *source) read(m Mode, pix pixFormat) error {
	f, raw := m.Format.raw()
	s.about, s.raw, s.size = m.String(), camera.RawPicture{}, 0
	if !raw {
		if m.Format != fourCC("MJPG") && m.Format != fourCC("JPEG") {
			return fmt.Errorf("%s: the driver chose the format %v, which is not read", s.path, m.Format)
		}
		if s.from.opts.Decode == nil {
			return fmt.Errorf("%s: no decoder for JPEG was given", s.path)
		}
		return nil
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
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return nil
}

// begin takes pictures of a device that streams.
func (s *source) begin(d *device) {
	s.d, s.first, s.served, s.stamp, s.good, s.lately = d, true, false, 0, time.Now(), nil
	if b := s.from.bus.Load(); b != nil {
		s.shares[0] = fmt.Sprintf("makes room on the USB bus %s for its other cameras", b.name)
	}
}

// String tells the mode and how it came to be chosen, or how cameras share a bus. It
// does not change with each turn.
func (s *source) String() string {
	b := s.from.bus.Load()
	switch how, party := b.sharing(); how {
	case makingRoom:
		return s.shares[0]
	case inTurns:
		if s.party != party {
			turn := s.from.turn
			s.shares[1] = fmt.Sprintf("in turns of %v, as the USB bus %s has no room for its %d cameras together: pictures for %v of every %v",
				turn, b.name, party, turn, time.Duration(party)*turn)
			s.party = party
		}
		return s.shares[1]
	}
	return s.about
}

// share does what the cameras on the bus agreed on. It may stop this one, and start it again.
func (s *source) share(ctx context.Context) error {
	b := s.from.bus.Load()
	what := b.ask(s.from, s.seat, s.rung)
	switch {
	case what == goOn:
		return nil
	case what == climb:
		s.from.rung.Store(0)
	default:
		if how, _ := b.sharing(); how != inTurns {
			s.from.rung.Store(int64(s.rung + 1)) // there is no room for others beside this one
		}
	}
	// What a camera says when it is closed helps nobody.
	b.stand(s.from, s.seat, what == makeRoom, s.d.close)
	s.d = nil
	for {
		if what == makeRoom {
			if err := s.from.await(ctx); err != nil {
				return err
			}
		}
		if err := s.start(ctx); what == climb || !errors.Is(err, errAsks) {
			return err
		}
	}
}

// Next implements [camera.Source]: the newest good picture that the driver has.
// Bad ones are left out; a camera that sends nothing else fails.
func (s *source) Next(ctx context.Context) (camera.Frame, error) {
	if s.served {
		if err := s.share(ctx); err != nil {
			return camera.Frame{}, err
		}
	}
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
			s.good, s.lately, s.served = time.Now(), nil, true
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
func (s *source) Close() error {
	b := s.from.bus.Load()
	if s.d == nil {
		b.leave(s.from)
		return nil
	}
	return b.stand(s.from, s.seat, false, s.d.close)
}
