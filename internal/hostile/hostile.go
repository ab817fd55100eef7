// Package hostile makes bad inputs out of good ones, for the tests of whatever
// reads bytes that strangers wrote, and measures what such inputs cost.
package hostile

import (
	"bytes"
	"encoding/binary"
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

// ends is how far headers and trailers reach. One place in three is looked for at
// the front, where the structure of most formats is, and two of nine at the back,
// where archives have theirs.
const ends = 256

// lengths are values that break who adds to a length or believes it; numbers are
// the same in text.
var (
	lengths = []uint64{0, 1, 1<<64 - 1, 1 << 63, 1<<63 - 1, 1 << 62, 1 << 32, 1<<32 - 1, 1 << 31, 1<<31 - 1, 1<<16 - 1}
	numbers = []string{"0", "-1", "4294967296", "9223372036854775807", "99999999999999999999", "1e999"}
)

// Damage returns a copy of data with one to four damages: flipped bits, noise,
// lost or doubled stretches, cuts, other lengths and numbers, and the patches,
// which are bytes that mean much in the format at hand and replace or push aside
// what is there.
func Damage(rng *rand.Rand, data []byte, patches ...string) []byte {
	b := append(make([]byte, 0, len(data)+64), data...)
	for range 1 + rng.IntN(4) {
		if len(b) == 0 {
			break
		}
		i := place(rng, len(b))
		j := min(i+1+rng.IntN(40), len(b))
		switch rng.IntN(9) {
		case 0:
			b[i] ^= 1 << rng.IntN(8)
		case 1:
			for k := range b[i:min(j, i+1+rng.IntN(8))] {
				b[i+k] = byte(rng.Uint32())
			}
		case 2:
			b = append(b[:i], b[j:]...)
		case 3:
			b = append(b[:j:j], b[i:]...)
		case 4:
			b = b[:i]
		case 5:
			copy(b[i:], length(rng, len(b)))
		case 6:
			if k := bytes.IndexAny(b[i:], "0123456789"); k >= 0 {
				k += i
				b = append(b[:k:k], numbers[rng.IntN(len(numbers))]+string(b[k+1:])...)
			}
		case 7:
			if len(patches) > 0 {
				copy(b[i:], patches[rng.IntN(len(patches))])
			}
		case 8:
			if len(patches) > 0 {
				b = append(b[:i:i], patches[rng.IntN(len(patches))]+string(b[i:])...)
			}
		}
	}
	return b
}

// place draws where in n bytes to do damage.
func place(rng *rand.Rand, n int) int {
	if rng.IntN(3) == 0 {
		return rng.IntN(min(n, ends))
	}
	if rng.IntN(3) == 0 {
		return n - 1 - rng.IntN(min(n, ends))
	}
	return rng.IntN(n)
}

// length draws a field of one, two, four or eight bytes in either byte order: a
// length that is wrong for an input of n bytes.
func length(rng *rand.Rand, n int) []byte {
	v := uint64(n + rng.IntN(2))
	if k := rng.IntN(len(lengths) + 1); k < len(lengths) {
		v = lengths[k]
	}
	width := 1 << rng.IntN(4)
	if rng.IntN(2) == 0 {
		return binary.LittleEndian.AppendUint64(nil, v)[:width]
	}
	return binary.BigEndian.AppendUint64(nil, v)[8-width:]
}
