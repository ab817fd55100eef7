package v4l2

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// bus is what the cameras of this process on one USB bus agree on, where it has no room
// for all of them. Who finds no room, having asked for less and less, waits. A camera that
// streams and could do with less stops at once for those who wait, and starts again with
// less when they have. When all have the least and one still waits they take turns, in
// which each takes what it can get.
//
// Nobody waits for a camera to do something: one that hangs is passed over.
type bus struct {
	name string

	mu      sync.Mutex
	live    map[*opener]*seat // who streams
	waiting []waiter          // who found no room, longest first
	turns   bool
	party   int           // how many take turns
	met     time.Time     // when they were so many last
	asked   time.Time     // when somebody waited for a turn last
	trying  int           // who starts to stream
	closing int           // who stops
	epoch   uint64        // counts the times that somebody stopped, or the first one waiting got room
	changed chan struct{} // closed at the next one
}

// maxLone is how often a camera may be refused while no other streams before it asks none to
// make room, for a while.
const maxLone = 3

// forgetful is how long a camera is waited with that does not ask any more.
const forgetful = 15 * time.Second

// seat is a place on a bus.
type seat struct {
	since  time.Time
	least  bool      // it asks for as little as it can
	beside int       // the most cameras that were there too
	fewer  time.Time // since when there are fewer
}

type waiter struct {
	*opener
	asked time.Time // when it found no room last, or made some
}

// buses are those of the machine by name. It has few, and they stay.
var buses = struct {
	sync.Mutex
	m map[string]*bus
}{m: map[string]*bus{}}

// busOf finds the bus in a driver's bus_info: "usb-0000:00:14.0-1.2" is port 2 of the hub
// at port 1 of a controller. Its USB 2 and USB 3 halves share a name, and are taken for one
// bus. It is nil for what is on none.
func busOf(info string) *bus {
	at := strings.LastIndexByte(info, '-')
	if at < 0 || !strings.HasPrefix(info, "usb-") {
		return nil
	}
	buses.Lock()
	defer buses.Unlock()
	b := buses.m[info[:at]]
	if b == nil {
		b = &bus{name: info[:at], live: map[*opener]*seat{}, changed: make(chan struct{})}
		buses.m[b.name] = b
	}
	return b
}

// change tells those who wait. The caller has the lock.
func (b *bus) change() {
	b.epoch++
	close(b.changed)
	b.changed = make(chan struct{})
}

// forget takes p out of those who wait, and those who have not asked for long, whose camera
// was closed. The caller has the lock.
func (b *bus) forget(p *opener) {
	first := len(b.waiting) > 0 && b.waiting[0].opener == p
	now := time.Now()
	b.waiting = slices.DeleteFunc(b.waiting, func(w waiter) bool { return w.opener == p || now.Sub(w.asked) > forgetful })
	if first {
		b.change()
	}
}

// leave ends the waiting of a camera that is not there.
func (b *bus) leave(p *opener) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(p)
}

// attempt notes that a camera begins to look for room, and returns the epoch.
func (b *bus) attempt() uint64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying++
	return b.epoch
}

// missed reports whether somebody stopped since an attempt began, or is about to have.
func (b *bus) missed(epoch uint64) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closing > 0 || b.epoch != epoch
}

// end notes that an attempt ended.
func (b *bus) end() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying--
}

// sit notes that p streams.
func (b *bus) sit(p *opener, least bool) *seat {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(p)
	p.lone = 0
	s := &seat{since: time.Now(), least: least}
	b.live[p] = s
	return s
}

// stand ends the stream with seat s by a call of stop, and has p wait for another one if it
// does so for others.
func (b *bus) stand(p *opener, s *seat, waits bool, stop func() error) error {
	if b == nil {
		return stop()
	}
	b.mu.Lock()
	if b.live[p] == s { // and not that of a later attempt
		delete(b.live, p)
	}
	if waits {
		b.waiting = append(b.waiting, waiter{p, time.Now()})
	}
	b.closing++
	b.mu.Unlock()
	err := stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closing--
	b.change()
	p.seen = b.epoch
	return err
}

