package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/internal/disk"
)

// Budgets, in bytes, where [Config] does not say.
const (
	DefaultDisk  int64 = 1 << 30
	DefaultDaily int64 = 3 << 30
	DefaultRAM   int64 = 32 << 20
)

// Config says what to keep. Zero values are replaced by the defaults named here.
type Config struct {
	Scene string   // at most 255 bytes
	Model [32]byte // fingerprint of the model whose memories are kept

	// Dir is the scene's folder, made when it is not there. Empty keeps
	// snapshots in RAM only.
	Dir string

	Interval time.Duration // how old the newest snapshot on disk may become; a minute
	Disk     int64         // bytes on disk; DefaultDisk
	Daily    int64         // bytes written in a day; DefaultDaily
	RAM      int64         // bytes of snapshots in RAM, beside the newest; DefaultRAM

	Clock clock.Clock // clock.System
	FS    disk.FS     // disk.OS

	// Report is told, in words for people, of files that were set aside, and when
	// saving begins to fail or works again. It may be called from any goroutine,
	// and not after Close has returned nil.
	Report func(text string)
}

// Moment is what [Store.Keep] is given after a frame set.
type Moment struct {
	Frame    uint64
	Time     time.Time // of the frame set
	Memories []Memory  // one or two; kept, not copied. The first answers

	// Magnitude is the largest absolute value in the first memory, Usual what it
	// was when that had settled, 0 before. The caller judges a memory by them.
	Magnitude, Usual float32
}

// Status is how a store is.
type Status struct {
	Ring, Disk           int           // snapshots in RAM and on disk
	RingBytes, DiskBytes int64         // their sizes
	Every                time.Duration // how old the newest on disk may become, as the daily budget allows
	Saved                Info          // the newest on disk; zero when there is none
	Written, Daily       int64         // bytes written in the last 24 hours, or since Open, and that may be written in a day
	Problem              string        // why nothing can be saved; empty when all is well
}

// Store keeps the snapshots of one scene. Its methods may be called from any
// goroutine; Keep from one.
type Store struct {
	cfg Config

	mu        sync.Mutex
	ring      []*Snapshot   // in RAM, in order
	infos     []Info        // scratch of thinRing
	disk      []Info        // of this scene, any model, in order
	scanned   bool          // disk is what the folder holds
	now       Info          // of the newest Keep, or of the newest file before the first
	gap       time.Duration // between the last two
	took      time.Duration // the last save
	saved     uint64        // Info.Seq of the newest that was saved
	tried     time.Duration // Info.Ran when a save was begun last
	begun     bool          // a save was tried since Open
	next      *Snapshot     // to be saved; a newer one replaces it
	credit    int64         // bytes that may be written, at Info.Ran creditAt
	creditAt  time.Duration
	written   clock.Day
	aside     []string // bad files
	forgotten uint64   // Info.Seq up to which nothing is to be found
	problem   string
	closed    bool

	files sync.Mutex // held while files come or go

	wake chan struct{} // holds a token when there may be something to save
	done chan struct{} // closed when the goroutine has ended
}

