package bench

import (
	"context"
	"encoding/binary"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The buffer of the read measurement: several times the last-level cache, within
// what a small machine can spare.
const (
	minBuffer   = 256 << 20
	maxBuffer   = 1 << 30
	cachesOver  = 4 // buffer size in caches
	readPasses  = 9
	spareMemory = 4 // part of the available memory that may be taken
)

// readBandwidth measures how fast threads goroutines together read a buffer of size
// bytes, in bytes per second: the best of several passes, as for any bandwidth
// anchor. It returns 0 when ctx ends.
func readBandwidth(ctx context.Context, threads, size int) float64 {
	part := size / threads &^ 63
	parts := make([][]byte, threads)
	for i := range parts {
		parts[i] = make([]byte, part)
		for at := 0; at < part; at += 4096 { // else all pages are the one zero page
			parts[i][at] = 1
		}
	}
	var best float64
	for range readPasses {
		if ctx.Err() != nil {
			return 0
		}
		best = max(best, float64(part*threads)/readAll(parts).Seconds())
	}
	return best
}

func readAll(parts [][]byte) time.Duration {
	results := make([]uint64, len(parts))
	var wg sync.WaitGroup
	start := time.Now()
	for i, p := range parts {
		wg.Go(func() { results[i] = sum(p) })
	}
	wg.Wait()
	d := time.Since(start)
	runtime.KeepAlive(results) // or the reads could be dropped
	return d
}

// sum reads p, a multiple of 64 bytes, in independent chains: enough loads in
// flight for any memory.
func sum(p []byte) uint64 {
	var a, b, c, d uint64 // an array would live in memory
	le := binary.LittleEndian
	for len(p) >= 64 {
		q := p[:64:64]
		a += le.Uint64(q[0:]) + le.Uint64(q[8:])
		b += le.Uint64(q[16:]) + le.Uint64(q[24:])
		c += le.Uint64(q[32:]) + le.Uint64(q[40:])
		d += le.Uint64(q[48:]) + le.Uint64(q[56:])
		p = p[64:]
	}
	return a + b + c + d
}

// bufferSize chooses a buffer that is in no cache.
func bufferSize() int {
	size := min(max(minBuffer, cachesOver*cacheSize()), maxBuffer)
	if free := procBytes("/proc/meminfo", "MemAvailable:"); free > 0 {
		size = min(size, int(min(free/spareMemory, maxBuffer)))
	}
	return size
}

// cacheSize returns the size of the largest cache of the first CPU, 0 where the
// system does not say.
func cacheSize() (largest int) {
	for _, index := range []string{"1", "2", "3", "4"} {
		b, err := os.ReadFile("/sys/devices/system/cpu/cpu0/cache/index" + index + "/size")
		if err != nil {
			continue
		}
		text, shift := strings.TrimSpace(string(b)), 0
		switch {
		case strings.HasSuffix(text, "K"):
			shift = 10
		case strings.HasSuffix(text, "M"):
			shift = 20
		}
		n, err := strconv.Atoi(strings.TrimRight(text, "KM"))
		if err == nil && n > 0 && n < 1<<(31-shift-1) {
			largest = max(largest, n<<shift)
		}
	}
	return min(largest, maxBuffer/cachesOver)
}
