package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/disk"
)

// connect opens the files and finds out which sequence number is next. After an
// error what could be opened is open, for reading. A damaged file is replaced if mend
// says so, until ctx ends; else it is an error of type damage.
func (j *Journal) connect(ctx context.Context, mend bool) (err error) {
	if err := disk.OS.MkdirAll(j.dir); err != nil {
		return err
	}
	paths := []string{filepath.Join(j.dir, markName)}
	if j.o.Mark != "" {
		if err := disk.OS.MkdirAll(filepath.Dir(j.o.Mark)); err != nil {
			return err
		}
		paths = append(paths, j.o.Mark)
	}
	if j.marks, err = openMarks(paths...); err != nil {
		return err
	}
	s, err := j.openStore(ctx, filepath.Join(j.dir, fileName), mend)
	if err != nil {
		return err
	}
	j.mending.Store(false)
	j.checked = true
	j.open.Lock()
	j.store = s
	j.open.Unlock()
	last, sum, spent, err := s.state()
	if err != nil {
		return err
	}
	if !j.counted {
		j.mu.Lock()
		j.budget.goOn(spent, j.o.Clock())
		j.mu.Unlock()
		j.counted = true
	}
	last = max(last, j.carried)
	next := max(j.marks.next(), last+1)
	if j.marks.next() == 0 && last > 0 { // the marks are lost: numbers behind the last record may have been given
		next += reserve
	}
	j.number(next)
	lost := j.marks[0].next == 0 && next > 1
	j.mu.Lock()
	j.sum, next = sum, j.next
	j.mu.Unlock()
	if s.db.IsReadOnly() {
		return fmt.Errorf("%s: %w", s.db.Path(), unix.EROFS)
	}
	if err := j.extend(next); err != nil {
		return err
	}
	if lost {
		j.report(ReportNumbers, "%s was lost, which says how far numbers of events had gone: they go on with %d", j.marks[0].f.Name(), next)
	}
	j.ready = true
	return nil
}

// openStore opens the file. When it is damaged a new one takes its place if mend says so, with
// the records that are whole.
func (j *Journal) openStore(ctx context.Context, path string, mend bool) (*store, error) {
	var bad damage
	if j.bad < 2 {
		s, err := openStore(path, j.checked || j.marks.clean())
		if !errors.As(err, &bad) {
			return s, err
		}
	} else {
		bad = "bbolt cannot write it, though nothing is wrong to be seen"
	}
	j.mending.Store(true)
	if next := j.marks.next(); next > 0 {
		j.number(next)
	}
	if !mend {
		return nil, bad
	}
	n, err := j.carryOver(ctx, path)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	aside, e := moveAside(path, j.marks.next())
	if e != nil {
		return nil, e
	}
	j.bad = 0
	if err != nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		j.report(ReportDamaged, "the log was damaged (%v): it is kept as %s, and a new one begins, since its records could not be carried over: %v", bad, aside, err)
		return openStore(path, true)
	}
	if err := putInPlace(path); err != nil {
		return nil, err
	}
	j.report(ReportDamaged, "the log was damaged (%v): it is kept as %s, and the %d records that were whole are in a new one", bad, aside, n)
	return openStore(path, true)
}

// number lets sequence numbers go on at next at the earliest, and gives numbers to
// records that have none.
func (j *Journal) number(next uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next > 0 {
		return // they went on in memory
	}
	for _, r := range j.pending {
		r.Seq = next
		next++
	}
	j.next = next
}

// finish marks the log as closed in order: numbers go on without a gap.
func (j *Journal) finish() {
	j.open.Lock()
	err := j.store.close()
	j.store = nil
	j.open.Unlock()
	if err == nil {
		j.mu.Lock()
		next := j.next
		j.mu.Unlock()
		err = j.marks.write(next, true)
	}
	if err != nil {
		j.report(ReportFailing, "closing the log: %v", err)
	}
}

// disconnect closes the files, as far as they are open.
func (j *Journal) disconnect() {
	j.ready = false
	j.open.Lock()
	defer j.open.Unlock()
	if j.store != nil {
		j.store.close() // what was committed is safe
		j.store = nil
	}
	j.marks.close()
	j.marks = nil
}
