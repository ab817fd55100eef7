package guard

import (
	"os"
	"syscall"
	"testing"
)

// newRegion maps the pages for margin+size bytes and a page after them that no
// access is allowed to.
func newRegion(t testing.TB, size int) *region {
	t.Helper()
	page := os.Getpagesize()
	usable := (margin + size + page - 1) / page * page
	all, err := syscall.Mmap(-1, 0, usable+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("mapping %d bytes: %v", usable+page, err)
	}
	if err := syscall.Mprotect(all[usable:], syscall.PROT_NONE); err != nil {
		t.Fatalf("protecting a page: %v", err)
	}
	mem := all[usable-size-margin : usable]
	for i := range mem {
		mem[i] = pattern
	}
	return &region{mem: mem, off: margin, size: size, free: func() {
		if err := syscall.Munmap(all); err != nil {
			t.Errorf("unmapping: %v", err)
		}
	}}
}