// Open opens the folder of a scene. A disk that cannot be read is no error: it
// is reported, and tried again with each save.
func Open(c Config) (*Store, error) {
	if len(c.Scene) > maxScene {
		return nil, fmt.Errorf("memory: a scene's name has %d bytes, more than %d", len(c.Scene), maxScene)
	}
	c.limit(c)
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.FS == nil {
		c.FS = disk.OS
	}
	if c.Report == nil {
		c.Report = func(string) {}
	}
	s := &Store{cfg: c, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if c.Dir == "" {
		close(s.done)
		return s, nil
	}
	s.settle(s.scan())
	go s.write(s.look())
	return s, nil
}

// Keep takes in what is remembered after a frame set and returns it as a
// snapshot. It never waits for the disk.
func (s *Store) Keep(m Moment) *Snapshot {
	taken := s.cfg.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	snap := &Snapshot{Memories: m.Memories, Info: Info{
		Seq: s.now.Seq + 1, Frame: m.Frame, Time: m.Time, Taken: taken, Ran: s.ran(taken),
		Model: s.cfg.Model, Magnitude: m.Magnitude, Usual: m.Usual,
	}}
	snap.Bytes = snap.size(s.cfg.Scene)
	s.gap = snap.Ran - s.now.Ran
	s.now = snap.Info
	s.ring = append(s.ring, snap)
	s.thinRing()
	if s.due(snap, snap.Ran, s.gap) {
		s.save(snap, snap.Ran)
	}
	return snap
}

// Limit sets Interval, Disk, Daily and RAM of [Config] anew. What is more than they allow goes with the
// next snapshot.
func (s *Store) Limit(c Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.limit(c)
}

func (c *Config) limit(l Config) {
	c.Interval = cmp.Or(max(l.Interval, 0), time.Minute)
	c.Disk = cmp.Or(max(l.Disk, 0), DefaultDisk)
	c.Daily = cmp.Or(max(l.Daily, 0), DefaultDaily)
	c.RAM = cmp.Or(max(l.RAM, 0), DefaultRAM)
}

// Ran returns how long the device has run since the first snapshot.
func (s *Store) Ran() time.Duration {
	now := s.cfg.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ran(now)
}

// ran goes on from the newest snapshot. When the device was started since, what
// it ran after that snapshot and before that start is not known and not counted.
func (s *Store) ran(now clock.Time) time.Duration {
	switch {
	case s.now.Seq == 0:
		return 0
	case now.Boot != s.now.Taken.Boot:
		return s.now.Ran + max(now.Up, 0)
	}
	return s.now.Ran + max(now.Up-s.now.Taken.Up, 0)
}

// diskTakesOver is the age from which snapshots on disk replace those in RAM.
const diskTakesOver = 10 * time.Minute

// maxRing bounds how many small snapshots are kept in RAM.
const maxRing = 512

// thinRing keeps the RAM's snapshots within their budget, the newest in any
// case. Those since the newest that was saved stay whatever their age.
func (s *Store) thinRing() {
	if n := len(s.disk); n > 0 {
		drop := 0
		for drop < len(s.ring)-1 && s.ring[drop].Seq <= s.disk[n-1].Seq && s.now.Ran-s.ring[drop].Ran > diskTakesOver {
			drop++
		}
		s.ring = append(s.ring[:0], s.ring[drop:]...)
	}
	var total int64
	infos := s.infos[:0]
	for _, e := range s.ring {
		infos = append(infos, e.Info)
		total += e.Bytes
	}
	s.infos = infos
	newest := s.ring[len(s.ring)-1].Bytes
	for total-newest > s.cfg.RAM || len(infos) > maxRing {
		i := least(infos, s.now.Ran, s.cfg.Model)
		total -= infos[i].Bytes
		infos = append(infos[:i], infos[i+1:]...)
		s.ring = append(s.ring[:i], s.ring[i+1:]...)
	}
	clear(s.ring[len(s.ring):cap(s.ring)]) // let go of what was dropped
}

// Every is how old the newest snapshot on disk may become when each has size bytes:
// Interval, or more where Daily does not suffice for that.
func (c Config) Every(size int64) time.Duration {
	const day = float64(24 * time.Hour)
	return max(c.Interval, time.Duration(min(day*float64(size)/float64(cmp.Or(c.Daily, DefaultDaily)), day)))
}

// due reports whether snap, the newest, is to be saved when the device has run for now:
// there is no later occasion, which may be gap from now, that is in time.
func (s *Store) due(snap *Snapshot, now, gap time.Duration) bool {
	if s.cfg.Dir == "" || s.closed || snap.Seq <= s.saved || s.canWrite(snap, now) < snap.Bytes {
		return false
	}
	return !s.begun || now+gap+s.took >= s.tried+s.cfg.Every(snap.Bytes)
}

// overdue has the newest snapshot saved that no later one has replaced: nothing may
// change for hours, and nothing be kept. It returns when to look again.
func (s *Store) overdue() (look time.Duration) {
	now := s.cfg.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.ring); n > 0 && s.due(s.ring[n-1], s.ran(now), s.look()) {
		s.save(s.ring[n-1], s.ran(now))
	}
	return s.look()
}

// look is the time between two looks for what is overdue.
func (s *Store) look() time.Duration { return max(s.cfg.Interval/8, time.Millisecond) }

// canWrite returns the bytes that the daily budget allows now. What is not used
// is kept for an hour, or for two snapshots where that is more.
func (s *Store) canWrite(snap *Snapshot, now time.Duration) int64 {
	most := max(s.cfg.Daily/24, 2*snap.Bytes)
	if s.creditAt == 0 && s.credit == 0 {
		return most // nothing was ever written
	}
	earned := float64(s.cfg.Daily) * float64(now-s.creditAt) / float64(24*time.Hour)
	return min(most, s.credit+int64(min(earned, float64(most))))
}

// save has the goroutine write snap.
func (s *Store) save(snap *Snapshot, now time.Duration) {
	s.credit = s.canWrite(snap, now) - snap.Bytes
	s.creditAt = now
	s.tried, s.begun = now, true
	s.next = snap
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Status tells how the store is.
func (s *Store) Status() Status {
	now := s.cfg.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Ring: len(s.ring), Disk: len(s.disk), Problem: s.problem, Every: s.cfg.Every(s.now.Bytes),
		Written: s.written.Sum(now), Daily: s.cfg.Daily,
	}
	for _, e := range s.ring {
		st.RingBytes += e.Bytes
	}
	for _, e := range s.disk {
		st.DiskBytes += e.Bytes
		if e.Model == s.cfg.Model {
			st.Saved = e
		}
	}
	return st
}

// SetModel says that snapshots are of another model from now on. Those of the one before stay, as
// the budgets allow, and are not found before SetModel names it again; the newest of them is saved.
func (s *Store) SetModel(model [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if model != s.cfg.Model {
		s.saveNewest()
		s.cfg.Model = model
	}
}

// saveNewest has the newest snapshot saved, as the daily budget allows.
func (s *Store) saveNewest() {
	n := len(s.ring)
	if n == 0 || s.closed || s.cfg.Dir == "" {
		return
	}
	newest, now := s.ring[n-1], s.ran(s.cfg.Clock())
	if newest.Seq > s.saved && s.next != newest && s.canWrite(newest, now) >= newest.Bytes {
		s.save(newest, now)
	}
}

// Close saves the newest snapshot, as the daily budget allows, and ends the
// store. When ctx ends first, its error is returned, and the goroutine ends when
// the disk lets it.
func (s *Store) Close(ctx context.Context) error {
	if s.cfg.Dir == "" {
		return nil
	}
	s.mu.Lock()
	s.saveNewest()
	if !s.closed {
		s.closed = true
		close(s.wake)
	}
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-ctx.Done():
		return fmt.Errorf("saving the memory of %s: %w", s.cfg.Scene, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem != "" {
		return errors.New(s.problem)
	}
	return nil
}

func (s *Store) path(name string) string { return filepath.Join(s.cfg.Dir, name) }
