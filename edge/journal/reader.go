package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/clock"
)

// Reader finds records in the file of a journal that no process has open, and changes
// nothing. It reads no more than a search comes to. It has the file to itself for moments only: a
// process that opens the journal meanwhile gets it, and the search ends with [ErrInUse].
type Reader struct {
	path    string
	clock   clock.Clock
	damaged error
}

// lockPatience is how long the file is waited for.
const lockPatience = time.Second

// OpenReader looks at the file at path, which may be what was moved aside as damaged, or that
// of the journal whose folder path is. The error is [ErrInUse], wrapped, or what the disk
// says; damage is none, see [Reader.Damaged].
func OpenReader(path string, c clock.Clock) (*Reader, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, fileName)
	}
	r := &Reader{path: path, clock: c}
	err := r.read(func(tables) {})
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

// Damaged says what is wrong with the file, as far as it was read. From there on a search finds
// every record that is whole by itself, wherever it lies: deleted ones, too, and the age of all is
// what their clocks showed. nil: nothing is.
func (r *Reader) Damaged() error { return r.damaged }

// Search is [Journal.Search].
func (r *Reader) Search(ctx context.Context, q Query) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		f := filter{Query: q, now: r.clock()}
		if r.damaged == nil {
			for rec, err := range pages(ctx, q.From, func(from uint64, found []*Record) (_ []*Record, next uint64, more bool, err error) {
				err = r.read(func(of tables) { found, next, more = f.look(of, from, q.last(), found) })
				return found, next, more, err
			}) {
				if d, bad := errors.AsType[damage](err); bad {
					r.damaged = d
					break
				}
				if !yield(rec, err) {
					return
				}
				if err == nil {
					f.From = rec.Seq + 1
				}
			}
		}
		if r.damaged != nil {
			r.salvage(ctx, &f, yield)
		}
	}
}

// read calls f with the buckets of the file as it is now.
func (r *Reader) read(f func(tables)) error {
	file, err := os.Open(r.path)
	if err != nil {
		return err
	}
	defer file.Close() // and its lock
	if err := share(file); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	t, err := openTree(file, info.Size())
	if err == nil {
		f(t.cursor)
		err = t.err
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	return nil
}
