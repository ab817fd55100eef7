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
	s.forgotten = s.now.Seq
	last := s.forgotten
	return func() error { return s.erase(last) }
}

// erase removes the files of snapshots up to a number.
func (s *Store) erase(last uint64) error {
	if s.cfg.Dir == "" {
		return nil
	}
	s.files.Lock() // until what is being saved is there
	defer s.files.Unlock()
	s.mu.Lock()
	if !s.scanned { // nothing was saved since the start, and numbers begin anew
		last = maxSeq
	}
	s.mu.Unlock()
	names, err := s.cfg.FS.Names(s.cfg.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
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
	return errors.Join(err, s.cfg.FS.SyncDir(s.cfg.Dir))
}
