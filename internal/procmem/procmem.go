// Package procmem tells what this process takes of the machine: the memory that it occupies, and
// the processors that it gets.
package procmem

import (
	"bytes"
	"os"
	"strconv"
)

// Resident is the resident memory of this process, mapped files included; 0 where the
// system does not say (it is read from /proc/self/statm).
func Resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
