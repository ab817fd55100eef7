package memory

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/visualrwkv/edged/internal/disk"
)

// Forget drops every snapshot of the scene: at once, so that none is found any more, and
// with erase from the disk, those of other models and what was set aside included. What
// is kept afterwards stays. erase returns when nothing would come back after a power
// cut.
func (s *Store) Forget() (erase func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring, s.disk, s.next, s.aside = nil, nil, nil, nil
	if s.forgotten = s.now.Seq; !s.scanned { // nothing was saved since the start, and numbers begin anew
		s.forgotten = maxSeq
	}
	return s.erase
}

// erase removes what is forgotten.
func (s *Store) erase() error {
	if s.cfg.Dir == "" {
		return nil
	}
	s.files.Lock() // until what is being saved is there
	defer s.files.Unlock()
	s.mu.Lock()
	last := s.forgotten
	s.mu.Unlock()
	if err := s.remove(last); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, s.cfg.FS.SyncDir(s.cfg.Dir))
	}
	return nil // there is no folder
}

// remove removes the files that have numbers up to last. files is held.
func (s *Store) remove(last uint64) error {
	names, err := s.cfg.FS.Names(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		seq, ok := fileSeq(strings.TrimSuffix(strings.TrimSuffix(name, disk.Temp), aside))
		if !ok || seq > last {
			continue
		}
		if e := s.cfg.FS.Remove(s.path(name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
