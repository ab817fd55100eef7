package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/visualrwkv/edged/internal/disk"
)

// Names of files: the snapshot's number in 16 hexadecimal digits, so that names
// are in the order of numbers.
const (
	suffix = ".snap"
	aside  = ".bad" // after suffix: set aside, see maxAside
)

// maxAside is how many bad files are left for whoever wants to know what happened
// to them.
const maxAside = 2

func fileName(seq uint64) string { return fmt.Sprintf("%016x%s", seq, suffix) }

// fileSeq is the reverse of fileName.
func fileSeq(name string) (seq uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 16, 64)
	return seq, err == nil && name == fileName(seq)
}

// write is the goroutine that saves.
func (s *Store) write(look time.Duration) {
	defer close(s.done)
	tick := time.NewTimer(look)
	defer tick.Stop()
	for {
		select {
		case _, open := <-s.wake:
			s.writeNext()
			if !open {
				return
			}
		case <-tick.C:
			tick.Reset(s.overdue())
		}
	}
}

func (s *Store) writeNext() {
	s.mu.Lock()
	idle, scanned := s.next == nil, s.scanned
	s.mu.Unlock()
	if idle {
		return
	}
	var err error
	if !scanned {
		err = s.scan()
	}
	s.mu.Lock()
	next := s.next // with the number that scan gave it; nil: forgotten meanwhile
	s.next = nil
	var snap Snapshot
	if next != nil {
		snap = *next
		snap.credit = s.credit
	}
	s.mu.Unlock()
	if err == nil && next != nil {
		err = s.put(&snap)
	}
	s.settle(err)
}

// settle keeps and reports how saving goes.
func (s *Store) settle(err error) {
	problem := ""
	if err != nil {
		problem = fmt.Sprintf("the memory of %s cannot be saved in %s: %s", s.cfg.Scene, s.cfg.Dir, disk.Reason(err))
	}
	s.mu.Lock()
	before := s.problem
	s.problem = problem
	s.mu.Unlock()
	switch {
	case problem == before:
	case problem == "":
		s.cfg.Report("the memory of " + s.cfg.Scene + " is saved again")
	default:
		s.cfg.Report(problem + "; watching goes on, and saving is tried again")
	}
}

// errBudget says that the bytes on disk do not suffice.
var errBudget = errors.New("the budget is too small")