// refuse notes that there was no room for the least that p can ask for; attempted: in an
// attempt that the bus knows of. It is false when no other camera of this process can make
// some.
func (b *bus) refuse(p *opener, attempted bool) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	others, all := b.trying, true
	if attempted {
		others--
	}
	for o, s := range b.live {
		if o != p {
			others++
			all = all && s.least
		}
	}
	if others == 0 {
		p.lone, p.alone = p.lone+1, time.Now()
	}
	// Where other programs have the room, nothing that is done here gives more of it.
	if others == 0 || p.lone >= maxLone && time.Since(p.alone) < time.Minute {
		b.forget(p)
		return false
	}
	b.turns, b.asked = b.turns || all, time.Now()
	defer b.meet(p.turn)
	if i := slices.IndexFunc(b.waiting, func(w waiter) bool { return w.opener == p }); i >= 0 {
		b.waiting[i].asked = time.Now()
	} else {
		b.waiting = append(b.waiting, waiter{p, time.Now()})
	}
	p.seen = b.epoch
	return true
}

// meet counts who takes turns. Who is gone for long is gone. The caller has the lock.
func (b *bus) meet(turn time.Duration) {
	n := len(b.live) + len(b.waiting)
	if n >= b.party || time.Since(b.met) > 10*turn {
		b.party, b.met = n, time.Now()
	}
}

// verdict is what a camera that streams on a rung of its ladder is to do.
type verdict int

const (
	goOn     verdict = iota
	makeRoom         // stop, and wait for a place
	climb            // start again, from the top of the ladder
)

// ask tells p what to do. Where nobody waited for long there is no need for turns any more,
// and where there were more cameras before, or long ago, there may be room for more pictures.
func (b *bus) ask(p *opener, s *seat, rung int) verdict {
	if b == nil {
		return goOn
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(p)
	now, long := time.Now(), 10*p.turn
	others := len(b.live) - 1 + len(b.waiting)
	if others >= s.beside {
		s.beside, s.fewer = others, now
	}
	switch {
	case len(b.waiting) == 0:
		if b.turns && now.Sub(b.asked) > long || now.Sub(s.fewer) > long {
			b.turns, b.party, s.beside, s.fewer = false, 0, others, now
			if rung > 0 {
				return climb
			}
		}
		// What other programs took of the bus they may have given back.
		if rung > 0 && now.Sub(s.since) > p.retry {
			return climb
		}
	case b.turns:
		b.meet(p.turn)
		if b.asked = now; now.Sub(s.since) >= p.turn {
			return makeRoom
		}
	case !s.least && slices.ContainsFunc(b.waiting, func(w waiter) bool { return w.asked.After(s.since) }):
		// Others who wait have had no time yet to try beside this one.
		return makeRoom
	}
	return goOn
}

// waits reports whether p waits for room.
func (b *bus) waits(p *opener) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.waiting, func(w waiter) bool { return w.opener == p })
}

// sharing says how the cameras share the bus; the words stay as they are while they look for
// how, and while so many take turns.
func (b *bus) sharing() (how sharing, party int) {
	if b == nil {
		return alone, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.turns:
		return inTurns, b.party
	case len(b.waiting) > 0:
		return makingRoom, 0
	}
	return alone, 0
}

// sharing is how the cameras of a bus get on.
type sharing int

const (
	alone      sharing = iota // there is room for all
	makingRoom                // some wait, and the others come down
	inTurns                   // there is none for all, and they take turns
)

// wait waits until p, which found no room or made some, may try: it is the first and
// something has changed, or it has waited for as long as a turn takes, whoever is before it.
func (b *bus) wait(ctx context.Context, p *opener) error {
	t := time.NewTimer(p.turn)
	defer t.Stop()
	for {
		b.mu.Lock()
		changed := b.changed
		try := b.epoch != p.seen && (len(b.waiting) == 0 || b.waiting[0].opener == p)
		p.seen = b.epoch
		b.mu.Unlock()
		if try {
			return nil
		}
		select {
		case <-changed:
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
