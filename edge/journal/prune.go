package journal

import (
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"

	"github.com/visualrwkv/edged/internal/clock"
)

// pruneStep is how many records are deleted at one time at most: more are deleted
// with later commits, so that no commit is large, and so that whatever goes wrong
// with a clock goes wrong slowly.
const pruneStep = 1024

// prune deletes the oldest records when they take more than they may, some more than
// necessary, so that not every commit has pages at both ends of the file to write; and
// those that are certainly older than they may be, 0 being no limit. It says how many.
func prune(tx *bbolt.Tx, most limits, now clock.Time) (n int, err error) {
	records := tx.Bucket(recordsName)
	sum := readSums(tx)
	old, enough := uint64(0), most.bytes
	if sum.bytes > most.bytes {
		enough -= most.bytes / 64
	}
	if most.age > 0 {
		old = aged(tx, most.age, now)
	}
	c := records.Cursor()
	for k, v := c.First(); k != nil && n < pruneStep; k, v = c.First() {
		tooMuch := sum.bytes > enough && sum.records > 1 // the newest stays in any case
		if !tooMuch && (len(k) != 8 || binary.BigEndian.Uint64(k) >= old) {
			break
		}
		sum.records--
		sum.bytes -= footprint(v)
		if err := c.Delete(); err != nil {
			return n, err
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	first := readSums(tx).first
	if err := trim(tx.Bucket(blocksName), first/blockSize); err != nil {
		return n, err
	}
	// The boot of the first record began before it.
	boots := tx.Bucket(bootsName).Cursor()
	if k, _ := boots.Seek(key(first)); k == nil || string(k) > string(key(first)) {
		if k, _ = boots.Prev(); len(k) == 8 {
			if err := trim(tx.Bucket(bootsName), binary.BigEndian.Uint64(k)); err != nil {
				return n, err
			}
		}
	}
	return n, writeSums(tx, sum)
}

// trim deletes the keys below first.
func trim(b *bbolt.Bucket, first uint64) error {
	c := b.Cursor()
	for k, _ := c.First(); len(k) == 8 && binary.BigEndian.Uint64(k) < first; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// aged returns a sequence number before which everything is certainly older than
// maxAge. Sequence is the order of time: what comes before a record whose age is
// known is older than that, whatever its own clock said. A record a block is looked at,
// so what it returns may be a block early.
func aged(tx *bbolt.Tx, maxAge time.Duration, now clock.Time) (before uint64) {
	records, blocks := tx.Bucket(recordsName).Cursor(), tx.Bucket(blocksName).Cursor()
	steps := 0
	for k, _ := blocks.First(); len(k) == 8 && steps < pruneStep; k, _ = blocks.Next() {
		steps++
		rk, rv := records.Seek(key(binary.BigEndian.Uint64(k) * blockSize))
		v, err := decode(rk, rv)
		if err != nil {
			continue
		}
		switch age, sure := v.record(bootAt(tx.Bucket(bootsName).Cursor(), v.seq)).Time.Age(now); {
		case sure && age > maxAge:
			before = v.seq
		case sure:
			return before
		}
	}
	return before
}
