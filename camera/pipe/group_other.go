//go:build !linux

package pipe

import (
	"os"
	"syscall"
)

// Where process groups are not known to this package, the helper alone is ended.

func ownGroup() *syscall.SysProcAttr { return nil }

func signalGroup(pid int, _ bool) {
	if p, err := os.FindProcess(pid); err == nil {
		p.Kill()
	}
}
