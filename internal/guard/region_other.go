//go:build !linux

package guard

import "testing"

func newRegion(t testing.TB, size int) *region {
	mem := make([]byte, margin+size+margin)
	for i := range mem {
		mem[i] = pattern
	}
	return &region{mem: mem, off: margin, size: size}
}
