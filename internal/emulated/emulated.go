// Package emulated says which tests an emulated run leaves out. For tests only.
package emulated

import (
	"os"
	"testing"
)

// SkipProcess skips a test that starts programs where EDGED_TEST_EMULATED is set, as the
// Makefile does for qemu's user mode: fork copies one thread of the emulator and whatever
// its other threads have locked, so that the child may wait for ever before it is another
// program. Such tests run natively, and on a whole arm64 machine in make test-vm.
func SkipProcess(t testing.TB) {
	t.Helper()
	if os.Getenv("EDGED_TEST_EMULATED") != "" {
		t.Skip("starts programs, in which qemu's user mode may hang")
	}
}
