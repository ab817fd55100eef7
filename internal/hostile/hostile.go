// Package hostile makes bad inputs out of good ones, for the tests of whatever
// reads bytes that strangers wrote, and measures what such inputs cost.
package hostile

import (
	"math/rand/v2"
	"runtime"
)

// Budget is what reading an input of size bytes may allocate: four times the
// input and 1 MiB.
func Budget(size int) uint64 { return 4*uint64(size) + 1<<20 }

// Allocated returns the bytes that f allocates, garbage included. The runtime
// counts those of all goroutines, so what is more than expected is measured
// again, up to three times: the least counts.
func Allocated(expected uint64, f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= expected {
			break
		}
	}
	return least
}

// front is how far headers reach, where one place in three is looked for.
const front = 200

// Damage returns a copy of data with one to four damages: flipped bits, other
// bytes, lost or doubled stretches, cuts, and the patches, which are bytes that
// mean much in the format at hand and replace or push aside what is there.
func Damage(rng *rand.Rand, data []byte, patches ...string) []byte {
	b := append(make([]byte, 0, len(data)+64), data...)
	for range 1 + rng.IntN(4) {
		if len(b) == 0 {
			break
		}
		i := rng.IntN(len(b))
		if rng.IntN(3) == 0 {
			i = rng.IntN(min(len(b), front))
		}
		j := min(i+1+rng.IntN(40), len(b))
		switch rng.IntN(7) {
		case 0:
			b[i] ^= 1 << rng.IntN(8)
		case 1:
			b[i] = byte(rng.Uint32())
		case 2:
			b = append(b[:i], b[j:]...)
		case 3:
			b = append(b[:j:j], b[i:]...)
		case 4:
			b = b[:i]
		case 5:
			if len(patches) > 0 {
				copy(b[i:], patches[rng.IntN(len(patches))])
			}
		case 6:
			if len(patches) > 0 {
				b = append(b[:i:i], patches[rng.IntN(len(patches))]+string(b[i:])...)
			}
		}
	}
	return b
}