// put saves snap and what its place in the budget asks for.
func (s *Store) put(snap *Snapshot) error {
	s.files.Lock()
	defer s.files.Unlock()
	start := s.cfg.Clock()
	s.mu.Lock()
	budget := s.cfg.Disk
	drop := thin(s.disk, snap.Ran, budget-snap.Bytes, s.cfg.Model)
	s.mu.Unlock()
	if 2*snap.Bytes > budget {
		return fmt.Errorf("%w: a snapshot has %d bytes, and two need room in %d", errBudget, snap.Bytes, budget)
	}
	for _, d := range drop {
		if err := s.cfg.FS.Remove(s.path(fileName(d.Seq))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.mu.Lock()
		s.disk = slices.DeleteFunc(s.disk, func(i Info) bool { return i.Seq == d.Seq })
		s.mu.Unlock()
	}
	const block = 4096 // of which disks write whole ones
	s.mu.Lock()
	s.written.Add(start, (snap.Bytes+block-1)/block*block)
	s.mu.Unlock()
	if err := disk.Replace(s.cfg.FS, s.path(fileName(snap.Seq)), snap.encode(s.cfg.Scene)...); err != nil {
		return err
	}
	took, _ := start.Age(s.cfg.Clock())
	s.mu.Lock()
	if snap.Seq > s.forgotten { // else it is about to be erased
		s.disk = append(s.disk, snap.Info)
	}
	s.saved, s.took = snap.Seq, took
	s.mu.Unlock()
	return nil
}

// scan learns what the folder holds.
func (s *Store) scan() error {
	s.files.Lock()
	defer s.files.Unlock()
	found, err := s.heads()
	if err != nil {
		return err
	}
	for removed := false; !s.learn(found, removed); removed = true {
		if found, err = nil, s.remove(maxSeq); err != nil {
			return err
		}
	}
	return nil
}

// learn takes what was found in the folder. false: it was to be forgotten before that was known, and is to be removed.
func (s *Store) learn(found []Info, removed bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forgotten == maxSeq {
		if !removed {
			return false
		}
		s.aside, s.forgotten = nil, 0
	}
	s.disk, s.scanned = found, true
	if n := len(found); n > 0 {
		s.goOn(found[n-1])
	}
	return true
}

// heads reads the beginnings of the folder's files.
func (s *Store) heads() (found []Info, err error) {
	if err := s.cfg.FS.MkdirAll(s.cfg.Dir); err != nil {
		return nil, err
	}
	names, err := s.cfg.FS.Names(s.cfg.Dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		switch seq, ok := fileSeq(name); {
		case strings.HasSuffix(name, disk.Temp):
			s.cfg.FS.Remove(s.path(name)) // left by a power cut; the next start removes it too
		case strings.HasSuffix(name, suffix+aside):
			s.keepAside(name)
		case ok:
			info, err := s.head(name)
			if err == nil && info.Seq != seq {
				err = fmt.Errorf("is snapshot %d: %w", info.Seq, ErrFormat)
			}
			switch {
			case errors.Is(err, ErrFormat), errors.Is(err, ErrForeign):
				s.setAside(name, err)
			case err != nil:
				return nil, err
			default:
				found = append(found, info)
			}
		}
	}
	return found, nil
}

// goOn counts from the newest file. What was kept in RAM while the folder could
// not be read comes after it.
func (s *Store) goOn(last Info) {
	if len(s.ring) == 0 {
		s.now = last
		s.credit, s.creditAt = last.credit, last.Ran
		s.tried, s.begun, s.saved = last.Ran, true, last.Seq
		return
	}
	mine := s.now
	s.now = last
	ran := s.ran(s.ring[0].Taken) - s.ring[0].Ran
	for i, e := range s.ring {
		later := *e
		later.Seq, later.Ran = e.Seq+last.Seq, e.Ran+ran
		s.ring[i] = &later
		if s.next == e {
			s.next = &later
		}
	}
	mine.Seq, mine.Ran = mine.Seq+last.Seq, mine.Ran+ran
	s.now = mine
	s.tried += ran
	s.creditAt += ran
}

func (s *Store) head(name string) (Info, error) {
	b, size, err := disk.Read(s.cfg.FS, s.path(name), maxHeader)
	if err != nil {
		return Info{}, err
	}
	l, err := parseHeader(b, size)
	if err != nil {
		return Info{}, err
	}
	if l.scene != s.cfg.Scene {
		return Info{}, fmt.Errorf("of scene %q: %w", l.scene, ErrForeign)
	}
	return l.Info, nil
}

// setAside renames a file that is no snapshot of this scene, so that it is
// reported once and never used.
func (s *Store) setAside(name string, why error) {
	text := fmt.Sprintf("%s: %v; it is not used", s.path(name), why)
	if err := s.cfg.FS.Rename(s.path(name), s.path(name+aside)); err != nil {
		text += ", and could not be renamed: " + disk.Reason(err)
	}
	s.cfg.Report(text)
	s.mu.Lock()
	s.disk = slices.DeleteFunc(s.disk, func(i Info) bool { return fileName(i.Seq) == name })
	s.mu.Unlock()
	s.keepAside(name + aside)
}

// keepAside remembers a file that was set aside and removes the oldest when there
// are too many.
func (s *Store) keepAside(name string) {
	s.mu.Lock()
	oldest := ""
	if s.aside = append(s.aside, name); len(s.aside) > maxAside {
		oldest, s.aside = s.aside[0], s.aside[1:]
	}
	s.mu.Unlock()
	if oldest != "" {
		s.cfg.FS.Remove(s.path(oldest)) // the next start removes it too
	}
}

// load reads a snapshot of the list.
func (s *Store) load(i Info) (*Snapshot, error) {
	name := fileName(i.Seq)
	b, size, err := disk.Read(s.cfg.FS, s.path(name), i.Bytes)
	if err != nil {
		return nil, err
	}
	var snap *Snapshot
	if size == i.Bytes {
		snap, err = parse(b, s.cfg.Scene)
	} else {
		err = fmt.Errorf("%d bytes, not %d: %w", size, i.Bytes, ErrFormat)
	}
	if err != nil {
		s.setAside(name, err)
		return nil, err
	}
	return snap, nil
}
