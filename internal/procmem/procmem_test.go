package procmem

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestResident(t *testing.T) {
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		if n := Resident(); n != 0 {
			t.Errorf("%d bytes from nowhere", n)
		}
		t.Skip(err)
	}
	before := Resident()
	if before < 1<<20 {
		t.Fatalf("%d bytes: a Go program needs more", before)
	}
	// Pages of the kernel's, not of Go's heap: beside the heap the race detector keeps
	// memory of its own, which would count.
	block, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(block)
	for i := 0; i < len(block); i += os.Getpagesize() {
		block[i] = 1
	}
	if grew := Resident() - before; grew < 60<<20 || grew > 80<<20 {
		t.Errorf("%d bytes more with a block of 64 MiB", grew)
	}
}
