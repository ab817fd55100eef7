package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"regexp"
	"time"

	"go.etcd.io/bbolt"

	"github.com/visualrwkv/edged/internal/clock"
)

// Query says which records to find. Zero fields do not restrict.
type Query struct {
	From   uint64         // the first sequence number
	To     uint64         // the last
	Within time.Duration  // no older than this. Across boots, when clocks may have been wrong, by what they showed.
	Scene  string         // of this scene only
	Kind   string         // of this kind only
	Match  *regexp.Regexp // that matches Text
}

// A search holds the file for this many records looked at or found, then lets
// the writer have its turn: pages that a reader may look at cannot be used again.
const (
	lookAtOnce = 8192
	findAtOnce = 256
)

// Search yields the records that q is about in the order of their sequence numbers,
// those that wait for the disk included. It ends with an error when ctx does or the
// file cannot be read; in the latter case what waits comes first. A damaged record is
// left out.
func (j *Journal) Search(ctx context.Context, q Query) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		f := filter{Query: q, now: j.o.Clock()}
		j.mu.Lock()
		pending := make([]Record, len(j.pending))
		for i, r := range j.pending {
			pending[i] = *r
		}
		j.mu.Unlock()
		end := q.last() // of what is read from the file; what comes later waited in memory, and may be in both by now
		if len(pending) > 0 && pending[0].Seq > 0 {
			end = min(end, pending[0].Seq-1)
		}
		err := error(nil)
		for r, e := range pages(ctx, q.From, func(from uint64, found []*Record) ([]*Record, uint64, bool, error) {
			return j.look(&f, from, end, found)
		}) {
			if err = e; err == nil && !yield(r, nil) {
				return
			}
		}
		if ctx.Err() == nil {
			for i := range pending {
				if f.fits(&pending[i]) && !yield(&pending[i], nil) {
					return
				}
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// pages yields what look finds, which it is asked for again and again: each time from a
// sequence number on, until there is no more, it fails or ctx ends.
func pages(ctx context.Context, from uint64, look func(from uint64, found []*Record) (_ []*Record, next uint64, more bool, err error)) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		err := ctx.Err()
		var found []*Record
		for more := true; more && err == nil; {
			if found, from, more, err = look(from, found[:0]); err != nil {
				break
			}
			for _, r := range found {
				if !yield(r, nil) {
					return
				}
			}
			err = ctx.Err()
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// There is no file to be read now.
var (
	errClosed  = errors.New("the log is not open")
	errMending = errors.New("the log was damaged; what is whole of it is found once it has been carried over into a new one")
)

// look finds some records from a sequence number on, to the last at end, and
// says where to go on.
func (j *Journal) look(f *filter, from, end uint64, found []*Record) (_ []*Record, next uint64, more bool, err error) {
	j.open.RLock()
	defer j.open.RUnlock()
	if j.store == nil {
		if j.mending.Load() {
			return nil, 0, false, errMending
		}
		return nil, 0, false, errClosed
	}
	err = j.store.read(func(tx *bbolt.Tx) error {
		found, next, more = f.look(func(name []byte) cursor { return tx.Bucket(name).Cursor() }, from, end, found)
		return nil
	})
	if _, bad := errors.AsType[damage](err); bad {
		err = fmt.Errorf("the log is damaged: %w", err)
		j.suspect.Store(true)
		poke(j.flush)
	}
	return found, next, more, err
}

// last is the sequence number that nothing found is beyond.
func (q *Query) last() uint64 {
	if q.To == 0 {
		return math.MaxUint64
	}
	return q.To
}

// filter is a query at a point in time.
type filter struct {
	Query
	now  clock.Time
	boot uint64 // sequence number from which on records are of this boot

	anyBoot bool // nobody knows which records are of which boot
}

func (f *filter) look(of tables, from, end uint64, found []*Record) (_ []*Record, next uint64, more bool) {
	c, boots := of(recordsName), of(bootsName)
	f.boot = thisBoot(boots, f.now.Boot)
	block := ^uint64(0)
	k, value := c.Seek(key(from))
	for looked := 0; len(k) == 8; looked++ {
		seq := binary.BigEndian.Uint64(k)
		if seq > end {
			return found, 0, false
		}
		if looked == lookAtOnce || len(found) == findAtOnce {
			return found, seq, true
		}
		if b := seq / blockSize; b != block {
			if block = f.block(of(blocksName), b); block != b {
				if block == ^uint64(0) {
					return found, 0, false
				}
				k, value = c.Seek(key(block * blockSize))
				continue
			}
		}
		if v, err := parse(k, value); err == nil && f.fitsView(&v) && intact(seq, value) {
			found = append(found, v.record(bootAt(boots, seq)))
		}
		k, value = c.Next()
	}
	return found, 0, false
}

// thisBoot is the sequence number from which on records are of the given boot,
// beyond all if there are none.
func thisBoot(boots cursor, boot clock.Boot) uint64 {
	k, v := boots.Last()
	if len(k) == 8 && string(v) == string(boot[:]) {
		return binary.BigEndian.Uint64(k)
	}
	return ^uint64(0)
}

// block is the first block from b on that can hold records young enough, all ones if
// there is none.
func (f *filter) block(blocks cursor, b uint64) uint64 {
	if f.Within <= 0 {
		return b
	}
	for k, v := blocks.Seek(key(b)); len(k) == 8; k, v = blocks.Next() {
		b := binary.BigEndian.Uint64(k)
		wall, up := blockTimes(v)
		if (b+1)*blockSize > f.boot && f.young(true, 0, up) || b*blockSize < f.boot && f.young(false, wall, 0) {
			return b
		}
	}
	return ^uint64(0)
}

// young reports whether a record of this or another boot is as young as asked.
func (f *filter) young(same bool, wall, up int64) bool {
	if same {
		return f.now.Up.Milliseconds()-up <= f.Within.Milliseconds()
	}
	return f.shown(wall) && f.now.Up <= f.Within
}

// shown reports whether a record is as young as asked by what clocks showed.
func (f *filter) shown(wall int64) bool {
	return f.now.Wall.UnixMilli()-wall <= f.Within.Milliseconds()
}

func (f *filter) fitsView(v *view) bool {
	return (f.Within <= 0 || f.anyBoot && f.shown(v.wall) || !f.anyBoot && f.young(v.seq >= f.boot, v.wall, v.up)) &&
		(f.Scene == "" || string(v.scene) == f.Scene) &&
		(f.Kind == "" || string(v.kind) == f.Kind) &&
		(f.Match == nil || f.Match.Match(v.text))
}

// fits is fitsView, and the range, of a record that waits.
func (f *filter) fits(r *Record) bool {
	return r.Seq >= f.From && (f.To == 0 || r.Seq <= f.To) &&
		(f.Within <= 0 || f.young(r.Time.Boot == f.now.Boot, r.Time.Wall.UnixMilli(), r.Time.Up.Milliseconds())) &&
		(f.Scene == "" || r.Scene == f.Scene) &&
		(f.Kind == "" || r.Kind == f.Kind) &&
		(f.Match == nil || f.Match.MatchString(r.Text))
}
