package journal

import (
	"encoding/binary"
	"time"

	"github.com/visualrwkv/edged/internal/clock"
)

// budget holds the writer to the bytes that it may write in a day: records wait longer,
// and more of them share a commit, which costs hardly more for it. What is not used is
// saved up for an hour at most, and so is what was written too much, since
// [batchSize] records, [Journal.Sync] and the end do not wait.
type budget struct {
	daily   int64 // bytes; 0: any
	credit  int64 // that may be written, as of at; negative when too many were
	at      clock.Time
	cost    int64 // of the newest commit
	written clock.Day
}

// maxWait is how long records wait for the budget at most.
const maxWait = time.Hour

// commit counts what a commit wrote.
func (b *budget) commit(now clock.Time, n int64) {
	b.cost = n
	b.spend(now, n)
}

// spend counts what was written.
func (b *budget) spend(now clock.Time, n int64) {
	b.written.Add(now, n)
	b.credit = max(b.has(now)-n, -b.hour())
	b.at = now
}

// has is the credit there is by now. A start begins without any, so that starting again and
// again earns nothing.
func (b *budget) has(now clock.Time) int64 {
	if b.at.Boot != now.Boot {
		return min(b.credit, 0)
	}
	earned := float64(b.daily) * float64(now.Up-b.at.Up) / float64(24*time.Hour)
	return min(b.credit+int64(min(earned, 2*float64(b.hour()))), b.hour())
}

// hour is what may be written in one, or a commit.
func (b *budget) hour() int64 { return max(b.daily/24, b.cost) }

// wait is how long it takes until a commit like the newest is within the budget.
func (b *budget) wait(now clock.Time) time.Duration {
	lacks := b.cost - b.has(now)
	if b.daily <= 0 || lacks <= 0 {
		return 0
	}
	return time.Duration(min(float64(lacks)/float64(b.daily)*float64(24*time.Hour), float64(maxWait)))
}

// budgetSize is how many bytes encode returns.
const budgetSize = 8 + 8 + 16 + 8 + clock.DaySize

// encode returns what goes with the next commit, which is taken to write what the newest did:
// credit, cost, when that was (start of the device, time since that), and what was written, little-endian.
func (b budget) encode(now clock.Time) []byte {
	b.spend(now, b.cost)
	e := make([]byte, 0, budgetSize)
	e = binary.LittleEndian.AppendUint64(e, uint64(b.credit))
	e = binary.LittleEndian.AppendUint64(e, uint64(b.cost))
	e = append(e, b.at.Boot[:]...)
	e = binary.LittleEndian.AppendUint64(e, uint64(b.at.Up))
	return b.written.Append(e)
}

// goOn takes in what a process before this one encoded, so that starting again and again neither
// forgets what was written nor earns anything. What cannot be that is left alone.
func (b *budget) goOn(e []byte, now clock.Time) {
	if len(e) != budgetSize {
		return
	}
	u64 := binary.LittleEndian.Uint64
	day, ok := clock.ParseDay(e[40:], now)
	cost, at := int64(u64(e[8:])), clock.Time{Boot: clock.Boot(e[16:32]), Up: time.Duration(u64(e[32:]))}
	if !ok || cost < 0 || cost > 1<<40 || at.Boot == now.Boot && (at.Up < 0 || at.Up > now.Up) {
		return
	}
	already := b.written.Sum(now)
	b.written, b.cost, b.at = day, max(cost, firstCost), at
	b.credit = max(min(int64(u64(e)), b.hour()), -b.hour())
	b.spend(now, already)
}
