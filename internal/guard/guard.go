// Package guard makes slices for tests that notice when a kernel touches what lies
// beside them. The end of a slice meets a page without access rights, so a read or
// write past the end faults; the bytes before it are filled with a pattern that is
// compared when the test ends.
//
// Where pages cannot be protected, patterns stand on both sides and only writes are
// noticed.
package guard

import (
	"testing"
	"unsafe"
)

const (
	pattern = 0xa5
	margin  = 256 // bytes of pattern that are looked at
)

// Slice returns a zeroed slice of n values with its end against the protected page
// and no spare capacity. It is valid until the test ends. T must not contain
// pointers.
func Slice[T any](t testing.TB, n int) []T {
	t.Helper()
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	r := newRegion(t, size)
	t.Cleanup(func() { r.check(t) })
	b := r.body()
	clear(b)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)[:n:n]
}

// Copy returns a guarded copy of s.
func Copy[T any](t testing.TB, s []T) []T {
	t.Helper()
	c := Slice[T](t, len(s))
	copy(c, s)
	return c
}

// region is a buffer with the guarded bytes at [off, off+size).
type region struct {
	mem       []byte
	off, size int
	free      func()
}

func (r *region) body() []byte { return r.mem[r.off : r.off+r.size : r.off+r.size] }

func (r *region) check(t testing.TB) {
	for i, b := range r.mem {
		if (i < r.off || i >= r.off+r.size) && b != pattern {
			t.Errorf("byte %d of a guarded slice of %d bytes was overwritten", i-r.off, r.size)
			break
		}
	}
	if r.free != nil {
		r.free()
	}
}
