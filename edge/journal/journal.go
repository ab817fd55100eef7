package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
)

// Options of a journal. Zero fields have the default stated.
type Options struct {
	Delay    time.Duration // how long a record may wait for others to be written with: 2 s
	Daily    int64         // bytes that may be written in a day, for which records wait longer; 0: any
	MaxBytes int64         // what records may take; the oldest are deleted: 256 MiB
	MaxAge   time.Duration // records certainly older are deleted; 0: none
	Mark     string        // file in another folder that says how far numbers may have gone, too; empty: none
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
	ReportNumbers = "numbers" // how far numbers had gone is not in the journal's folder; they go on farther
)

const (
	defaultDelay    = 2 * time.Second
	defaultMaxBytes = 256 << 20

	batchSize  = 512     // records in a commit
	maxPending = 8 << 20 // bytes that wait in memory
	reserve    = 1 << 16 // sequence numbers that the mark is ahead

	fileName = "log.db"
	markName = "log.mark"

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
	marks   marks
	ready   bool        // to write
	checked bool        // store was, by this process
	counted bool        // budget has what processes before this one wrote
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
	safe    uint64    // marks.next(): numbers from there on must not be given
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

	Written int64 // bytes written in the last 24 hours, as far as the file is not damaged
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

// Oldest is the sequence number of the oldest record that can be found, or of the next one when
// there is none; 0 if it is not known.
func (j *Journal) Oldest() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.sum.first > 0:
		return j.sum.first
	case len(j.pending) > 0:
		return j.pending[0].Seq
	}
	return j.next
}
