package memory

import "time"

// levels say how many snapshots are kept of which age: one in each stretch of
// every, for those up to age. The first is for who asks about the last minutes after a power
// cut, which empties the RAM.
var levels = []struct{ age, every time.Duration }{
	{diskTakesOver, 5 * time.Second},
	{time.Hour, time.Minute},
	{24 * time.Hour, 10 * time.Minute},
	{7 * 24 * time.Hour, time.Hour},
	{1<<63 - 1, 24 * time.Hour},
}

func level(age time.Duration) (every time.Duration) {
	for _, l := range levels {
		if age <= l.age {
			return l.every
		}
	}
	panic("unreachable: the last level has no end")
}

// thin returns those of the snapshots, given in their order, that are not to be
// kept when the device has run for now: by level, then until the rest has no
// more than budget bytes. The newest of each model is spared by the first, and what
// another model wrote goes first by the second, which spares the newest of this.
//
// In each stretch the oldest is kept. Stretches of a level end where those of the
// level before do and are counted from the first snapshot ever, so that what one
// level keeps is what the next one chooses from, whenever it is asked.
func thin(all []Info, now time.Duration, budget int64, model [32]byte) (drop []Info) {
	var keep []Info
	newest := map[[32]byte]int{}
	for i := range all {
		newest[all[i].Model] = i
	}
	var total int64
	for i, s := range all {
		every := level(now - s.Ran)
		if k := len(keep) - 1; k >= 0 && i != newest[s.Model] && keep[k].Ran/every == s.Ran/every && keep[k].Model == s.Model {
			drop = append(drop, s)
			continue
		}
		keep = append(keep, s)
		total += s.Bytes
	}
	for total > budget {
		i := least(keep, now, model)
		if i < 0 {
			break
		}
		total -= keep[i].Bytes
		drop = append(drop, keep[i])
		keep = append(keep[:i:i], keep[i+1:]...)
	}
	return drop
}

// least returns the snapshot that is missed least: the oldest of another model;
// then the one whose neighbours are closest together for its age, so that what
// stays is spread evenly over the orders of magnitude of age. The newest is never
// it, the oldest only beside the newest; -1 when there is no more.
func least(all []Info, now time.Duration, model [32]byte) int {
	for i, s := range all {
		if s.Model != model {
			return i
		}
	}
	if len(all) < 3 {
		return len(all) - 2 // -1 for one, 0 for two
	}
	best, narrow := 0, 0.0
	for i := 1; i < len(all)-1; i++ {
		gap := float64(all[i+1].Ran-all[i-1].Ran) / float64(now-all[i].Ran+time.Second)
		if best == 0 || gap < narrow {
			best, narrow = i, gap
		}
	}
	return best
}
