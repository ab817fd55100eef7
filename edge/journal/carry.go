package journal

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/visualrwkv/edged/internal/clock"
)

// leaf is a page of a damaged file with records that are whole.
type leaf struct {
	at          int64
	size        int
	first, last uint64 // sequence numbers
	bytes       int64  // that the records take
}

// carryBytes bounds what is put into a new file in one transaction.
const carryBytes = 1 << 20

// carryOver makes a file beside the damaged one at path, of those records that are whole by
// themselves, the newest of them where they are more than may be kept. Of their boots only
// the present one is looked for, which the age of its records depends on. Of a page that
// bbolt has written twice both may be found: a record has the same bytes in both.
func (j *Journal) carryOver(ctx context.Context, path string) (n int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	c := carrier{file: file, boot: j.o.Clock().Boot, since: math.MaxUint64}
	if err := c.look(ctx); err != nil {
		return 0, err
	}
	j.carried = c.last
	j.mu.Lock()
	c.choose(j.most.bytes)
	j.mu.Unlock()
	err = buildStore(path+temporary, func(s *store) error {
		s.db.NoSync = true
		if n, err = c.fill(ctx, s); err != nil {
			return fmt.Errorf("carrying over: %w", err)
		}
		return s.db.Sync()
	})
	if err != nil {
		return 0, err
	}
	if info, err := os.Stat(path + temporary); err == nil {
		j.mu.Lock()
		j.budget.spend(j.o.Clock(), info.Size())
		j.mu.Unlock()
	}
	return n, nil
}

// carrier carries records over from a damaged file.
type carrier struct {
	file  *os.File
	boot  clock.Boot // the present one
	since uint64     // sequence number from which on records are of it
	last  uint64     // the newest sequence number
	pages []leaf
}

// look finds the pages with records.
func (c *carrier) look(ctx context.Context) error {
	return leaves(ctx, c.file, func(at int64, p []byte) (more bool) {
		l := leaf{at: at, size: len(p), first: math.MaxUint64}
		elements(at, p, true, func(_ int64, k, value []byte) {
			if len(k) == 8 && string(value) == string(c.boot[:]) {
				c.since = min(c.since, binary.BigEndian.Uint64(k))
			}
			if v, err := decode(k, value); err == nil {
				l.first, l.last = min(l.first, v.seq), max(l.last, v.seq)
				l.bytes += footprint(value)
			}
		})
		if l.bytes > 0 {
			c.pages = append(c.pages, l)
			c.last = max(c.last, l.last)
		}
		return true
	})
}

// choose leaves out the pages with the oldest records where they are more than most bytes, and
// puts the others in order.
func (c *carrier) choose(most int64) {
	slices.SortFunc(c.pages, func(a, b leaf) int { return cmp.Compare(b.last, a.last) })
	for i, p := range c.pages {
		if most -= p.bytes; most < 0 {
			c.pages = c.pages[:i]
			break
		}
	}
	slices.SortFunc(c.pages, func(a, b leaf) int { return cmp.Compare(a.first, b.first) })
}

// fill puts the records into the store and says how many there are then.
func (c *carrier) fill(ctx context.Context, s *store) (n int64, err error) {
	var batch []*Record
	var buf []byte
	for len(c.pages) > 0 {
		batch = batch[:0]
		for bytes := int64(0); len(c.pages) > 0 && bytes < carryBytes; c.pages = c.pages[1:] {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			l := c.pages[0]
			buf = slices.Grow(buf[:0], l.size)[:l.size]
			if _, err := c.file.ReadAt(buf, l.at); err != nil {
				continue // the disk lost it since
			}
			elements(0, buf, true, func(_ int64, k, value []byte) {
				if v, err := decode(k, value); err == nil {
					batch = append(batch, v.record(c.bootOf(v.seq)))
				}
			})
			bytes += l.bytes
		}
		slices.SortFunc(batch, func(a, b *Record) int { return cmp.Compare(a.Seq, b.Seq) })
		_, err := s.write(func(tx *bbolt.Tx) error {
			if err := add(tx, batch); err != nil {
				return err
			}
			n = readSums(tx).records
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// bootOf is that of a record, zero for all that are not the present one.
func (c *carrier) bootOf(seq uint64) (b clock.Boot) {
	if seq >= c.since {
		b = c.boot
	}
	return b
}
