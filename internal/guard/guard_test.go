package guard

import (
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"
)

// recorder is a testing.TB that keeps failures and clean-ups to itself.
type recorder struct {
	testing.TB
	failed  bool
	cleanup []func()
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Cleanup(f func())      { r.cleanup = append(r.cleanup, f) }

func (r *recorder) end() bool {
	for _, f := range r.cleanup {
		f()
	}
	return r.failed
}

func TestWriteBefore(t *testing.T) {
	for _, n := range []int{0, 1, 7, 4096} {
		r := &recorder{TB: t}
		s := Slice[byte](r, n+1)
		if r.end() {
			t.Fatalf("%d bytes: an untouched slice was reported", len(s))
		}
		r = &recorder{TB: t}
		s = Slice[byte](r, n+1)
		*(*byte)(unsafe.Add(unsafe.Pointer(&s[0]), -1)) = 0
		if !r.end() {
			t.Errorf("%d bytes: a write before the slice was not noticed", len(s))
		}
	}
}

func TestReadPast(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("pages are protected on linux only")
	}
	for _, n := range []int{1, 1000, 1024, 5000} {
		s := Slice[float32](t, n)
		s[n-1] = 1
		if !faults(unsafe.Add(unsafe.Pointer(&s[n-1]), 4)) {
			t.Errorf("%d values: a read past the end did not fault", n)
		}
	}
}

func faults(p unsafe.Pointer) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	sink = *(*byte)(p)
	return false
}

var sink byte

func TestCopy(t *testing.T) {
	c := Copy(t, []uint16{1, 2, 3})
	if len(c) != 3 || cap(c) != 3 || c[0] != 1 || c[2] != 3 {
		t.Errorf("got %v, capacity %d", c, cap(c))
	}
}
