package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/clock"
)

// Reader finds records in the file of a journal that no process has open, and changes
// nothing. It has the file to itself for moments only: a process that opens the journal
// meanwhile gets it, and the search ends with [ErrInUse].
type Reader struct {
	path    string
	clock   clock.Clock
	damaged error
}

// lockPatience is how long the file is waited for.
const lockPatience = time.Second

// OpenReader checks the file at path, which may be what was moved aside as damaged, or that
// of the journal whose folder path is. The error is [ErrInUse], wrapped, or what the disk
// says; damage is none, see [Reader.Damaged].
func OpenReader(path string, c clock.Clock) (*Reader, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, fileName)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // and its lock
	if err := share(f); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r := &Reader{path: path, clock: c}
	if err = checkFile(f, info.Size()); err == nil {
		err = r.read(func(*bbolt.Tx) error { return nil })
	}
	if d, bad := errors.AsType[damage](err); bad {
		r.damaged, err = d, nil
	}
	return r, err
}

// share waits for a lock that keeps writers out. The disk need not be writable for it.
func share(f *os.File) error {
	for end := time.Now().Add(lockPatience); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("%s: %w", f.Name(), err)
		case time.Now().After(end):
			return fmt.Errorf("%s: %w", f.Name(), ErrInUse)
		}
	}
}

// Damaged says what is wrong with the file. Then a search finds every record that is whole
// by itself, wherever it lies: deleted ones, too, and the age of all is what their clocks
// showed. nil: nothing is.
func (r *Reader) Damaged() error { return r.damaged }

// Search is [Journal.Search].
func (r *Reader) Search(ctx context.Context, q Query) iter.Seq2[*Record, error] {
	f := filter{Query: q, now: r.clock()}
	if r.damaged != nil {
		return r.salvage(ctx, &f)
	}
	return pages(ctx, q.From, func(from uint64, found []*Record) (_ []*Record, next uint64, more bool, err error) {
		err = r.read(func(tx *bbolt.Tx) error {
			found, next, more = f.look(tx, from, q.last(), found)
			return nil
		})
		return found, next, more, err
	})
}

// read calls f with the buckets of a file that is whole. Damage that only they show is a
// [damage] too.
func (r *Reader) read(f func(tx *bbolt.Tx) error) error {
	s, err := bolt(r.path, true)
	if err != nil {
		if errors.Is(err, berrors.ErrTimeout) {
			err = ErrInUse
		}
		return fmt.Errorf("%s: %w", r.path, err)
	}
	err = s.read(func(tx *bbolt.Tx) error {
		if tx.Bucket(recordsName) == nil || tx.Bucket(blocksName) == nil || tx.Bucket(bootsName) == nil {
			return damaged("its buckets are missing")
		}
		return f(tx)
	})
	if err != nil {
		s.abandon()
		return fmt.Errorf("%s: %w", r.path, err)
	}
	return s.close()
}
