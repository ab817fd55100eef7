package plugin

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

// compilerDenied says why this process cannot use wazero's compiler, which panics where it
// cannot make memory executable. nil: it can.
func compilerDenied() error {
	switch runtime.GOARCH {
	case "amd64":
		if !cpu.X86.HasSSE41 {
			return fmt.Errorf("this processor has no SSE4.1")
		}
	case "arm64":
	default:
		return fmt.Errorf("there is no compiler for %s", runtime.GOARCH)
	}
	// systemd's MemoryDenyWriteExecute=yes: this kernel attribute since Linux 6.3, or a
	// filter of system calls, which only an attempt finds.
	if flags, err := unix.PrctlRetInt(unix.PR_GET_MDWE, 0, 0, 0, 0); err == nil && flags&unix.PR_MDWE_REFUSE_EXEC_GAIN != 0 {
		return fmt.Errorf("this process may not make memory executable (MemoryDenyWriteExecute)")
	}
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("mapping memory: %w", err)
	}
	b[0] = 1
	err = unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
	if e := unix.Munmap(b); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("this process may not make memory executable: %w", err)
	}
	return nil
}
