package procmem

import (
	"os"
	"runtime"
	"testing"
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
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += os.Getpagesize() {
		block[i] = 1
	}
	if grew := Resident() - before; grew < 60<<20 || grew > 100<<20 {
		t.Errorf("%d bytes more with a block of 64 MiB", grew)
	}
	runtime.KeepAlive(block)
}
