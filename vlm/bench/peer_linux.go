package bench

import (
	"os"
	"syscall"
)

// maxResident returns the largest resident memory of a process that has ended, in
// bytes.
func maxResident(s *os.ProcessState) int64 {
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		return int64(u.Maxrss) << 10
	}
	return 0
}
