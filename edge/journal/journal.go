package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/visualrwkv/edged/internal/clock"
	"github.com/visualrwkv/edged/internal/disk"
)

// Options of a journal. Zero fields have the default stated.
type Options struct {
	Delay    time.Duration // how long a record may wait for others to be written with: 2 s
	Daily    int64         // bytes that may be written in a day, for which records wait longer; 0: any
	MaxBytes int64         // what records may take; the oldest are deleted: 256 MiB
	MaxAge   time.Duration // records certainly older are deleted; 0: none
	Clock    clock.Clock   // the device's
	Report   func(Report)  // told of what happens to the journal, by a goroutine of its own; it may append
}

// Report is something that happened to the journal itself.
type Report struct {
	Kind string
	Text string // for people
}

// Values of [Report].Kind.
const (
	ReportFailing = "failing" // nothing can be written; tried again until it can
	ReportWorking = "working" // it can again
	ReportLost    = "lost"    // records were given up while nothing could be written
	ReportDamaged = "damaged" // the file was damaged and replaced
)

const (
	defaultDelay    = 2 * time.Second
	defaultMaxBytes = 256 << 20

	batchSize  = 512     // records in a commit
	maxPending = 8 << 20 // bytes that wait in memory
	reserve    = 1 << 16 // sequence numbers that the mark is ahead

	fileName = "log.db"

	firstCost = 8 * pageSize // of a commit, until there was one

	lastRetry  = 30 * time.Second
	pruneEvery = time.Minute // by age
)

// firstRetry is how soon a disk that failed is tried again; then half as often each
// time. Tests are quicker.
var firstRetry = time.Second

// Journal is a log on disk. Make one with [Open].
type Journal struct {
	dir string
	o   Options

	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // a record waits
	flush  chan struct{} // somebody waits for the disk

	// Guards store against closing while it is read. Taken before mu.
	open  sync.RWMutex
	store *store

	// The writer's.
	mark    *mark
	ready   bool        // to write
	checked bool        // store was, by this process
	bad     int         // commits that found damage since one that did not
	reports []Report    // to be delivered
	suspect atomic.Bool // a reader found damage; anybody's
	mending atomic.Bool // the file is damaged, and its records are being carried over; anybody's
	carried uint64      // the newest number in it

	mu      sync.Mutex
	most    limits
	budget  budget
	prev    time.Time // when records were last looked at for their age
	next    uint64    // sequence number of the next record; 0: not known yet
	safe    uint64    // mark.next: numbers from there on must not be given
	pending []*Record
	busy    int   // of them that are being written
	waiting int64 // bytes of pending
	given   lost  // records given up since writing failed
	err     error // why writing fails
	since   clock.Time
	sum     sums
	moved   chan struct{} // closed when a commit was made or failed, and replaced
}

// limits are [Options].MaxBytes and MaxAge.
type limits struct {
	bytes int64
	age   time.Duration
}

// lost are records that were given up.
type lost struct {
	n, from, to uint64
}

// Open opens the journal in a folder and makes what is not there. A disk that
// fails is no error: the journal reports it and goes on trying. The error is
// [ErrInUse], wrapped.
func Open(dir string, o *Options) (*Journal, error) {
	j := &Journal{
		dir: dir, done: make(chan struct{}), wake: make(chan struct{}, 1), flush: make(chan struct{}, 1),
		moved: make(chan struct{}),
	}
	if o != nil {
		j.o = *o
	}
	if j.o.Delay <= 0 {
		j.o.Delay = defaultDelay
	}
	if j.o.Clock == nil {
		j.o.Clock = clock.System
	}
	j.budget.at, j.budget.cost = j.o.Clock(), firstCost
	j.Limit(j.o.MaxBytes, j.o.MaxAge, j.o.Daily)
	ctx, cancel := context.WithCancel(context.Background())
	err := j.connect(ctx, false)
	if errors.Is(err, ErrInUse) {
		cancel()
		return nil, err
	}
	if _, bad := errors.AsType[damage](err); bad { // takes a while: the writer's
		err = nil
		poke(j.flush)
	} else {
		j.settle(err)
	}
	j.cancel = cancel
	go j.run(ctx, err != nil)
	return j, nil
}

