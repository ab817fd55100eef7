package memory

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
)

// ErrNone is wrapped by the error that no snapshot is what was asked for.
var ErrNone = errors.New("no snapshot")

// Newest returns the newest snapshot that fits and that use takes without an
// error. Those on disk that turn out to be damaged, or that use refuses, are set
// aside.
func (s *Store) Newest(fits func(Info) bool, use func(*Snapshot) error) (*Snapshot, error) {
	all := s.List()
	for _, i := range slices.Backward(all) {
		if !fits(i) {
			continue
		}
		snap, err := s.get(i)
		if err != nil {
			continue
		}
		if err := use(snap); err == nil {
			return snap, nil
		} else {
			s.refuse(i, err)
		}
	}
	s.mu.Lock()
	others := len(slices.DeleteFunc(slices.Clone(s.disk), func(i Info) bool { return i.Model == s.cfg.Model }))
	s.mu.Unlock()
	if others > 0 && len(all) == 0 {
		return nil, fmt.Errorf("%w of this model in %s; %d of other models are kept", ErrNone, s.cfg.Dir, others)
	}
	return nil, ErrNone
}

// Before returns the newest snapshot that is at least so old.
func (s *Store) Before(age time.Duration) (*Snapshot, error) {
	now := s.cfg.Clock()
	return s.find(func(i Info, _ map[clock.Boot]clock.Time) bool { return s.age(i, now) >= age })
}

// At returns the newest snapshot that was taken at t or before.
func (s *Store) At(t time.Time) (*Snapshot, error) {
	now := s.cfg.Clock()
	return s.find(func(i Info, anchors map[clock.Boot]clock.Time) bool { return !wall(i, now, anchors).After(t) })
}

// find returns the newest snapshot for which old holds. A damaged one is passed
// over for one before it.
func (s *Store) find(old func(i Info, anchors map[clock.Boot]clock.Time) bool) (*Snapshot, error) {
	all := s.List()
	anchors := map[clock.Boot]clock.Time{}
	for _, i := range all {
		if i.Taken.Trusted {
			anchors[i.Taken.Boot] = i.Taken
		}
	}
	// Before one that is old enough all are, whatever a clock said then.
	found := false
	for _, i := range slices.Backward(all) {
		if found = found || old(i, anchors); !found {
			continue
		}
		if snap, err := s.get(i); err == nil {
			return snap, nil
		}
	}
	if len(all) == 0 {
		return nil, ErrNone
	}
	return nil, fmt.Errorf("%w from before that; the oldest was taken %v", ErrNone, ago(s.age(all[0], s.cfg.Clock())))
}

// Age returns how long before now a snapshot was taken. Where clocks do not tell,
// it is how long the device has run since.
func (s *Store) Age(i Info) time.Duration { return s.age(i, s.cfg.Clock()) }

func (s *Store) age(i Info, now clock.Time) time.Duration {
	age, sure := i.Taken.Age(now)
	if sure {
		return age
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ran(now) - i.Ran
}

// wall is when i was taken as far as can be known now: of this start of the
// device by its present clock, of another one by what its clock was when it could
// be trusted, or by what it showed.
func wall(i Info, now clock.Time, anchors map[clock.Boot]clock.Time) time.Time {
	from := now
	if i.Taken.Boot != now.Boot {
		var ok bool
		if from, ok = anchors[i.Taken.Boot]; !ok {
			return i.Taken.Wall
		}
	}
	return from.Wall.Add(i.Taken.Up - from.Up)
}

// ago is an age for people.
func ago(d time.Duration) string { return d.Round(time.Second).String() + " ago" }

// List returns the snapshots of this model, those in RAM and those on disk, in
// their order.
func (s *Store) List() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all, rest []Info
	for _, e := range s.ring {
		if e.Model == s.cfg.Model {
			rest = append(rest, e.Info)
		}
	}
	for _, i := range s.disk {
		if i.Model != s.cfg.Model {
			continue
		}
		for len(rest) > 0 && rest[0].Seq <= i.Seq {
			if rest[0].Seq < i.Seq {
				all = append(all, rest[0])
			}
			rest = rest[1:]
		}
		i.Disk = true
		all = append(all, i)
	}
	return append(all, rest...)
}

// get returns a snapshot of the list, which may have gone in the meantime.
func (s *Store) get(i Info) (*Snapshot, error) {
	s.mu.Lock()
	k := slices.IndexFunc(s.ring, func(e *Snapshot) bool { return e.Seq == i.Seq })
	if k >= 0 {
		defer s.mu.Unlock()
		return s.ring[k], nil
	}
	s.mu.Unlock()
	return s.load(i)
}

// refuse sets a snapshot aside that its model would not take.
func (s *Store) refuse(i Info, why error) {
	s.mu.Lock()
	s.ring = slices.DeleteFunc(s.ring, func(e *Snapshot) bool { return e.Seq == i.Seq })
	onDisk := slices.ContainsFunc(s.disk, func(e Info) bool { return e.Seq == i.Seq })
	s.mu.Unlock()
	if onDisk {
		s.setAside(fileName(i.Seq), why)
	} else {
		s.cfg.Report(fmt.Sprintf("snapshot %d of %s: %v; it is not used", i.Seq, s.cfg.Scene, why))
	}
}
