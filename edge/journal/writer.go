package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/visualrwkv/edged/internal/clock"
)

// run is the writer.
func (j *Journal) run(ctx context.Context, failing bool) {
	defer close(j.done)
	defer j.disconnect()
	var pause time.Duration
	for {
		j.deliver()
		if failing {
			pause = min(max(2*pause, firstRetry), lastRetry)
		} else {
			pause = 0
		}
		stop := j.await(ctx, pause)
		err := j.save(ctx)
		j.settle(err)
		failing = err != nil
		if stop {
			if !failing {
				j.finish()
			}
			j.deliver()
			return
		}
	}
}

// await waits until there is something to do and reports whether it is the last.
func (j *Journal) await(ctx context.Context, pause time.Duration) (stop bool) {
	if pause > 0 {
		return !sleep(ctx, nil, pause)
	}
	tick := time.NewTimer(pruneEvery)
	defer tick.Stop()
	select {
	case <-ctx.Done():
		return true
	case <-tick.C:
		return false
	case <-j.flush:
		return false
	case <-j.wake:
	}
	return !sleep(ctx, j.flush, j.delay())
}

// delay is how long a record waits for others now.
func (j *Journal) delay() time.Duration {
	now := j.o.Clock()
	j.mu.Lock()
	defer j.mu.Unlock()
	return max(j.o.Delay, j.budget.wait(now))
}

// sleep waits for d or early, and reports whether ctx goes on.
func sleep(ctx context.Context, early chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early:
	case <-t.C:
	}
	return true
}

// settle notes how an attempt ended and reports what changed.
func (j *Journal) settle(err error) {
	j.mu.Lock()
	was, given := j.err, j.given
	j.err = err
	if err != nil && was == nil {
		j.since = j.o.Clock()
	}
	if err == nil {
		j.given = lost{}
	}
	close(j.moved)
	j.moved = make(chan struct{})
	j.mu.Unlock()
	switch {
	case err != nil && was == nil:
		j.report(ReportFailing, "the log cannot be written, captions go on and wait in memory: %v", err)
	case err == nil && was != nil:
		j.report(ReportWorking, "the log is written again")
	}
	if err == nil && given.n > 0 {
		j.report(ReportLost, "%d records, %d to %d, were lost while the log could not be written", given.n, given.from, given.to)
	}
}

func (j *Journal) report(kind, format string, args ...any) {
	j.reports = append(j.reports, Report{kind, fmt.Sprintf(format, args...)})
}

// deliver is called by the writer with nothing held, so that Report may append.
func (j *Journal) deliver() {
	if j.o.Report != nil {
		for _, r := range j.reports {
			j.o.Report(r)
		}
	}
	j.reports = nil
}

// save writes everything that waits and deletes what is too much or too old.
func (j *Journal) save(ctx context.Context) (err error) {
	if j.suspect.Swap(false) {
		j.ready, j.checked = false, false
	}
	if !j.ready {
		j.disconnect()
		if err := j.connect(ctx, true); err != nil {
			return err
		}
	}
	for more := true; more && err == nil; {
		j.mu.Lock()
		batch := slices.Clone(j.pending[:min(len(j.pending), batchSize)])
		j.busy = len(batch)
		next, safe := j.next, j.safe
		j.mu.Unlock()
		if next+reserve/4 > safe {
			err = j.extend(next)
		}
		if err == nil {
			more, err = j.commit(batch)
		}
		j.mu.Lock()
		j.busy = 0
		j.mu.Unlock()
	}
	if err != nil {
		j.ready = false // perhaps the files are not what they were
	}
	return err
}

// extend moves the marks ahead of next.
func (j *Journal) extend(next uint64) error {
	if err := j.marks.write(next+reserve, false); err != nil {
		return err
	}
	now := j.o.Clock()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.budget.spend(now, int64(len(j.marks))*pageSize)
	j.safe = next + reserve
	return nil
}

// commit writes a batch, and reports whether there is more to do.
func (j *Journal) commit(batch []*Record) (more bool, err error) {
	now, most := j.o.Clock(), j.due()
	if len(batch) == 0 && !j.excess(most, now) {
		return false, nil
	}
	deleted := 0
	var sum sums
	j.mu.Lock()
	spent := j.budget.encode(now)
	j.mu.Unlock()
	written, err := j.store.write(func(tx *bbolt.Tx) error {
		if err := add(tx, batch); err != nil {
			return err
		}
		if err := tx.Bucket(sumsName).Put(budgetName, spent); err != nil {
			return err
		}
		deleted, err = prune(tx, most, now)
		sum = readSums(tx)
		return err
	})
	j.mu.Lock()
	j.budget.commit(now, written)
	j.mu.Unlock()
	if _, bad := errors.AsType[damage](err); bad {
		j.open.Lock()
		j.store.abandon()
		j.store = nil
		j.open.Unlock()
		j.checked = false
		j.bad++
	}
	if err != nil {
		return false, err
	}
	j.bad = 0
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range batch {
		j.waiting -= cost(r)
	}
	j.pending = slices.Delete(j.pending, 0, len(batch))
	j.sum = sum
	return len(batch) == batchSize || deleted == pruneStep, nil
}

// due are the limits for a commit: that of age every now and then.
func (j *Journal) due() limits {
	j.mu.Lock()
	defer j.mu.Unlock()
	if time.Since(j.prev) < pruneEvery {
		return limits{bytes: j.most.bytes}
	}
	j.prev = time.Now()
	return j.most
}

// excess reports whether there is something to delete, without writing anything.
func (j *Journal) excess(most limits, now clock.Time) (yes bool) {
	err := j.store.read(func(tx *bbolt.Tx) error {
		sum := readSums(tx)
		yes = sum.bytes > most.bytes && sum.records > 1 || most.age > 0 && aged(tx, most.age, now) > sum.first
		return nil
	})
	return yes || err != nil
}