// Append takes a record in and returns its sequence number: one more than the
// one before, or a later one after a crash; 0 as long as the disk has not told which
// numbers were given before. Time is set to now if it is zero, names and texts
// beyond the limits are cut. It never waits for the disk.
func (j *Journal) Append(r *Record) (seq uint64) {
	own := *r
	own.clip()
	if own.Time == (clock.Time{}) {
		own.Time = j.o.Clock()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next > 0 {
		own.Seq = j.next
		j.next++
	}
	j.pending = append(j.pending, &own)
	j.waiting += cost(&own)
	for j.waiting > maxPending && len(j.pending) > j.busy {
		j.giveUp()
	}
	poke(j.wake)
	if len(j.pending) >= batchSize {
		poke(j.flush)
	}
	return own.Seq
}

func cost(r *Record) int64 {
	return 200 + int64(len(r.Kind)+len(r.Scene)+len(r.Text)+len(r.Data))
}

// giveUp drops the oldest record that waits and is not being written, with mu held.
func (j *Journal) giveUp() {
	r := j.pending[j.busy]
	j.pending = slices.Delete(j.pending, j.busy, j.busy+1)
	j.waiting -= cost(r)
	if j.given.n == 0 {
		j.given.from = r.Seq
	}
	j.given.n++
	j.given.to = r.Seq
}

// Limit sets [Options].MaxBytes, MaxAge and Daily anew, which are in force from the next
// commit on.
func (j *Journal) Limit(maxBytes int64, maxAge time.Duration, daily int64) {
	if maxBytes <= 0 {
		maxBytes = defaultMaxBytes
	}
	j.mu.Lock()
	j.most, j.prev = limits{maxBytes, max(maxAge, 0)}, time.Time{}
	j.budget.daily = max(daily, 0)
	j.mu.Unlock()
	poke(j.flush)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Sync waits until everything that was appended is on disk. The error says why
// it is not: what the disk does, or ctx.
func (j *Journal) Sync(ctx context.Context) error {
	j.mu.Lock()
	var last *Record
	if n := len(j.pending); n > 0 {
		last = j.pending[n-1]
	}
	j.mu.Unlock()
	if last == nil {
		return nil
	}
	for {
		j.mu.Lock()
		err, moved, waits := j.err, j.moved, j.waits(last)
		j.mu.Unlock()
		switch {
		case !waits:
			return nil
		case err != nil:
			return err
		}
		poke(j.flush)
		select {
		case <-moved:
		case <-j.done:
			return os.ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waits reports whether r is among the pending, with mu held. Numbers are given
// in their order.
func (j *Journal) waits(r *Record) bool {
	if len(j.pending) == 0 {
		return false
	}
	first := j.pending[0]
	return first.Seq == 0 || r.Seq >= first.Seq
}

// Close writes what waits, if the disk takes it, and closes the files.
func (j *Journal) Close() error {
	j.cancel()
	<-j.done
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.pending); n > 0 {
		return fmt.Errorf("%d records could not be saved: %w", n, j.err)
	}
	return nil
}

// Status is how a journal is.
type Status struct {
	Error   string     // why nothing can be written now; empty when it can
	Since   clock.Time // when that began
	Pending int        // records that wait for the disk
	Lost    uint64     // records given up since then
	First   uint64     // sequence number of the oldest record on disk, 0 if there is none
	Next    uint64     // sequence number of the next record, 0 if it is not known
	Records int64      // on disk
	Bytes   int64      // that they take

	MaxBytes int64         // that they may take
	MaxAge   time.Duration // that they may have; 0: any

	Written int64 // bytes written in the last 24 hours, or since Open
	Daily   int64 // that may be written in a day; 0: any
}

// Status may be called at any time.
func (j *Journal) Status() Status {
	now := j.o.Clock()
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Status{
		Pending: len(j.pending), Lost: j.given.n,
		First: j.sum.first, Next: j.next, Records: j.sum.records, Bytes: j.sum.bytes,
		MaxBytes: j.most.bytes, MaxAge: j.most.age,
		Written: j.budget.written.Sum(now), Daily: j.budget.daily,
	}
	if j.err != nil {
		s.Error, s.Since = j.err.Error(), j.since
	}
	return s
}

// Next is the sequence number that the next record will have, 0 if it is not known.
func (j *Journal) Next() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next
}

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

// extend moves the mark ahead of next.
func (j *Journal) extend(next uint64) error {
	if err := j.mark.write(next+reserve, false); err != nil {
		return err
	}
	now := j.o.Clock()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.budget.spend(now, pageSize)
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
	written, err := j.store.write(func(tx *bbolt.Tx) error {
		if err := add(tx, batch); err != nil {
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

// connect opens the files and finds out which sequence number is next. After an
// error what could be opened is open, for reading. A damaged file is replaced if mend
// says so, until ctx ends; else it is an error of type damage.
func (j *Journal) connect(ctx context.Context, mend bool) (err error) {
	if err := disk.OS.MkdirAll(j.dir); err != nil {
		return err
	}
	if j.mark, err = openMark(filepath.Join(j.dir, "log.mark")); err != nil {
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
	last, sum, err := s.state()
	if err != nil {
		return err
	}
	last = max(last, j.carried)
	next := max(j.mark.next, last+1)
	if j.mark.next == 0 && last > 0 { // the mark is lost: numbers behind the last record may have been given
		next += reserve
	}
	j.number(next)
	j.mu.Lock()
	j.sum, next = sum, j.next
	j.mu.Unlock()
	if s.db.IsReadOnly() {
		return fmt.Errorf("%s: %w", s.db.Path(), unix.EROFS)
	}
	if err := j.extend(next); err != nil {
		return err
	}
	j.ready = true
	return nil
}

// openStore opens the file. When it is damaged a new one takes its place if mend says so, with
// the records that are whole.
func (j *Journal) openStore(ctx context.Context, path string, mend bool) (*store, error) {
	var bad damage
	if j.bad < 2 {
		s, err := openStore(path, j.checked || j.mark.clean)
		if !errors.As(err, &bad) {
			return s, err
		}
	} else {
		bad = "bbolt cannot write it, though nothing is wrong to be seen"
	}
	j.mending.Store(true)
	if j.mark.next > 0 {
		j.number(j.mark.next)
	}
	if !mend {
		return nil, bad
	}
	n, err := j.carryOver(ctx, path)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	aside, e := moveAside(path, j.mark.next)
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
		err = j.mark.write(next, true)
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
	if j.mark != nil {
		j.mark.close()
		j.mark = nil
	}
}
