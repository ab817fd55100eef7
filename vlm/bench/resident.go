package bench

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/visualrwkv/edged/internal/procmem"
)

// resident returns the resident memory of this process in bytes, mapped files
// included, after what was freed has gone back to the system; 0 where the
// system does not say.
func resident() int64 {
	debug.FreeOSMemory()
	return procmem.Resident()
}

// procBytes returns a line of a file such as /proc/meminfo, which are in units of
// 1024 bytes; 0 where there is none.
func procBytes(path, key string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != key {
			continue
		}
		kb, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return 0
		}
		return kb << 10
	}
	return 0
}
