// Package backendtest lets a run of tests insist on the kernels that it is meant to test, and
// leave out what does not depend on them.
package backendtest

import (
	"os"
	"testing"

	"github.com/visualrwkv/edged/kernels"
)

// Check fails unless the backend that EDGED_TEST_BACKEND names is in use, after the
// self-check that every model waits for. Without that variable any backend is right.
func Check(t *testing.T) {
	t.Helper()
	for _, d := range kernels.SelfCheck() {
		t.Errorf("%s was given up: %s computes something else than portable", d.Backend, d.Kernel)
	}
	// Asked for here and not only in kernels, where a test's cache does not notice.
	asked := os.Getenv("EDGED_KERNELS")
	want := os.Getenv("EDGED_TEST_BACKEND")
	if want == "" {
		t.Skipf("EDGED_TEST_BACKEND does not ask for one of %q", kernels.Backends())
	}
	if got := kernels.Backend(); got != want {
		t.Errorf("%s is in use, want %s; there are %q, EDGED_KERNELS is %q", got, want, kernels.Backends(), asked)
	}
}

// SkipAgain skips a test of what is the same with every backend, such as what becomes of files,
// processes and clients, where EDGED_TEST_AGAIN is set: as the Makefile does for all backends of
// an architecture but one.
func SkipAgain(t testing.TB) {
	t.Helper()
	if os.Getenv("EDGED_TEST_AGAIN") != "" {
		t.Skip("the same with every backend, and tried with another")
	}
}
